"""Payments that are tied to a date of the year, whenever a contract began.

An association collects its fees in January, a theatre sells its season tickets in September: who
joins in between pays then, and not a year after joining. The date is the circular mean of the days
of the year of the second and later payments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

YEAR: Final = 365.2425
"""Mean days of a year; day 0 is 1970-01-01."""
NEAR: Final = 30.0
"""Days: a payment came on the date."""
PHASES: Final = 384
"""Phases of a gap of the customer-base model where all pay on one date, at most."""
MODEL_SPREAD: Final = YEAR / np.sqrt(PHASES)
"""Standard deviation of the gaps of that model, in days."""
MOST_OVERDUE: Final = 180.0
"""Days after the date within which a payment is overdue; then the next one is nearer."""
FEBRUARY_ENDS: Final = 59.0
"""Days of a year before March, but for a leap year."""
READS: Final = ("first_day", "last_day", "t_x_days", "T_days", "frequency")
"""Features of a history that begins with a first payment."""


@dataclass(frozen=True)
class DueDate:
    """The date of the year on which contracts are paid.

    Parameters
    ----------
    day
        Days from the beginning of a year to the date, below :data:`YEAR`.
    covered
        Days before the date in which a first payment is taken to pay for the year that begins then.
    price
        What a later payment usually is, where first ones are only a part of it; None where they are
        whole.
    spread
        Standard deviation of the days of later payments around the date.
    knows_late
        Whether the model knows how late payments come, so that the days after the date count as
        they are.
    """

    day: float
    covered: float
    price: float | None = None
    spread: float = MODEL_SPREAD
    knows_late: bool = False

    def after(self, paid: Array, is_first: NDArray[np.bool_]) -> Array:
        """Return the day on which the payment after one is due, same shape.

        Parameters
        ----------
        paid
            Days of the payments, since 1970.
        is_first
            Whether each is the first of its contract: later ones belong to the date next to them.

        >>> DueDate(9.0, 10.0).after(np.array([100.0, 369.0]), np.array([True, False])).tolist()
        [374.0, 739.0]
        """
        return self._of_year(self._years_to(paid, np.where(is_first, self.covered, YEAR / 2.0)))

    def begins(self, first: Array) -> Array:
        """Return the date a year before the one that follows first payments, same shape."""
        return np.asarray(self.day + (self._years_to(first, self.covered) - 1.0) * YEAR)

    def _years_to(self, paid: Array, early: Array | float) -> Array:
        """Return the year of the date after payments, since 1970, same shape."""
        return np.asarray(np.floor((paid + early - self.day) / YEAR) + 1.0)

    def _of_year(self, years: Array) -> Array:
        """Return the date in years since 1970 by the calendar, same shape.

        A year begins up to a day beside a multiple of :data:`YEAR`, as the years around it do on
        average, and the dates of a leap year after February are one later.
        """
        year = np.nan_to_num(years).astype(np.int64)
        around = year[..., None] + np.arange(-2, 2)
        beside = (_first_day(around) - around * YEAR).mean(axis=-1)
        begins = _first_day(year)
        after_february = self.day >= FEBRUARY_ENDS
        of_year = np.round(self.day - beside - 0.25 * after_february)
        is_leap = _first_day(year + 1) - begins > 365.0
        due = begins + of_year + (is_leap & (of_year >= FEBRUARY_ENDS))
        return np.where(np.isfinite(years), due, np.nan)

    def on_the_date(self, features: Mapping[str, Array]) -> dict[str, Array]:
        """Return histories as if all had paid on the date, and first a year before the next one.

        Then all gaps of who pays each year are years, also the first one, in which a customer paid
        when joining and then on the date; who paid ten days late last year is not expected to do so
        again. Who last paid away from the date is left as it is.

        Parameters
        ----------
        features
            With those of :data:`READS` of buyers, shape (rows,) each; only
            ``first_day``, ``t_x_days`` and ``T_days`` change.

        >>> history = (np.array([v]) for v in (200.0, 379.0, 179.0, 500.0, 1.0))
        >>> moved = DueDate(9.0, 10.0).on_the_date(dict(zip(READS, history)))
        >>> [float(moved[name][0]) for name in READS[:4]]
        [9.0, 379.0, 365.0, 691.0]
        """
        first, last, repeats = (features[n] for n in ("first_day", "last_day", "frequency"))
        t_x, as_of = features["t_x_days"], first + features["T_days"]
        begins = np.round(self.begins(first))
        is_tied = (repeats == 0) | self.is_near(last)
        # who pays ahead of the date has paid for a year that has not begun
        least = np.where(repeats > 0, -0.5 * t_x, -features["T_days"])
        earlier = np.maximum(np.where(is_tied, first - begins, 0.0), least)
        begins = first - earlier
        ends = np.where(is_tied, np.round(self.nearest(last)), last)
        paid_for = np.maximum(np.minimum(ends, np.floor(as_of)) - begins, 0.5 * t_x)
        t_x = np.where(repeats > 0, paid_for, 0.0)
        T = np.maximum(features["T_days"] + earlier, t_x)
        if not self.knows_late:
            # a week after the date is late where all pay within a few days; no phases say so
            overdue = np.where(is_tied, np.clip(T - t_x - YEAR, 0.0, MOST_OVERDUE), 0.0)
            T = T + overdue * max(MODEL_SPREAD / self.spread - 1.0, 0.0)
        return {**features, "first_day": begins, "t_x_days": t_x, "T_days": T}

    def is_near(self, days: Array) -> NDArray[np.bool_]:
        """Return whether days, since 1970, are within :data:`NEAR` of the date, same shape."""
        return np.abs(days_of_year_between(self.day, days)) <= NEAR

    def nearest(self, days: Array) -> Array:
        """Return the date next to days, before or after them, same shape."""
        return days - days_of_year_between(self.day, days)

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        price = {} if self.price is None else {"price": self.price}
        stored = {"day": self.day, "covered": self.covered, **price, "spread": self.spread}
        return {**stored, **({"knows_late": True} if self.knows_late else {})}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DueDate:
        """Read what :meth:`to_json` returns."""
        price = float(data["price"]) if "price" in data else None
        spread = float(data.get("spread", MODEL_SPREAD))
        knows_late = bool(data.get("knows_late", False))
        return cls(float(data["day"]), float(data["covered"]), price, spread, knows_late)


def _first_day(year: NDArray[np.int64]) -> Array:
    """Return the first days of years since 1970, same shape."""
    return year.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64).astype(np.float64)


def days_of_year_between(date: float, days: Array) -> Array:
    """Return the days of the year from a date to days, the shorter way round, same shape."""
    return np.asarray(np.mod(days - date + YEAR / 2.0, YEAR) - YEAR / 2.0)

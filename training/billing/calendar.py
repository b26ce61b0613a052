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
HISTORY: Final = ("first_day", "last_day", "t_x_days", "T_days", "frequency")
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
    """

    day: float
    covered: float
    price: float | None = None

    def after(self, paid: Array, is_first: NDArray[np.bool_]) -> Array:
        """Return the day on which the payment after one is due, same shape.

        Parameters
        ----------
        paid
            Days of the payments, since 1970.
        is_first
            Whether each is the first of its contract: later ones belong to the date next to them.

        >>> DueDate(9.0, 10.0).after(np.array([100.0, 369.0]), np.array([True, False])).tolist()
        [374.2425, 739.485]
        """
        early = np.where(is_first, self.covered, YEAR / 2.0)
        years = np.floor((paid + early - self.day) / YEAR) + 1.0
        return np.asarray(self.day + years * YEAR)

    def with_first_payments(self, features: Mapping[str, Array]) -> dict[str, Array]:
        """Return histories as if each first payment were made a year before the next date.

        Then all gaps of who pays each year are years, also the first one, in which a customer paid
        when joining and then on the date. Who last paid away from the date is left as it is.

        Parameters
        ----------
        features
            With those of :data:`HISTORY` of buyers, shape (rows,) each; only
            ``first_day``, ``t_x_days`` and ``T_days`` change.

        >>> history = (np.array([v]) for v in (200.0, 374.0, 174.0, 500.0, 1.0))
        >>> moved = DueDate(9.0, 10.0).with_first_payments(dict(zip(HISTORY, history)))
        >>> [float(moved[name][0]) for name in HISTORY[:4]]
        [9.0, 374.0, 365.0, 691.0]
        """
        first, last, repeats = (features[n] for n in ("first_day", "last_day", "frequency"))
        begins = np.round(self.after(first, np.ones(len(first), dtype=np.bool_)) - YEAR)
        earlier = np.where((repeats == 0) | self.is_near(last), first - begins, 0.0)
        # who pays ahead of the date has paid for a year that has not begun
        least = np.where(repeats > 0, -0.5 * features["t_x_days"], -features["T_days"])
        earlier = np.maximum(earlier, least)
        return {
            **features,
            "first_day": first - earlier,
            "t_x_days": np.where(repeats > 0, features["t_x_days"] + earlier, 0.0),
            "T_days": features["T_days"] + earlier,
        }

    def is_near(self, days: Array) -> NDArray[np.bool_]:
        """Return whether days, since 1970, are within :data:`NEAR` of the date, same shape."""
        return np.abs(self.since_date(days)) <= NEAR

    def since_date(self, days: Array) -> Array:
        """Return the days of the year from the date to days, the shorter way round, same shape."""
        return days_of_year_between(self.day, days)

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        price = {} if self.price is None else {"price": self.price}
        return {"day": self.day, "covered": self.covered, **price}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DueDate:
        """Read what :meth:`to_json` returns."""
        price = float(data["price"]) if "price" in data else None
        return cls(float(data["day"]), float(data["covered"]), price)


def days_of_year_between(date: float, days: Array) -> Array:
    """Return the days of the year from a date to days, the shorter way round, same shape."""
    return np.asarray(np.mod(days - date + YEAR / 2.0, YEAR) - YEAR / 2.0)

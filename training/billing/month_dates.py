"""Histories of customers who pay on a day of the month, as if all months were equally long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.months import MONTH, day_of_month, months_after, months_between

READS: Final = ("last_day", "gap_last", "t_x_days", "T_days")
"""Features that tell the next date of a customer."""
MOST_MONTHS: Final = 6
"""Months of a gap up to which they differ: a year is as long as another but for a day."""
NEAR: Final = 0.25
"""How far a gap may be from the usual one, over it, to be one of whole months."""
FEWEST_GAPS: Final = 20
"""Gaps below which nothing is known of dates."""


@dataclass(frozen=True)
class MonthDates:
    """Payments on the same day of the month.

    Parameters
    ----------
    months
        Months between two payments.
    """

    months: int

    @property
    def days(self) -> float:
        """Mean days between two payments."""
        return self.months * MONTH

    def longer(self, paid: Array, gap_before: Array) -> Array:
        """Return the mean days of a gap less those after payments, shape (rows,).

        >>> from datetime import date
        >>> paid = [(date(2025, month, 10) - date(1970, 1, 1)).days for month in (2, 3)]
        >>> MonthDates(1).longer(np.array(paid, dtype=float), np.full(2, 30.0)).round(2).tolist()
        [2.44, -0.56]
        """
        known = np.nan_to_num(paid)
        due = months_after(known, self.months, day_of_month(known, gap_before, self.months))
        return np.asarray(self.days - (due - known))

    def on_the_date(self, features: Mapping[str, Array]) -> dict[str, Array]:
        """Return histories whose silence leaves the days of a mean gap to the next date.

        Parameters
        ----------
        features
            With :data:`READS` of buyers, shape (rows,) each; only ``T_days`` changes.
        """
        last, gap, t_x, T = (features[name] for name in READS)
        return {**features, "T_days": np.maximum(T + self.longer(last, gap), t_x)}

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"months": self.months}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> MonthDates:
        """Read what :meth:`to_json` returns."""
        return cls(int(stored["months"]))


def month_dates(days: PurchaseDays, usual: float) -> MonthDates | None:
    """Return the months between the payments of a log; None where they are days apart.

    Parameters
    ----------
    days
        Purchase days, ordered by customer and day.
    usual
        The usual gap in days.
    """
    same = days.customer[1:] == days.customer[:-1]
    paid, following = (part[same].astype(np.float64) for part in (days.day[:-1], days.day[1:]))
    near = np.abs((following - paid) / usual - 1.0) <= NEAR
    if near.sum() < FEWEST_GAPS:
        return None
    mean = float((following - paid)[near].mean())
    months = months_between(paid[near], following[near], mean)
    return None if months is None or months > MOST_MONTHS else MonthDates(months)

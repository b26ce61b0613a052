"""A trend of the prices: amounts of the past in the prices of the horizon.

Where prices rise, the amounts that a customer paid years ago say too little of the next order. Each
customer's mean amount is of a day of its own, about the middle between first and last purchase; the
mean of all, which Gamma-Gamma shrinks it towards, is of another. With the yearly trend g in logs,

    amount of a customer   times exp(g * (age of the amount - age of the mean of all))
    spend per order        times exp(g * (age of the mean of all + half of the horizon))

and the orders after the horizon cost exp(g * half of the value horizon) times as much as those
within it. No growth later than a year after the as_of is supposed, and no amount counts as older
than ``MAX_DAYS``. Without a trend nothing is multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.training.learners.btyd.stored import finite

MAX_YEARLY: Final = 0.5
"""Largest trend on either side, in logs a year."""
MAX_DAYS: Final = 3 * YEAR_DAYS
"""Ages of amounts beyond this are not told apart: the trend is learned from so many days."""


def to_mean_prices(
    yearly: float, mean_day: float, first_day: Array, t_x_days: Array, T_days: Array
) -> Array:
    """Return the factor from the prices of a customer's amounts to those of the mean of all.

    Parameters
    ----------
    yearly
        Trend of the prices, in logs a year.
    mean_day
        Day that the mean of all amounts is of, as a day number.
    first_day, t_x_days, T_days
        First purchase as a day number, days from it to the last purchase and to the as_of, shape
        (rows,) each.

    >>> first, t_x, T = np.array([1000.0]), np.array([0.0]), np.array([365.0])
    >>> to_mean_prices(0.2, 1365.0, first, t_x, T).round(4).tolist()
    [1.2214]
    """
    age = np.minimum(T_days - t_x_days / 2.0, MAX_DAYS)
    of_mean = np.clip(first_day + T_days - mean_day, -MAX_DAYS, MAX_DAYS)
    return np.asarray(np.exp(yearly * (age - of_mean) / YEAR_DAYS))


def to_coming_prices(
    yearly: float, mean_day: float, ahead_days: float, first_day: Array, T_days: Array
) -> Array:
    """Return the factor from the prices of the mean of all to those of the horizon, (rows,).

    ``ahead_days`` are the days from the as_of to the middle of the horizon; the others are as in
    :func:`to_mean_prices`.
    """
    of_mean = np.clip(first_day + T_days - mean_day, -MAX_DAYS, MAX_DAYS)
    return np.asarray(np.exp(yearly * (of_mean + ahead_days) / YEAR_DAYS))


@dataclass(frozen=True)
class PriceTrend:
    """Trend of what customers pay per purchase day.

    Parameters
    ----------
    yearly
        In logs a year, at most ``MAX_YEARLY`` on either side; 0: none.
    mean_day
        Day that the mean of all amounts is of, as a day number (days since 1970).
    ahead_days
        Days from the as_of to the middle of the horizon, of which a year at most counts.

    Raises
    ------
    ValueError
        A number that is not finite, or outside of its range.
    """

    yearly: float = 0.0
    mean_day: float = 0.0
    ahead_days: float = 0.0

    def __post_init__(self) -> None:
        for name in ("yearly", "mean_day", "ahead_days"):
            finite(name, getattr(self, name))
        if abs(self.yearly) > MAX_YEARLY:
            raise ValueError(f"the trend {self.yearly:g} is beyond {MAX_YEARLY:g} a year")
        if not 0.0 <= self.ahead_days <= YEAR_DAYS:
            raise ValueError(f"{self.ahead_days:g} days ahead are not between 0 and a year")

    @property
    def is_none(self) -> bool:
        """Whether prices have no trend."""
        return self.yearly == 0.0

    def of_customers(self, columns: Mapping[str, Array]) -> Array:
        """Return :func:`to_mean_prices` of buyers, shape (rows,)."""
        own = (columns[name] for name in ("first_day", "t_x_days", "T_days"))
        return to_mean_prices(self.yearly, self.mean_day, *own)

    def coming(self, columns: Mapping[str, Array]) -> Array:
        """Return :func:`to_coming_prices` of buyers, shape (rows,)."""
        own = (columns[name] for name in ("first_day", "T_days"))
        return to_coming_prices(self.yearly, self.mean_day, self.ahead_days, *own)

    def after_horizon(self, value_horizon_days: int) -> float:
        """Return the prices after the horizon over those within it; 1 without a trend.

        >>> PriceTrend(0.2).after_horizon(730) == PriceTrend(0.2).after_horizon(365)
        True
        """
        if self.is_none:
            return 1.0
        middle = min(float(value_horizon_days), YEAR_DAYS) / 2.0
        return float(np.exp(self.yearly * middle / YEAR_DAYS))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"yearly": self.yearly, "mean_day": self.mean_day, "ahead_days": self.ahead_days}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PriceTrend:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            A number is missing, is none, or is outside of its range.
        """
        return cls(**{name: float(data[name]) for name in ("yearly", "mean_day", "ahead_days")})


NO_TREND: Final = PriceTrend()

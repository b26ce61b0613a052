"""Figures with an interval, and how many customers it takes to tell them.

A figure is told if its 95 % interval is no wider than the figure itself: from about half of it to
about one and a half times. The number of customers which that takes follows from how much they
differ, so that it is 16 for a count, some dozens where all spend alike, and hundreds where a few
spend most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.describe.effectiveness.resampling import Quantity, resample, spread

Z = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""
WIDEST = 1.0
"""Widest interval with which an amount is told, as a multiple of the amount."""
WIDEST_SHARE = 0.2
"""Widest interval with which a share is told: ten points on either side."""
FEWEST = 2
"""One customer has no interval, whatever the others do."""
DRAWS = 400


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval, or how many customers it would take to tell it.

    Parameters
    ----------
    value, low, high
        The number and the ends of its interval; None where too few customers are known.
    customers
        Number of customers on whom it rests.
    needed
        Number of customers that it takes; None where no number of them is enough, since the
        expected amount is not above 0.
    """

    value: float | None
    low: float | None
    high: float | None
    customers: int
    needed: int | None

    @property
    def too_few(self) -> bool:
        """Whether there are too few customers to tell."""
        return self.value is None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "customers": self.customers,
            "needed": self.needed,
            "too_few": self.too_few,
        }


def needed_for_mean(variation: float, widest: float = WIDEST) -> int | None:
    """Return how many customers it takes until the interval of a mean is narrow enough.

    The interval of a mean of n values with coefficient of variation c is ``2 z c / sqrt(n)`` of the
    mean wide.

    Parameters
    ----------
    variation
        Standard deviation over mean of one customer; infinite where the mean is not above 0.
    widest
        Widest interval as a multiple of the mean.

    >>> needed_for_mean(1.0)  # a count of customers varies as a Poisson variable does
    16
    """
    if not math.isfinite(variation):
        return None
    return max(FEWEST, math.ceil((2.0 * Z * variation / widest) ** 2))


def variation_of(values: Array) -> float:
    """Return the coefficient of variation; infinite where the mean is not above 0, 0 for none."""
    if not len(values):
        return 0.0
    mean = float(values.mean())
    return float(values.std()) / mean if mean > 0 else math.inf


def mean_figure(values: Array, variation: float, scale: float = 1.0) -> Figure:
    """Return the mean of the customers' values, times a scale, with its interval.

    Parameters
    ----------
    values
        One per customer, shape (n_customers,).
    variation
        Coefficient of variation of the same value over the customers of all groups. Some few
        customers who happen to be alike do not say how much customers differ, so the larger of
        theirs and this one counts.
    scale
        Factor of the mean.

    >>> mean_figure(np.array([10.0, 11.0, 9.0]), 0.0).value
    10.0
    >>> mean_figure(np.array([10.0, 11.0, 9.0]), 1.0).needed
    16
    """
    needed = needed_for_mean(max(variation, variation_of(values)))
    if needed is None or len(values) < needed:
        return Figure(None, None, None, len(values), needed)
    return _drawn(Quantity(values, np.ones(len(values)), scale), len(values), needed)


def total_figure(values: Array, variation: float, scale: float = 1.0) -> Figure:
    """Return the sum of the customers' values, times a scale, whose number is random as well.

    Parameters
    ----------
    values, variation
        As in :func:`mean_figure`. The sum over a Poisson number of customers varies with
        ``sqrt((1 + c^2) / n)``.
    scale
        Factor of the sum.
    """
    needed = needed_for_mean(math.hypot(1.0, max(variation, variation_of(values))))
    if needed is None or len(values) < needed:
        return Figure(None, None, None, len(values), needed)
    return _drawn(Quantity(values, None, scale), len(values), needed)


def cost_figure(cost: float, customers: int) -> Figure:
    """Return the cost per customer, whose number is random and whose cost is not.

    Parameters
    ----------
    cost
        Money spent in all.
    customers
        Number of customers.

    Notes
    -----
    The ends are the cost over the ends of the interval of a Poisson mean, ``(sqrt(n) +- z / 2)^2``
    (the square root of a Poisson variable has a variance of about 1/4; Anscombe 1948).

    >>> cost_figure(1000.0, 100)
    Figure(value=10.0, low=8.29..., high=12.29..., customers=100, needed=16)
    """
    needed = needed_for_mean(1.0)
    if needed is None or customers < needed:
        return Figure(None, None, None, customers, needed)
    root = math.sqrt(customers)
    low, high = cost / (root + Z / 2) ** 2, cost / (root - Z / 2) ** 2
    return Figure(cost / customers, low, high, customers, needed)


def share_figure(part: int, whole: int) -> Figure:
    """Return a share with the interval of Wilson (1927).

    Parameters
    ----------
    part, whole
        Numbers of customers.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    >>> figure = share_figure(50, 100)
    >>> round(figure.low, 4), round(figure.high, 4)  # 0.5 of 100, as in any table of the method
    (0.4038, 0.5962)
    """
    centre = (part + Z**2 / 2) / (whole + Z**2)
    needed = max(FEWEST, math.ceil(4 * Z**2 * centre * (1 - centre) / WIDEST_SHARE**2))
    if whole < needed:
        return Figure(None, None, None, whole, needed)
    share = part / whole
    half = Z * math.sqrt(share * (1 - share) / whole + Z**2 / (4 * whole**2)) / (1 + Z**2 / whole)
    # where all or none are in the part, rounding would leave the share just outside
    low, high = max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
    return Figure(share, low, high, whole, needed)


def _drawn(quantity: Quantity, customers: int, needed: int) -> Figure:
    """Return a quantity with the interval of drawing customers anew."""
    drawn = spread(resample([quantity], DRAWS)[0])
    low, high = (None, None) if drawn is None else (drawn.low, drawn.high)
    return Figure(quantity.value(), low, high, customers, needed)

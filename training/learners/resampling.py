"""Intervals of a mean over customers, who are drawn anew.

Source: Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson
frequencies"; Diebold and Mariano (1995), "Comparing predictive accuracy", for the paired comparison
of losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

LEVEL = 0.95
DRAWS = 400
# More customers than this are drawn in groups of equal size, put together at random, which takes no
# longer for a million of them; the interval is that of the customers up to its noise.
MOST_GROUPS = 5_000


@dataclass(frozen=True)
class Mean:
    """A mean with the ends of the middle 95 % of its draws; NaN without a known value.

    ``below_zero`` is the share of the draws below 0.
    """

    value: float
    low: float
    high: float
    below_zero: float


def interval(values: Array) -> tuple[float, float]:
    """Return the ends of the middle 95 % of the draws; NaN where no draw has the figure."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_of(values: Array, seed: int) -> Mean:
    """Return the mean of one value per customer, with its interval.

    Parameters
    ----------
    values
        Such as the differences between the losses of two methods, shape (n_customers,).
    seed
        Of the draws; the same seed gives the same interval.

    Examples
    --------
    >>> import numpy as np
    >>> both = mean_of(np.r_[np.full(50, -0.2), np.full(50, 0.1)], seed=1)
    >>> round(both.value, 2), both.low < -0.05 < both.high < 0
    (-0.05, True)
    """
    if not len(values) or not np.isfinite(values).all():
        return Mean(float("nan"), float("nan"), float("nan"), float("nan"))
    group, counts = _draws(len(values), seed)
    sums: Array = values
    sizes: Array = np.ones(len(values))
    if group is not None:
        sums = np.bincount(group, weights=values).astype(np.float64)
        sizes = np.bincount(group).astype(np.float64)
    weight = counts.astype(np.float64)
    total = weight @ sizes
    drawn = (weight @ sums)[total > 0] / total[total > 0]
    low, high = interval(drawn)
    return Mean(float(values.mean()), low, high, float((drawn < 0).mean()))


@lru_cache(maxsize=2)  # one method after the other is compared on the same customers
def _draws(customers: int, seed: int) -> tuple[NDArray[np.int16] | None, NDArray[np.uint8]]:
    """Return the group of each customer, or None, and how often each draw has each group."""
    random = np.random.default_rng(seed)
    group = None
    if customers > MOST_GROUPS:
        group = (random.permutation(customers) % MOST_GROUPS).astype(np.int16)
    counts = random.poisson(1.0, (DRAWS, min(customers, MOST_GROUPS))).astype(np.uint8)
    return group, counts

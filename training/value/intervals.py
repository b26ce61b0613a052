"""Prediction intervals of future money, by distributional conformal prediction.

The supposed distribution of a customer's money is 0 with the probability of no purchase, and else a
gamma distribution around the expectation, the narrower the more orders are expected. How far out in
it 90 % of the outcomes lie is learned at past dates, by size of the expectation, so that intervals
cover what they say also where the supposed distribution is wrong.

Source: Chernozhukov, Wuethrich and Zhu (2021), "Distributional conformal prediction", PNAS 118(48).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import gammainc, gammaincinv

from stagecast.features.arrays import Array

COVERAGE: Final = 0.90
# Least number of predictions in a bin, and largest number of bins.
ROWS_PER_BIN, MAX_BINS = 200, 10
# Range of the squared variation of the money of those who buy, and the value supposed where no
# outcome teaches it.
MIN_VARIATION, MAX_VARIATION, USUAL_VARIATION = 1e-4, 16.0, (0.5, 0.5)
# A squared deviation counts as at most this much, so that one outcome cannot set the variation.
MAX_SQUARE: Final = 25.0
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Outlook:
    """Supposed distribution of the money of each row, shape (rows,) each.

    Parameters
    ----------
    expected
        Expected money.
    p_none
        Probability of no purchase.
    orders
        Expected purchase days if any, at least 1.
    """

    expected: Array
    p_none: Array
    orders: Array

    def __len__(self) -> int:
        return len(self.expected)

    def of(self, chosen: NDArray[Any]) -> Outlook:
        """Return these rows, by mask or by position."""
        return Outlook(self.expected[chosen], self.p_none[chosen], self.orders[chosen])

    @property
    def if_any(self) -> Array:
        """Expected money if there is a purchase, shape (rows,)."""
        return np.asarray(self.expected / np.maximum(1.0 - self.p_none, _TINY))


def joined(outlooks: Sequence[Outlook]) -> Outlook:
    """Return the rows of several outlooks, one after the other."""
    return Outlook(
        *(np.concatenate([getattr(o, f.name) for o in outlooks]) for f in fields(Outlook))
    )


@dataclass(frozen=True)
class Intervals:
    """90 % intervals of money.

    Parameters
    ----------
    variation
        Squared variation of the money of those who buy: a constant, and a part that is divided by
        the expected orders.
    edges
        Upper ends of all bins of expected money but the last.
    low, high
        Levels of the supposed distribution at the ends of the interval, one per bin, 0 to 1.
    widening
        Power that the ends over the expectation are raised to: above 1 where the intervals were
        learned over a shorter span.
    """

    variation: tuple[float, float]
    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    widening: float = 1.0

    def around(self, outlook: Outlook) -> tuple[Array, Array]:
        """Return the lower and upper ends, which enclose the expectation, shape (rows,) each."""
        bins = np.searchsorted(self.edges, outlook.expected, side="left")
        low = self._quantile(outlook, np.array(self.low)[bins])
        high = self._quantile(outlook, np.array(self.high)[bins])
        expected = np.maximum(outlook.expected, 0.0)
        low, high = np.minimum(low, expected), np.maximum(high, expected)
        if self.widening != 1.0:
            positive = np.maximum(expected, _TINY)
            low = positive * (low / positive) ** self.widening
            high = positive * (high / positive) ** self.widening
        null = np.isnan(outlook.expected)
        return np.where(null, np.nan, low), np.where(null, np.nan, high)

    def _shape(self, orders: Array) -> Array:
        constant, by_order = self.variation
        variation = constant + by_order / np.maximum(orders, 1.0)
        return np.asarray(1.0 / np.clip(variation, MIN_VARIATION, MAX_VARIATION))

    def _quantile(self, outlook: Outlook, level: Array) -> Array:
        """Return the money at a level of the supposed distribution, shape (rows,)."""
        if_any = (level - outlook.p_none) / np.maximum(1.0 - outlook.p_none, _TINY)
        shape = self._shape(outlook.orders)
        money = gammaincinv(shape, np.clip(if_any, 0.0, 1.0 - _TINY)) / shape * outlook.if_any
        return np.where(if_any > 0, money, 0.0)

    def level(self, outlook: Outlook, outcome: Array) -> Array:
        """Return the level of the supposed distribution that each outcome has, shape (rows,)."""
        shape = self._shape(outlook.orders)
        below = gammainc(shape, shape * outcome / np.maximum(outlook.if_any, _TINY))
        return np.asarray(outlook.p_none + (1.0 - outlook.p_none) * below)

    def to_json(self) -> dict[str, Any]:
        """Return the intervals as plain data."""
        return {
            "variation": list(self.variation),
            "edges": list(self.edges),
            "low": list(self.low),
            "high": list(self.high),
            "widening": self.widening,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Intervals:
        """Read what :meth:`to_json` returns."""
        constant, by_order = data["variation"]
        return cls(
            (float(constant), float(by_order)),
            tuple(data["edges"]),
            tuple(data["low"]),
            tuple(data["high"]),
            float(data["widening"]),
        )


def conformal(outlook: Outlook, outcome: Array) -> Intervals:
    """Return intervals that cover ``COVERAGE`` of the outcomes in each bin of expected money.

    A bin has at least ``ROWS_PER_BIN`` rows. At most 5 % of the outcomes lie below the interval; an
    outcome of 0 does so only where the lower end is above 0.

    Parameters
    ----------
    outlook
        Supposed distributions at dates later than those that the models were fitted on, or on rows
        that they were not fitted on.
    outcome
        Observed money, shape (rows,).
    """
    usable = np.isfinite(outlook.expected) & (outlook.expected > 0)
    outlook, outcome = outlook.of(usable), np.maximum(outcome[usable], 0.0)
    tail = (1.0 - COVERAGE) / 2.0
    if not len(outlook):
        return Intervals(USUAL_VARIATION, (), (tail,), (1.0 - tail,))
    supposed = Intervals(_variation(outlook, outcome), (), (0.0,), (1.0,))
    level = supposed.level(outlook, outcome)
    # an outcome of 0 is below the interval where the lower level exceeds the chance of it
    level_below = np.where(outcome > 0, level, outlook.p_none)
    level_above = np.where(outcome > 0, level, 0.0)
    edges = _bin_edges(outlook.expected)
    bins = np.searchsorted(edges, outlook.expected, side="left")
    low, high = [], []
    for k in range(len(edges) + 1):
        inside = bins == k
        # no higher than the tail: above it, a customer with a little less chance of nothing would
        # get a lower end near the expectation
        lower = min(_order_statistic(np.sort(level_below[inside]), tail, upper=False), tail)
        missed = float((level_below[inside] < lower).mean())
        higher = _order_statistic(np.sort(level_above[inside]), COVERAGE + missed, upper=True)
        low.append(lower)
        high.append(higher)
    return Intervals(supposed.variation, tuple(map(float, edges)), tuple(low), tuple(high))


def _bin_edges(expected: Array) -> Array:
    count = int(np.clip(len(expected) // ROWS_PER_BIN, 1, MAX_BINS))
    if count == 1:
        return np.zeros(0)
    return np.unique(np.quantile(expected, np.linspace(0, 1, count + 1)[1:-1]))


def _variation(outlook: Outlook, outcome: Array) -> tuple[float, float]:
    """Return the squared variation of those who bought: a constant, and a part per order."""
    bought = outcome > 0
    if bought.sum() < 2:
        return USUAL_VARIATION
    ratio = outcome[bought] / np.maximum(outlook.if_any[bought], _TINY)
    square = np.minimum((ratio / ratio.mean() - 1.0) ** 2, MAX_SQUARE)
    per_order = 1.0 / np.maximum(outlook.orders[bought], 1.0)
    (constant, by_order), _ = nnls(np.column_stack([np.ones(len(per_order)), per_order]), square)
    return float(constant), float(by_order)


def _order_statistic(ordered: Array, share: float, *, upper: bool) -> float:
    """Return the conformal quantile, a little further out than the empirical one.

    It allows for the outcome that is still to be observed: its rank is among n + 1 outcomes.
    """
    n = len(ordered)
    if not n:
        return share
    # rounding of the share must not move an integer rank to its neighbour
    rank = np.ceil((n + 1) * share - 1e-9) if upper else np.floor((n + 1) * share + 1e-9)
    return float(ordered[int(np.clip(rank, 1, n)) - 1])

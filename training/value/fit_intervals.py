"""Fitting of :class:`stagecast.training.value.intervals.Intervals` on outcomes."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import nnls

from stagecast.features.arrays import Array
from stagecast.training.value.intervals import COVERAGE, Intervals, Outlook, joined

# Least number of rows in a bin, and largest number of bins.
ROWS_PER_BIN, MAX_BINS = 200, 10
# Squared variation of the money of those who buy that is supposed where no outcome teaches it.
USUAL_VARIATION: Final = (0.5, 0.5)
# A squared deviation counts as at most this much, so that one outcome cannot set the variation.
MAX_SQUARE: Final = 25.0
# Five levels that stand for a normal distribution, in its standard deviations: the middles of its
# fifths, with a variance of 1.
LEVELS: Final = (-1.4634, -0.5988, 0.0, 0.5988, 1.4634)
_TINY: Final = 1e-9


def conformal(outlook: Outlook, outcome: Array, drift: float = 0.0) -> Intervals:
    """Return intervals that cover ``COVERAGE`` of the outcomes in each bin of expected money.

    A bin has at least ``ROWS_PER_BIN`` rows. At most 5 % of the outcomes lie below the interval; an
    outcome of 0 does so only where the lower end is above 0. Where the level of all customers
    drifts, this holds on average over dates, whose levels are drawn from a log-normal distribution.

    Parameters
    ----------
    outlook
        Supposed distributions at dates later than those that the models were fitted on, or on rows
        that they were not fitted on.
    outcome
        Observed money, shape (rows,).
    drift
        Standard deviation, in logs, of the level of a new date.
    """
    usable = np.isfinite(outlook.expected) & (outlook.expected > 0)
    outlook, outcome = outlook.of(usable), np.maximum(outcome[usable], 0.0)
    tail = (1.0 - COVERAGE) / 2.0
    if not len(outlook):
        return Intervals(USUAL_VARIATION, (), (tail,), (1.0 - tail,))
    edges = _bin_edges(outlook.expected)
    bins, rows = np.searchsorted(edges, outlook.expected, side="left"), len(outlook)
    if drift > 0:
        # as forecasts that missed the level by so much would have looked
        outlook = joined([outlook.at_level(float(np.exp(-drift * at))) for at in LEVELS])
        outcome, bins = np.tile(outcome, len(LEVELS)), np.tile(bins, len(LEVELS))
    copies = len(outlook) // rows
    supposed = Intervals(_variation(outlook, outcome), (), (0.0,), (1.0,))
    level = supposed.level(outlook, outcome)
    # an outcome of 0 is below the interval where the lower level exceeds the chance of it
    level_below = np.where(outcome > 0, level, outlook.p_none)
    level_above = np.where(outcome > 0, level, 0.0)
    low, high = [], []
    for k in range(len(edges) + 1):
        inside = bins == k
        if not inside.any():
            low.append(tail)
            high.append(1.0 - tail)
            continue
        # no higher than the tail: above it, a customer with a little less chance of nothing would
        # get a lower end near the expectation
        lower = min(_order_statistic(level_below[inside], tail, copies, upper=False), tail)
        missed = float((level_below[inside] < lower).mean())
        higher = _order_statistic(level_above[inside], COVERAGE + missed, copies, upper=True)
        low.append(lower)
        # where nearly nobody buys, any upper end covers: it is still that of who may
        high.append(max(higher, COVERAGE))
    return Intervals(supposed.variation, tuple(map(float, edges)), tuple(low), tuple(high))


def _bin_edges(expected: Array) -> Array:
    count = int(np.clip(len(expected) // ROWS_PER_BIN, 1, MAX_BINS))
    if count == 1:
        return np.zeros(0)
    return np.unique(np.quantile(expected, np.linspace(0, 1, count + 1)[1:-1]))


def _variation(outlook: Outlook, outcome: Array) -> tuple[float, ...]:
    """Return the squared variation of those who bought: a constant, and two parts per order."""
    bought = outcome > 0
    if bought.sum() < 2:
        return USUAL_VARIATION
    ratio = outcome[bought] / np.maximum(outlook.if_any[bought], _TINY)
    square = np.minimum((ratio / ratio.mean() - 1.0) ** 2, MAX_SQUARE)
    per_order = 1.0 / np.maximum(outlook.orders[bought], 1.0)
    parts = [np.ones(len(per_order)), per_order]
    if outlook.past is not None:
        parts.append(1.0 / outlook.orders_so_far[bought])
    weights, _ = nnls(np.column_stack(parts), square)
    return tuple(map(float, weights))


def _order_statistic(values: Array, share: float, copies: int, *, upper: bool) -> float:
    """Return the conformal quantile, a little further out than the empirical one.

    It allows for the outcome that is still to be observed: its rank is among n + 1 outcomes, each
    of which stands here ``copies`` times.
    """
    n = len(values)
    if not n:
        return share
    # rounding of the share must not move an integer rank to its neighbour
    exact = (n + copies) * share
    rank = np.ceil(exact - 1e-9) if upper else np.floor(exact + 1e-9)
    return float(np.sort(values)[int(np.clip(rank, 1, n)) - 1])

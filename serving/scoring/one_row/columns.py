"""Columns of a score that compare one customer with those of the training."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from stagecast.features.one_customer.numbers import (
    COMPARE,
    clip,
    gammaincinv,
    maximum,
    minimum,
    power,
)
from stagecast.features.stages.plays import TEXTS, Comparison, Play
from stagecast.features.stages.scheme import Scheme
from stagecast.training.reference.reference import Reference
from stagecast.training.reference.rfm import RfmScale, RfmScales, rfm_segment
from stagecast.training.value.intervals import (
    MAX_VARIATION,
    MIN_VARIATION,
    Intervals,
)

_TINY = 1e-9
_NULL = math.nan
Score = Mapping[str, Any]


class IntervalOfOne:
    """Prediction intervals, see :meth:`stagecast.training.value.intervals.Intervals.around`.

    Parameters
    ----------
    intervals
        Those of the training; None: it had no later period to fit them on.
    """

    def __init__(self, intervals: Intervals | None) -> None:
        self._intervals = intervals

    def around(
        self,
        expected: float,
        p_none: float,
        orders: float,
        past: float,
        known: tuple[float, float],
    ) -> tuple[float, float]:
        """Return the lower and upper end; NaN where there is none.

        Parameters
        ----------
        expected, p_none, orders, past
            See :class:`stagecast.training.value.intervals.Outlook`.
        known
            Ends that are known without the intervals; NaN where there are none.
        """
        own = self._intervals
        if own is None:
            return _NULL, _NULL
        if known[0] == known[0] or expected != expected:
            return known
        position = bisect_left(own.edges, expected)
        constant, by_order, *by_past = own.variation
        variation = constant + by_order / maximum(orders, 1.0)
        if by_past:
            variation += by_past[0] / maximum(past, 1.0)
        shape = 1.0 / clip(variation, MIN_VARIATION, MAX_VARIATION)
        p_any = maximum(1.0 - p_none, _TINY)

        def quantile(level: float) -> float:
            if_any = (level - p_none) / p_any
            if not if_any > 0:
                return 0.0
            at = gammaincinv(shape, clip(if_any, 0.0, 1.0 - _TINY))
            return at / shape * (expected / p_any)

        at_least = maximum(expected, 0.0)
        low = minimum(quantile(own.low[position]), at_least)
        high = maximum(quantile(own.high[position]), at_least)
        if own.widening != 1.0:
            positive = maximum(at_least, _TINY)
            low = positive * power(low / positive, own.widening)
            high = positive * power(high / positive, own.widening)
        return low, high


def percentile_of_one(reference: Reference) -> Callable[[float], float]:
    """Return :meth:`stagecast.training.reference.reference.Reference.percentile` of one risk."""
    grid = reference.churn_quantiles

    def percentile(risk: float) -> float:
        if not grid:
            return 50.0
        below = bisect_right(grid, risk)
        if not below:
            return 0.0
        left, right = below - 1, min(below, len(grid) - 1)
        width = grid[right] - grid[left]
        fraction = (risk - grid[left]) / width if width > 0 else 0.0
        return clip(left + fraction, 0.0, 100.0)

    return percentile


class RfmOfOne:
    """RFM scores of one buyer, see :func:`stagecast.serving.scoring.rfm_columns.rfm_columns`.

    Parameters
    ----------
    scales
        Of the training.
    """

    def __init__(self, scales: RfmScales) -> None:
        self._scales = scales
        self._recency, self._frequency = scales.recency_days.fifths(), scales.orders.fifths()

    def of(
        self, recency_days: float, orders: float, spend: float, *, has_amounts: bool
    ) -> tuple[str, str]:
        """Return the scores as text, and the segment."""
        scales = self._scales
        r, f = _score(scales.recency_days, recency_days), _score(scales.orders, orders)
        m = str(_score(scales.spend, spend)) if has_amounts else "-"
        return f"{r}{f}{m}", rfm_segment(self._recency[r - 1], self._frequency[f - 1])


def _score(scale: RfmScale, value: float) -> int:
    # a value on a cut: the user's own limits belong to the better score
    above = bisect_right if scale.own is not scale.smaller_is_better else bisect_left
    beyond = above(scale.cuts, value)
    return scale.scores - beyond if scale.smaller_is_better else 1 + beyond


Holds = Callable[[Score], bool]


class PlaysOfOne:
    """The play of one customer, see :func:`stagecast.serving.scoring.play_columns.play_columns`.

    Parameters
    ----------
    scheme
        The scheme with its plays.
    bounds
        Percentiles of the training.
    """

    def __init__(self, scheme: Scheme, bounds: Mapping[str, float]) -> None:
        self._plays = [(play, _play_holds(play, bounds)) for play in scheme.plays]
        self._actions = [stage.action["en"] for stage in scheme.stages]

    def of(self, score: Score, stage: int) -> tuple[str | None, str]:
        """Return the play, None where none holds, and its action or that of the stage."""
        for play, holds in self._plays:
            if holds(score):
                return play.id, play.action.get("en", "") or self._actions[stage]
        return None, self._actions[stage]


def _play_holds(play: Play, bounds: Mapping[str, float]) -> Holds:
    clauses = [[_comparison(comparison, bounds) for comparison in clause] for clause in play.when]

    def holds(score: Score) -> bool:
        return all(any(compare(score) for compare in clause) for clause in clauses)

    return holds


def _comparison(comparison: Comparison, bounds: Mapping[str, float]) -> Holds:
    column = comparison.column
    if column in TEXTS:
        return lambda score: bool(score[column] == comparison.bound)
    limit = comparison.number
    if limit is None:
        limit = bounds.get(f"{column} {comparison.bound}", _NULL)
    compare = COMPARE[comparison.operator]
    return lambda score: compare(score[column], limit)

"""Aggregates of a catalogue over the rows of one customer.

The same as :class:`stagecast.features.engines.rows.Aggregates` of one customer: rows are ordered by
day, so that a window is a slice; sums are of whole numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stagecast.features.catalog.feature import SCALES, Feature
from stagecast.features.one_customer.past import Past
from stagecast.features.one_customer.relations import RowsOfOne

Window = tuple[int, int] | None
_NULL = math.nan


class Slice(NamedTuple):
    """First row within a window, and first row after it."""

    low: int
    high: int


class AggregatesOfOne:
    """Aggregates of one relation, prepared once to be computed for many customers.

    Parameters
    ----------
    features
        Aggregates of ``days``, ``log`` or ``types``.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._windows = list(dict.fromkeys(f.window_days for f in features))
        position = {window: number for number, window in enumerate(self._windows)}
        self._features = [
            (f.name, position[f.window_days], f.column == "age", _compiled(f)) for f in features
        ]

    def values(self, rows: RowsOfOne, as_of_day: float) -> dict[str, float]:
        """Return each feature; null is NaN.

        Parameters
        ----------
        rows
            Rows of the relation.
        as_of_day
            Days from 1970 to the as_of.
        """
        slices = [_slice(window, rows.days, as_of_day) for window in self._windows]
        result = {}
        for name, window, is_age, compute in self._features:
            value = compute(rows, slices[window])
            result[name] = as_of_day - value if is_age else value
        return result


def _slice(window: Window, days: Sequence[int], as_of_day: float) -> Slice:
    if window is None:
        return Slice(0, bisect_left(days, math.ceil(as_of_day)))
    newer, older = window
    low, high = math.ceil(as_of_day - older), math.ceil(as_of_day - newer)
    return Slice(bisect_left(days, low), bisect_left(days, high))


Aggregate = Callable[[RowsOfOne, Slice], float]


def _compiled(feature: Feature) -> Aggregate:
    """Return a feature as a function of rows and a slice; that of an age returns the day."""
    name, types = str(feature.column), feature.events
    scale = SCALES.get(name)
    match feature.function:
        case "count":
            return lambda _, part: float(part.high - part.low)
        case "sum" | "mean" | "sum_of_squares":
            return _sum(feature, name, types, scale)
        case "distinct":
            return lambda rows, part: float(_bits(rows.column(name, types), part).bit_count())
        case "first" | "last":
            return _end(name, types, scale, is_first=feature.function == "first")
        case "min" | "max":
            # the lowest age is that of the latest day
            is_min = (feature.function == "min") is not (name == "age")
            return _extreme("day" if name == "age" else name, types, scale, is_min=is_min)
    raise NotImplementedError(f"rows have no function '{feature.function}' ({feature.name})")


def _sum(feature: Feature, name: str, types: tuple[str, ...], scale: float | None) -> Aggregate:
    function = feature.function
    squared = function == "sum_of_squares"

    def compute(rows: RowsOfOne, part: Slice) -> float:
        running = rows.running(name, types, squared=squared)
        total = float(running[part.high] - running[part.low])
        if scale is not None:
            total /= scale
        if function == "sum":
            return total
        counts = rows.running_count(name, types)
        count = part.high - part.low if counts is None else counts[part.high] - counts[part.low]
        if not count:
            return _NULL
        return total / count if function == "mean" else total

    return compute


def _bits(values: Sequence[int], part: Slice) -> int:
    bits = 0
    for value in values[part.low : part.high]:
        bits |= value
    return bits


def _end(name: str, types: tuple[str, ...], scale: float | None, *, is_first: bool) -> Aggregate:
    def compute(rows: RowsOfOne, part: Slice) -> float:
        if part.high <= part.low:
            return _NULL
        row = part.low if is_first else part.high - 1
        valid = rows.valid(name, types)
        if valid is not None and not valid[row]:
            return _NULL
        value = float(rows.column(name, types)[row])
        return value / scale if scale else value

    return compute


def _extreme(name: str, types: tuple[str, ...], scale: float | None, *, is_min: bool) -> Aggregate:
    extreme = min if is_min else max

    def compute(rows: RowsOfOne, part: Slice) -> float:
        if part.high <= part.low:
            return _NULL
        valid = rows.valid(name, types)
        values: Sequence[int] = rows.column(name, types)[part.low : part.high]
        if valid is not None:
            mask = valid[part.low : part.high]
            values = [value for value, is_valid in zip(values, mask, strict=True) if is_valid]
            if not values:
                return _NULL
        elif name == "day":
            return float(values[0] if is_min else values[-1])
        value = float(extreme(values))
        return value / scale if scale else value

    return compute


def distinct_count(feature: Feature, past: Past, as_of_day: float) -> float:
    """Return the number of distinct channels or categories of the events of a feature."""
    column = str(feature.column)
    older = None if feature.window_days is None else feature.window_days[1]
    texts = {
        getattr(own.event, column)
        for own in past.events
        if (not feature.events or own.kind in feature.events)
        and (older is None or as_of_day - own.day <= older)
    }
    return float(len({text for text in texts if text}))

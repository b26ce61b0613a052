"""Aggregates of a catalogue over the rows of one customer.

The same as :class:`stagecast.features.engines.rows.Aggregates` of one customer: rows are ordered by
day, so that a window is a slice; sums are of whole numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from stagecast.features.catalog.feature import (
    ENTROPY_SCALE,
    SCALES,
    UNEVENNESS_SCALE,
    Feature,
)
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.one_customer.past import NetDay, Past

Window = tuple[int, int] | None
_HOUR = 3_600_000_000
_NULL = math.nan


class RowsOfOne:
    """Rows of one relation, ordered by day, with columns that are computed when asked for.

    Parameters
    ----------
    days
        Days since 1970.
    column
        Name of a column and its event types -> whole numbers, one per row; a null is 0.
    valid
        The same -> which rows have a value; None: all have.
    """

    def __init__(
        self,
        days: Sequence[int],
        column: Callable[[str, tuple[str, ...]], Sequence[int]],
        valid: Callable[[str, tuple[str, ...]], Sequence[bool] | None],
    ) -> None:
        self.days, self._column, self._valid = days, column, valid
        self._cache: dict[tuple[str, str, tuple[str, ...]], Sequence[int] | None] = {}

    def column(self, name: str, types: tuple[str, ...]) -> Sequence[int]:
        """Return a column."""
        key = "column", name, types
        if key not in self._cache:
            self._cache[key] = self._column(name, types)
        return self._cache[key] or ()

    def valid(self, name: str, types: tuple[str, ...]) -> Sequence[bool] | None:
        """Return which rows have a value; None: all have."""
        key = "valid", name, types
        if key not in self._cache:
            self._cache[key] = self._valid(name, types)
        return self._cache[key]  # type: ignore[return-value]  # bools are integers

    def running(self, name: str, types: tuple[str, ...], *, squared: bool) -> Sequence[int]:
        """Return the running total of a column, beginning with 0."""
        key = "squares" if squared else "sums", name, types
        if key not in self._cache:
            values = self.column(name, types)
            numbers = [value * value for value in values] if squared else values
            self._cache[key] = list(accumulate(numbers, initial=0))
        return self._cache[key] or ()

    def running_count(self, name: str, types: tuple[str, ...]) -> Sequence[int] | None:
        """Return the running number of rows with a value, beginning with 0; None: all have."""
        key = "counts", name, types
        if key not in self._cache:
            valid = self.valid(name, types)
            self._cache[key] = None if valid is None else list(accumulate(valid, initial=0))
        return self._cache[key]


def event_rows(past: Past) -> RowsOfOne:
    """Return the rows of ``log`` and ``types``, one per event."""
    events = past.events

    def selected(types: tuple[str, ...]) -> list[bool]:
        return past.of_types(types) if types else past.is_activity

    def column(name: str, types: tuple[str, ...]) -> Sequence[int]:
        match name:
            case "purchases":
                return [e.kind == "purchase" for e in events]
            case "gross_spend":
                return [e.amount if e.kind == "purchase" else 0 for e in events]
            case "discount":
                return past.discounts
            case "refunds":
                return [e.kind == "refund" for e in events]
            case "refund":
                return [e.amount if e.kind == "refund" else 0 for e in events]
            case "activity":
                return past.is_activity
            case "events":
                return selected(types)
            case "amount":
                chosen = zip(events, selected(types), strict=True)
                return [e.amount if is_selected else 0 for e, is_selected in chosen]
            case "hour":
                return [
                    1 << (e.happened - e.day * DAY_MICROSECONDS) // _HOUR
                    if e.kind == "purchase"
                    else 0
                    for e in events
                ]
            case _:
                return past.days

    def valid(name: str, types: tuple[str, ...]) -> Sequence[bool] | None:
        if name == "active_day":
            return past.is_activity
        if not types:
            return None
        if name == "amount":
            chosen = zip(events, selected(types), strict=True)
            return [is_selected and e.has_amount for e, is_selected in chosen]
        return selected(types)

    return RowsOfOne(past.days, column, valid)


def purchase_day_rows(net_days: Sequence[NetDay]) -> RowsOfOne:
    """Return the rows of ``days``, one per purchase day net of refunds."""
    days = [row.day for row in net_days]
    spend = [row.spend for row in net_days]
    gaps = [0, *(later - day for day, later in pairwise(days))][: len(days)]
    has_previous = [position > 0 for position in range(len(days))]

    def column(name: str, _: tuple[str, ...]) -> Sequence[int]:
        match name:
            case "spend":
                return spend
            case "spend_change":
                pairs = pairwise(spend)
                return [0, *(abs(later - before) for before, later in pairs)][: len(days)]
            case "gap":
                return gaps
            case "gap_entropy":
                return _entropies(gaps)
            case "gap_unevenness":
                return [0, 0, *map(_unevenness, gaps[2:], gaps[1:])][: len(days)]
            case "weekday":
                return [1 << (day + 3) % 7 for day in days]
            case "weekend":
                return [(day + 3) % 7 >= 5 for day in days]
            case _:
                return days

    def valid(name: str, _: tuple[str, ...]) -> Sequence[bool] | None:
        return has_previous if name in ("gap", "spend_change", "gap_entropy") else None

    return RowsOfOne(days, column, valid)


def _entropies(gaps: Sequence[int]) -> list[int]:
    # NumPy's logarithm, whose last bit may be another than that of Python's
    logs = np.log(np.maximum(np.array(gaps, dtype=np.int64), 1)).tolist()
    pairs = zip(gaps, logs, strict=True)
    return [math.floor(gap * log * ENTROPY_SCALE + 0.5) for gap, log in pairs]


def _unevenness(gap: int, gap_before: int) -> int:
    deviation = gap / max(gap + gap_before, 1) - 0.5
    return math.floor(deviation * deviation * UNEVENNESS_SCALE + 0.5)


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

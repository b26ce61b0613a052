"""A catalogue's aggregates over rows in memory that are ordered by customer and day: NumPy, many customers at once.

The rows of a customer that stand in a window are a slice, so each window is found once for all customers, and each sum
is the difference of two running totals. These are of whole numbers, which are exact, also where they wrap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.catalog import SCALES, Feature

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Window = tuple[int, int] | None

_SUMS = ("sum", "mean", "sum_of_squares")
TYPES_APART = "\x1f"


@dataclass(frozen=True)
class Rows:
    """Rows of one relation, ordered by customer and then by day.

    Parameters
    ----------
    customer : 0, 1, 2, ..., below ``count``.
    day : whole days since 1970.
    column : name of a column -> its whole numbers; money in millionths. A null is 0, see ``given``.
    given : name of a column -> which rows have it, or None: all.
    """

    count: int
    customer: Integers
    day: Integers
    column: Callable[[str], NDArray[Any]]
    given: Callable[[str], NDArray[np.bool_] | None]


class Slices:
    """Where the rows of each customer stand that are in each window."""

    def __init__(self, rows: Rows, as_of_day: float) -> None:
        self._rows, self._as_of_day = rows, as_of_day
        every = np.arange(rows.count + 1)
        self._starts = np.searchsorted(rows.customer, every)
        self._found: dict[Window, tuple[Integers, Integers]] = {None: (self._starts[:-1], self._starts[1:])}

    def find(self, windows: Sequence[Window]) -> None:
        """Look for several windows at once, which is cheaper than one after the other."""
        missing = [window for window in windows if window not in self._found and window is not None]
        if not missing:
            return
        edges = sorted({edge for window in missing for edge in window})
        rows = self._rows
        if rows.count == 1:
            # the first row that is at most so old
            firsts = np.searchsorted(rows.day, np.ceil(self._as_of_day - np.array(edges)))[:, None]
        elif len(rows.day):
            low = int(rows.day.min())
            span = int(rows.day.max()) - low + 2
            after = np.clip(np.ceil(self._as_of_day - np.array(edges)) - low, 0, span - 1)
            keys = rows.customer * span + (rows.day - low)
            wanted = np.arange(rows.count) * span + after.astype(np.int64)[:, None]
            firsts = np.searchsorted(keys, wanted)
        else:
            firsts = np.zeros((len(edges), rows.count), dtype=np.int64)
        first = dict(zip(edges, firsts, strict=True))
        for newer, older in missing:
            # a window from 0 on has everything up to the as_of in it
            self._found[newer, older] = (first[older], first[newer] if newer else self._starts[1:])

    def __getitem__(self, window: Window) -> tuple[Integers, Integers]:
        return self._found[window]


class Aggregates:
    """The aggregates of one relation, ready to be asked of any rows.

    Parameters
    ----------
    features
        Aggregates of one relation, all but ``distinct`` values.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._windows: list[Window] = list(dict.fromkeys(f.window_days for f in features))
        place = {window: k for k, window in enumerate(self._windows)}
        sums = [f for f in features if f.function in _SUMS]
        totals = {(_column(f), f.function == "sum_of_squares") for f in sums}
        self._totals = sorted(totals)
        self._sums = [
            (
                f,
                self._totals.index((_column(f), f.function == "sum_of_squares")),
                place[f.window_days],
                SCALES.get(str(f.column)),
            )
            for f in sums
        ]
        self._counts = [(f.name, place[f.window_days]) for f in features if f.function == "count"]
        self._others = [f for f in features if f.function not in (*_SUMS, "count")]

    def of(self, rows: Rows, as_of_day: float) -> dict[str, Array]:
        """Return each feature, one value per customer; null is NaN."""
        slices = Slices(rows, as_of_day)
        slices.find(self._windows)
        bounds = [slices[window] for window in self._windows]
        low, high = np.array([b[0] for b in bounds]), np.array([b[1] for b in bounds])
        found: dict[str, Array] = {}
        if self._counts:
            counts = (high - low).astype(np.float64)
            found = {name: counts[window] for name, window in self._counts}
        if self._sums:
            running = _running([self._total(rows, *total) for total in self._totals], len(rows.day))
            differences = (running[:, high] - running[:, low]).astype(np.float64)
            for feature, total, window, scale in self._sums:
                value = differences[total, window] if scale is None else differences[total, window] / scale
                found[feature.name] = value if feature.function == "sum" else self._over(feature, rows, slices, value)
        for feature in self._others:
            found[feature.name] = _other(feature, rows, slices)
        return found

    @staticmethod
    def _total(rows: Rows, column: str, squares: bool) -> NDArray[Any]:
        values = rows.column(column)
        return values * values if squares else values

    @staticmethod
    def _over(feature: Feature, rows: Rows, slices: Slices, total: Array) -> Array:
        """Return a mean, or a sum of squares that is null where there is nothing to square."""
        low, high = slices[feature.window_days]
        given = rows.given(_column(feature))
        count = high - low if given is None else np.diff(_running([given], len(rows.day))[0][[low, high]], axis=0)[0]
        if feature.function == "mean":
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return np.where(count > 0, total, np.nan)


def _column(feature: Feature) -> str:
    """Return the name of what is asked for; of some event types, it is a column of its own."""
    name = str(feature.column)
    return f"{name} of {TYPES_APART.join(feature.events)}" if feature.events else name


def _running(columns: Sequence[NDArray[Any]], length: int) -> NDArray[Any]:
    """Return running totals, one row per column, each beginning with 0."""
    dtype = object if any(column.dtype == object for column in columns) else np.int64
    totals = np.zeros((len(columns), length + 1), dtype=dtype)
    for total, column in zip(totals, columns, strict=True):
        total[1:] = column
    return np.asarray(totals.cumsum(axis=1))


def _other(feature: Feature, rows: Rows, slices: Slices) -> Array:
    low, high = slices[feature.window_days]
    some = high > low
    name = _column(feature)
    if not len(rows.day):
        return np.zeros(rows.count) if feature.function == "distinct" else np.full(rows.count, np.nan)
    if feature.function == "distinct":
        bits = _reduced(np.bitwise_or, rows.column(name), low, high)
        return np.where(some, np.bitwise_count(bits), 0).astype(np.float64)
    given = rows.given(name)
    if given is None and feature.column == "day" and feature.function in ("min", "max"):
        values = rows.day[np.minimum(low, len(rows.day) - 1) if feature.function == "min" else high - 1]
        return np.where(some, values, np.nan)
    values = rows.column(name)
    if feature.function in ("first", "last"):
        at = np.minimum(low, len(values) - 1) if feature.function == "first" else high - 1
        there = some if given is None else some & given[at]
        result = np.where(there, values[at], np.nan)
    else:
        numbers = values.astype(np.float64)
        if given is not None:
            numbers = np.where(given, numbers, np.nan)
        best = _reduced(np.fmin if feature.function == "min" else np.fmax, numbers, low, high)
        result = np.where(some, best, np.nan)
    scale = SCALES.get(str(feature.column))
    return np.asarray(result / scale if scale else result, dtype=np.float64)


def _reduced(function: np.ufunc, values: NDArray[Any], low: Integers, high: Integers) -> NDArray[Any]:
    """Return a reduction of each slice; that of an empty one means nothing."""
    padded = np.append(values, values[-1])
    return function.reduceat(padded, np.column_stack([low, high]).ravel())[::2]

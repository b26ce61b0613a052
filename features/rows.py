"""A catalogue's aggregates over rows in memory that are ordered by customer and day: NumPy, many customers at once.

The rows of a customer that stand in a window are a slice, so each window is found once for all customers, and each sum
is the difference of two running totals. These are of whole numbers, which are exact, also where they wrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.catalog import SCALES, Feature

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Window = tuple[int, int] | None
Days = tuple[int, int]

EVER = -(2**31)
"""A day before every event."""

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

    @cached_property
    def bounds(self) -> Integers:
        """First row of each customer, and the number of rows."""
        return np.searchsorted(self.customer, np.arange(self.count + 1))


class Aggregates:
    """The aggregates of one relation, ready to be asked of any rows.

    Parameters
    ----------
    features
        Aggregates of one relation, all but ``distinct`` values.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._windows: list[Window] = list(dict.fromkeys(f.window_days for f in features))
        summed = [(f, (_column(f), f.function == "sum_of_squares")) for f in features if f.function in _SUMS]
        self._totals = list(dict.fromkeys(total for _, total in summed))
        self._sums = [(f, self._totals.index(total), SCALES.get(str(f.column))) for f, total in summed]
        self._counts = [f for f in features if f.function == "count"]
        self._others = [f for f in features if f.function not in (*_SUMS, "count")]

    def of(self, rows: Rows, as_of_day: float) -> dict[str, Array]:
        """Return each feature, one value per customer; null is NaN."""
        return next(self.at_each(rows, [as_of_day]))

    def at_each(self, rows: Rows, as_of_days: Sequence[float]) -> Iterator[dict[str, Array]]:
        """Yield what :meth:`of` returns for each date; what the dates share is worked out once.

        Rows at or after a date do not enter it.
        """
        dates = [{window: _days(window, as_of_day) for window in self._windows} for as_of_day in as_of_days]
        shared = _Shared(rows, {day for windows in dates for days in windows.values() for day in days}, len(dates) > 1)
        totals = _running([self._total(rows, *total) for total in self._totals], len(rows.day))
        for as_of_day, windows in zip(as_of_days, dates, strict=True):
            yield self._at(shared, totals, as_of_day, windows)

    def _at(
        self, shared: _Shared, totals: NDArray[Any], as_of_day: float, windows: Mapping[Window, Days]
    ) -> dict[str, Array]:
        slices = {window: Slice(shared.first[begin], shared.first[end]) for window, (begin, end) in windows.items()}
        found = {f.name: slices[f.window_days].count.astype(np.float64) for f in self._counts}
        for feature, total, scale in self._sums:
            begin, end = (shared.total(totals, total, day) for day in windows[feature.window_days])
            value = (end - begin).astype(np.float64)
            if scale is not None:
                value /= scale
            found[feature.name] = value
            if feature.function != "sum":
                found[feature.name] = _over(feature, shared, slices[feature.window_days], value)
        for feature in self._others:
            found[feature.name] = _other(feature, shared, slices[feature.window_days], as_of_day)
        return found

    @staticmethod
    def _total(rows: Rows, column: str, squares: bool) -> NDArray[Any]:
        values = rows.column(column)
        return values * values if squares else values


def _days(window: Window, as_of_day: float) -> Days:
    """Return the first day that stands in a window at a date, and the first that is too new for it."""
    if window is None:
        return EVER, math.ceil(as_of_day)
    newer, older = window
    return math.ceil(as_of_day - older), math.ceil(as_of_day - newer)


@dataclass(frozen=True)
class Slice:
    """Of each customer, the rows that stand in a window: the first of them, and the one after the last."""

    low: Integers
    high: Integers

    @property
    def count(self) -> Integers:
        return self.high - self.low


class _Shared:
    """What windows and dates share of some rows; a column, or what is made of it, is kept once it was asked for.

    Parameters
    ----------
    days
        Before which rows are to be told apart.
    several
        Whether there are several dates.
    """

    def __init__(self, rows: Rows, days: Iterable[int], several: bool) -> None:
        self.rows, self.several = rows, several
        self.first = _firsts(rows, sorted(days))
        self._kept: dict[tuple[str, str | int, int], Any] = {}

    def _keep(self, what: str, name: str | int, make: Callable[[], Any], day: int = 0) -> Any:
        if (what, name, day) not in self._kept:
            self._kept[what, name, day] = make()
        return self._kept[what, name, day]

    def total(self, totals: NDArray[Any], which: int, day: int) -> NDArray[Any]:
        """Return a running total of each customer as it stood before a day."""
        found: NDArray[Any] = self._keep("total", which, lambda: totals[which][self.first[day]], day)
        return found

    def column(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self._keep("column", name, lambda: self.rows.column(name))
        return found

    def given(self, name: str) -> NDArray[np.bool_] | None:
        found: NDArray[np.bool_] | None = self._keep("given", name, lambda: self.rows.given(name))
        return found

    def how_many(self, name: str, of: Slice) -> Integers:
        """Return how many rows of each slice have a column."""
        if (given := self.given(name)) is None:
            return of.count
        before = self._keep("how many", name, lambda: _running([given], len(self.rows.day))[0])
        return np.asarray(before[of.high] - before[of.low])

    def numbers(self, name: str) -> Array:
        """Return a column as doubles, NaN where a row does not have it."""

        def make() -> Array:
            given, numbers = self.given(name), self.column(name).astype(np.float64)
            return numbers if given is None else np.where(given, numbers, np.nan)

        found: Array = self._keep("numbers", name, make)
        return found

    def reduced(self, function: np.ufunc, name: str, values: NDArray[Any], of: Slice, window: Window) -> NDArray[Any]:
        """Return a reduction of each slice of some values; that of an empty one means nothing."""
        if window is None and self.several:
            # all that stood before a date: reduced once up to every row, and looked up there
            so_far = self._keep(function.__name__, name, lambda: _so_far(function, values, self.rows))
            return np.asarray(so_far[of.high - 1])
        padded = np.append(values, values[-1])
        return np.asarray(function.reduceat(padded, np.column_stack([of.low, of.high]).ravel())[::2])


def _firsts(rows: Rows, days: Sequence[int]) -> dict[int, Integers]:
    """Return for each day where the first row of each customer stands, or would stand, that is not before it."""
    if rows.count == 1:
        return dict(zip(days, np.searchsorted(rows.day, days)[:, None], strict=True))
    # counted for all days in one go over the rows, which costs less than to look for each customer's
    before = np.zeros((len(rows.day) + 1, len(days)), dtype=np.int32)
    np.cumsum(rows.day[:, None] < np.array(days), axis=0, out=before[1:])
    firsts = np.diff(before[rows.bounds], axis=0) + rows.bounds[:-1, None]
    return dict(zip(days, np.ascontiguousarray(firsts.T), strict=True))


def _so_far(function: np.ufunc, values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """Return a reduction of each row and those of its customer before it."""
    found = values.copy()
    place = np.arange(len(values)) - np.repeat(rows.bounds[:-1], np.diff(rows.bounds))
    step = 1
    while len(reached := np.flatnonzero(place >= step)):
        # each row has twice as many in it as before
        found[reached] = function(found[reached], found[reached - step])
        step *= 2
    return found


def _over(feature: Feature, shared: _Shared, of: Slice, total: Array) -> Array:
    """Return a mean, or a sum of squares that is null where there is nothing to square."""
    count = shared.how_many(_column(feature), of)
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


def _other(feature: Feature, shared: _Shared, of: Slice, as_of_day: float) -> Array:
    if feature.column == "age":  # the least age is that of the latest day
        days = replace(feature, column="day", function="max" if feature.function == "min" else "min")
        return as_of_day - _other(days, shared, of, as_of_day)
    rows, some, name = shared.rows, of.high > of.low, _column(feature)
    if not len(rows.day):
        return np.zeros(rows.count) if feature.function == "distinct" else np.full(rows.count, np.nan)
    first, last = np.minimum(of.low, len(rows.day) - 1), of.high - 1
    if feature.function == "distinct":
        bits = shared.reduced(np.bitwise_or, name, shared.column(name), of, feature.window_days)
        return np.where(some, np.bitwise_count(bits), 0).astype(np.float64)
    given = shared.given(name)
    if given is None and feature.column == "day" and feature.function in ("min", "max"):
        return np.where(some, rows.day[first if feature.function == "min" else last], np.nan)
    if feature.function in ("first", "last"):
        at = first if feature.function == "first" else last
        there = some if given is None else some & given[at]
        result = np.where(there, shared.column(name)[at], np.nan)
    else:
        best = np.fmin if feature.function == "min" else np.fmax
        result = np.where(some, shared.reduced(best, name, shared.numbers(name), of, feature.window_days), np.nan)
    scale = SCALES.get(str(feature.column))
    return np.asarray(result / scale if scale else result, dtype=np.float64)

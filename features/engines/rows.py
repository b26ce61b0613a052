"""A catalogue's aggregates over rows in memory that are ordered by customer and day: NumPy, many
customers at once.

The rows of a customer that stand in a window are a slice, so each window is found once for all
customers, and each sum is the difference of two running totals. These are of whole numbers, which
are exact, also where they wrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog.feature import SCALES, Feature

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
    customer
        0, 1, 2, ..., below ``count``.
    day
        whole days since 1970.
    column
        name of a column -> its whole numbers; money in millionths. A null is 0, see ``given``.
    given
        name of a column -> which rows have it, or None: all.
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
        place = {window: k for k, window in enumerate(self._windows)}
        summed = [
            (f, (_column(f), f.function == "sum_of_squares"))
            for f in features
            if f.function in _SUMS
        ]
        self._totals = list(dict.fromkeys(total for _, total in summed))
        self._sums = [
            (f, self._totals.index(total), place[f.window_days], SCALES.get(str(f.column)))
            for f, total in summed
        ]
        self._counts = [(f.name, place[f.window_days]) for f in features if f.function == "count"]
        others = [f for f in features if f.function not in (*_SUMS, "count")]
        self._others = [(_of_day(f), place[f.window_days], f.column == "age") for f in others]

    def of(self, rows: Rows, as_of_day: float) -> dict[str, Array]:
        """Return each feature, one value per customer; null is NaN."""
        return next(self.at_each(rows, [as_of_day]))

    def at_each(self, rows: Rows, as_of_days: Sequence[float]) -> Iterator[dict[str, Array]]:
        """Yield what :meth:`of` returns for each date; what the dates share is worked out once.

        Rows at or after a date do not enter it.
        """
        place: dict[int, int] = {}
        dates = [
            [
                tuple(place.setdefault(day, len(place)) for day in _days(window, date))
                for window in self._windows
            ]
            for date in as_of_days
        ]
        shared = _Shared(rows, list(place), len(dates) > 1)
        totals = _running([self._total(rows, *total) for total in self._totals], len(rows.day))
        for as_of_day, windows in zip(as_of_days, dates, strict=True):
            yield self._at(shared, totals, as_of_day, windows)

    def _at(
        self,
        shared: _Shared,
        totals: NDArray[Any],
        as_of_day: float,
        windows: Sequence[tuple[int, ...]],
    ) -> dict[str, Array]:
        slices = [Slice(shared.first[begin], shared.first[end]) for begin, end in windows]
        found = {name: slices[window].lengths.astype(np.float64) for name, window in self._counts}
        difference = self._differences(shared, totals, windows)
        for feature, total, window, scale in self._sums:
            value = difference(total, window)
            if scale is not None:
                value = value / scale
            found[feature.name] = (
                value
                if feature.function == "sum"
                else _over(feature, shared, slices[window], value)
            )
        for feature, window, is_age in self._others:
            value = _other(feature, shared, slices[window])
            found[feature.name] = as_of_day - value if is_age else value
        return found

    def _differences(
        self, shared: _Shared, totals: NDArray[Any], windows: Sequence[tuple[int, ...]]
    ) -> Callable[[int, int], Array]:
        """Return what gives a sum within a window; of one date all are worked out at once, of
        several those asked.
        """
        if shared.several or not self._sums:

            def between(total: int, window: int) -> Array:
                begin, end = (shared.total(totals, total, at) for at in windows[window])
                return np.asarray(end - begin, dtype=np.float64)

            return between
        low, high = (shared.first[list(at)] for at in zip(*windows, strict=True))
        every = (totals[:, high] - totals[:, low]).astype(np.float64)
        return lambda total, window: every[total, window]

    @staticmethod
    def _total(rows: Rows, column: str, squares: bool) -> NDArray[Any]:
        values = rows.column(column)
        return values * values if squares else values


def _days(window: Window, as_of_day: float) -> Days:
    """Return the first day that stands in a window at a date, and the first that is too new for
    it.
    """
    if window is None:
        return EVER, math.ceil(as_of_day)
    newer, older = window
    return math.ceil(as_of_day - older), math.ceil(as_of_day - newer)


class Slice(NamedTuple):
    """Of each customer, the rows that stand in a window: the first of them, and the one after
    the last.
    """

    low: Integers
    high: Integers

    @property
    def lengths(self) -> Integers:
        return self.high - self.low

    def first(self, rows: Rows) -> Integers:
        """Return the first row of each, or some row where there is none."""
        return np.minimum(self.low, len(rows.day) - 1)


class _Shared:
    """What windows and dates share of some rows; a column, or what is made of it, is kept once it
    was asked for.

    Parameters
    ----------
    days
        Before which rows are to be told apart; ``first`` has a row for each, see :func:`_firsts`.
    several
        Whether there are several dates.
    """

    def __init__(self, rows: Rows, days: Sequence[int], several: bool) -> None:
        self.rows, self.several = rows, several
        self.first = _firsts(rows, days)
        self._kept: dict[tuple[str | int, str | int], Any] = {}
        self._columns: dict[str, NDArray[Any]] = {}

    def _keep(self, what: str | int, of: str | int, make: Callable[[], Any]) -> Any:
        if (what, of) not in self._kept:
            self._kept[what, of] = make()
        return self._kept[what, of]

    def total(self, totals: NDArray[Any], which: int, at: int) -> NDArray[Any]:
        """Return a running total of each customer as it stood before one of the days."""
        found: NDArray[Any] = self._keep(which, at, lambda: totals[which][self.first[at]])
        return found

    def column(self, name: str) -> NDArray[Any]:
        # one customer's columns take less time to make than to keep by way of a function
        if name not in self._columns:
            self._columns[name] = self.rows.column(name)
        return self._columns[name]

    def how_many(self, name: str, of: Slice) -> Integers:
        """Return how many rows of each slice have a column."""
        if (given := self.rows.given(name)) is None:
            return of.lengths
        before = self._keep("how many", name, lambda: _running([given], len(self.rows.day))[0])
        return np.asarray(before[of.high] - before[of.low])

    def numbers(self, name: str) -> Array:
        """Return a column as doubles, NaN where a row does not have it."""

        def make() -> Array:
            given, numbers = self.rows.given(name), self.column(name).astype(np.float64)
            return numbers if given is None else np.where(given, numbers, np.nan)

        found: Array = self._keep("numbers", name, make)
        return found

    def reduced(
        self, function: np.ufunc, name: str, values: NDArray[Any], of: Slice, window: Window
    ) -> NDArray[Any]:
        """Return a reduction of each slice of some values; that of an empty one means nothing."""
        if window is None and self.several:
            # all that stood before a date: reduced once up to every row, and looked up there
            so_far = self._keep(
                function.__name__, name, lambda: _so_far(function, values, self.rows)
            )
            return np.asarray(so_far[of.high - 1])
        ends = np.empty(2 * len(of.low), dtype=np.int64)
        ends[::2], ends[1::2] = of
        # an end may stand behind the last row
        return np.asarray(function.reduceat(np.concatenate([values, values[-1:]]), ends)[::2])


def _firsts(rows: Rows, days: Sequence[int]) -> Integers:
    """Return where the first row of each customer stands, or would stand, that is not before a
    day; a row per day.
    """
    if rows.count == 1:
        return np.searchsorted(rows.day, days)[:, None]
    # counted for all days in one go over the rows, which costs less than to look for each
    # customer's
    before = np.zeros((len(rows.day) + 1, len(days)), dtype=np.int32)
    np.cumsum(rows.day[:, None] < np.array(days), axis=0, out=before[1:])
    return np.ascontiguousarray((np.diff(before[rows.bounds], axis=0) + rows.bounds[:-1, None]).T)


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


def _of_day(feature: Feature) -> Feature:
    """Return a feature of ages as one of days: the age of the latest day is the least."""
    if feature.column != "age":
        return feature
    return replace(feature, column="day", function="max" if feature.function == "min" else "min")


def _other(feature: Feature, shared: _Shared, of: Slice) -> Array:
    rows, some, name = shared.rows, of.high > of.low, _column(feature)
    if not len(rows.day):
        return (
            np.zeros(rows.count) if feature.function == "distinct" else np.full(rows.count, np.nan)
        )
    if feature.function == "distinct":
        bits = shared.reduced(np.bitwise_or, name, shared.column(name), of, feature.window_days)
        return np.where(some, np.bitwise_count(bits), 0).astype(np.float64)
    given = rows.given(name)
    if given is None and feature.column == "day" and feature.function in ("min", "max"):
        return np.where(
            some, rows.day[of.first(rows) if feature.function == "min" else of.high - 1], np.nan
        )
    if feature.function in ("first", "last"):
        at = of.first(rows) if feature.function == "first" else of.high - 1
        there = some if given is None else some & given[at]
        result = np.where(there, shared.column(name)[at], np.nan)
    else:
        best = np.fmin if feature.function == "min" else np.fmax
        result = np.where(
            some, shared.reduced(best, name, shared.numbers(name), of, feature.window_days), np.nan
        )
    scale = SCALES.get(str(feature.column))
    return np.asarray(result / scale if scale else result, dtype=np.float64)

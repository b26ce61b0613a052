"""Aggregates of a catalogue over rows in memory, for many customers at once in NumPy.

Rows are ordered by customer and day, so the rows of a customer in a window are a slice. Each window
is located once for all customers, and each sum is the difference of two running totals. The totals
are of integers, so these differences are exact even if a total overflows and wraps around.
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

BEFORE_ALL_DAYS = -(2**31)
"""A day before every event."""

TYPE_SEPARATOR = "\x1f"
"""Separates event types in the name of a column."""

_SUMS = ("sum", "mean", "sum_of_squares")


@dataclass(frozen=True)
class Rows:
    """Rows of one relation, ordered by customer and then by day.

    Parameters
    ----------
    count
        Number of customers.
    customer
        0, 1, 2, ..., below ``count``, shape (n_rows,).
    day
        Days since 1970, UTC.
    column
        Name of a column -> its integers, shape (n_rows,); money in millionths. A null is 0, see
        ``validity``.
    validity
        Name of a column -> mask of the rows that have a value, or None if all have one.
    """

    count: int
    customer: Integers
    day: Integers
    column: Callable[[str], NDArray[Any]]
    validity: Callable[[str], NDArray[np.bool_] | None]

    @cached_property
    def bounds(self) -> Integers:
        """First row of each customer, then the number of rows; shape (count + 1,)."""
        return np.searchsorted(self.customer, np.arange(self.count + 1))


class _Total(NamedTuple):
    """A column whose running total is needed, or the squares of a column."""

    column: str
    squared: bool


class _Sum(NamedTuple):
    """A feature computed from the difference of a running total between the ends of a window.

    ``total`` and ``window`` are positions; ``scale`` is the divisor of :data:`SCALES`.
    """

    feature: Feature
    total: int
    window: int
    scale: float | None


class _RowFeature(NamedTuple):
    """A feature computed from the rows of a window; ``window`` is a position.

    ``is_age``: the feature is the age of the day that is computed.
    """

    feature: Feature
    window: int
    is_age: bool


class Aggregates:
    """Aggregates of one relation, prepared once to be computed for many sets of rows.

    Parameters
    ----------
    features
        Aggregates of ``days``, ``log`` or ``types``.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._windows: list[Window] = list(dict.fromkeys(f.window_days for f in features))
        position = {window: k for k, window in enumerate(self._windows)}
        sums = [
            (f, _Total(_column(f), f.function == "sum_of_squares"))
            for f in features
            if f.function in _SUMS
        ]
        self._totals = list(dict.fromkeys(total for _, total in sums))
        self._sums = [
            _Sum(f, self._totals.index(total), position[f.window_days], SCALES.get(str(f.column)))
            for f, total in sums
        ]
        self._counts = [
            (f.name, position[f.window_days]) for f in features if f.function == "count"
        ]
        self._row_features = [
            _RowFeature(_by_day(f), position[f.window_days], f.column == "age")
            for f in features
            if f.function not in (*_SUMS, "count")
        ]

    def at_date(self, rows: Rows, as_of_day: float) -> dict[str, Array]:
        """Return each feature at one date.

        Parameters
        ----------
        rows
            Rows of the relation; those at or after the date are ignored.
        as_of_day
            Days from 1970 to the date.

        Returns
        -------
        dict
            Name -> values, shape (n_customers,); null is NaN.
        """
        return next(self.at_dates(rows, [as_of_day]))

    def at_dates(self, rows: Rows, as_of_days: Sequence[float]) -> Iterator[dict[str, Array]]:
        """Yield the result of :meth:`at_date` for each date; computes what dates share only once.

        Parameters
        ----------
        rows
            Rows of the relation; those at or after a date are ignored for it.
        as_of_days
            Days from 1970 to each date.
        """
        position: dict[int, int] = {}
        windows_of_dates = [
            [
                tuple(position.setdefault(day, len(position)) for day in _day_bounds(window, date))
                for window in self._windows
            ]
            for date in as_of_days
        ]
        shared = _Shared(rows, list(position), len(windows_of_dates) > 1)
        totals = _running_totals(
            [self._summands(rows, total) for total in self._totals], len(rows.day)
        )
        for as_of_day, windows in zip(as_of_days, windows_of_dates, strict=True):
            yield self._values(shared, totals, as_of_day, windows)

    def _values(
        self,
        shared: _Shared,
        totals: NDArray[Any],
        as_of_day: float,
        windows: Sequence[tuple[int, ...]],
    ) -> dict[str, Array]:
        slices = [Slice(shared.first[begin], shared.first[end]) for begin, end in windows]
        values = {name: slices[window].lengths.astype(np.float64) for name, window in self._counts}
        difference = self._differences(shared, totals, windows)
        for feature, total, window, scale in self._sums:
            value = difference(total, window)
            if scale is not None:
                value = value / scale
            values[feature.name] = (
                value
                if feature.function == "sum"
                else _mean_or_squares(feature, shared, slices[window], value)
            )
        for feature, window, is_age in self._row_features:
            value = _row_value(feature, shared, slices[window])
            values[feature.name] = as_of_day - value if is_age else value
        return values

    def _differences(
        self, shared: _Shared, totals: NDArray[Any], windows: Sequence[tuple[int, ...]]
    ) -> Callable[[int, int], Array]:
        """Return a function of a total and a window that returns the sum within the window.

        For a single date all sums are computed at once, for several dates each when it is called.
        """
        if shared.several or not self._sums:

            def between(total: int, window: int) -> Array:
                begin, end = (shared.total(totals, total, bound) for bound in windows[window])
                return np.asarray(end - begin, dtype=np.float64)

            return between
        low, high = (shared.first[list(bounds)] for bounds in zip(*windows, strict=True))
        sums = (totals[:, high] - totals[:, low]).astype(np.float64)
        return lambda total, window: sums[total, window]

    @staticmethod
    def _summands(rows: Rows, total: _Total) -> NDArray[Any]:
        values = rows.column(total.column)
        return values * values if total.squared else values


def _day_bounds(window: Window, as_of_day: float) -> Days:
    """Return the first day within a window at a date, and the first day after the window."""
    if window is None:
        return BEFORE_ALL_DAYS, math.ceil(as_of_day)
    newer, older = window
    return math.ceil(as_of_day - older), math.ceil(as_of_day - newer)


class Slice(NamedTuple):
    """For each customer, the first row within a window and the first row after it."""

    low: Integers
    high: Integers

    @property
    def lengths(self) -> Integers:
        """Number of rows of each slice."""
        return self.high - self.low

    def first(self, rows: Rows) -> Integers:
        """Return the first row of each slice; an arbitrary valid row for an empty slice."""
        return np.minimum(self.low, len(rows.day) - 1)


class _Shared:
    """Intermediate results over some rows that windows and dates share, computed once each.

    Parameters
    ----------
    rows
        Rows of the relation.
    days
        Bounds of the windows at all dates; ``first`` has a row per bound, see :func:`_first_rows`.
    several
        Whether there are several dates.
    """

    def __init__(self, rows: Rows, days: Sequence[int], several: bool) -> None:
        self.rows, self.several = rows, several
        self.first = _first_rows(rows, days)
        self._cache: dict[tuple[str | int, str | int], Any] = {}
        self._columns: dict[str, NDArray[Any]] = {}

    def _cached(self, kind: str | int, key: str | int, compute: Callable[[], Any]) -> Any:
        if (kind, key) not in self._cache:
            self._cache[kind, key] = compute()
        return self._cache[kind, key]

    def total(self, totals: NDArray[Any], position: int, bound: int) -> NDArray[Any]:
        """Return a running total before one of the days, shape (n_customers,).

        Parameters
        ----------
        totals
            Running totals, one row per total.
        position
            Row of ``totals``.
        bound
            Row of ``first``.
        """
        total: NDArray[Any] = self._cached(
            position, bound, lambda: totals[position][self.first[bound]]
        )
        return total

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of the rows."""
        # does not use _cached: for one customer the call would take longer than the column
        if name not in self._columns:
            self._columns[name] = self.rows.column(name)
        return self._columns[name]

    def valid_count(self, name: str, slices: Slice) -> Integers:
        """Return the number of rows of each slice that have a value in a column."""
        if (validity := self.rows.validity(name)) is None:
            return slices.lengths
        running_count = self._cached(
            "valid count", name, lambda: _running_totals([validity], len(self.rows.day))[0]
        )
        return np.asarray(running_count[slices.high] - running_count[slices.low])

    def numbers(self, name: str) -> Array:
        """Return a column as doubles, with NaN for null."""

        def compute() -> Array:
            validity, values = self.rows.validity(name), self.column(name).astype(np.float64)
            return values if validity is None else np.where(validity, values, np.nan)

        numbers: Array = self._cached("numbers", name, compute)
        return numbers

    def reduced(
        self, function: np.ufunc, name: str, values: NDArray[Any], slices: Slice, window: Window
    ) -> NDArray[Any]:
        """Return the reduction of each slice of ``values``; that of an empty slice is arbitrary.

        Parameters
        ----------
        function
            Binary ufunc.
        name
            Identifies ``values`` in the cache.
        values
            Values of the rows, shape (n_rows,).
        slices
            Rows of each customer within the window.
        window
            The window.
        """
        if window is None and self.several:
            # all rows before a date: reduce up to every row once, and look up each date
            running = self._cached(
                function.__name__, name, lambda: _running_reduction(function, values, self.rows)
            )
            return np.asarray(running[slices.high - 1])
        bounds = np.empty(2 * len(slices.low), dtype=np.int64)
        bounds[::2], bounds[1::2] = slices
        # a bound may be after the last row, which reduceat does not allow
        return np.asarray(function.reduceat(np.concatenate([values, values[-1:]]), bounds)[::2])


def _first_rows(rows: Rows, days: Sequence[int]) -> Integers:
    """Return for each day the position of each customer's first row at or after it.

    Shape (n_days, n_customers). It is the position after the customer's last row if all rows are
    before the day.
    """
    if rows.count == 1:
        return np.searchsorted(rows.day, days)[:, None]
    # one pass over the rows for all days costs less than a search for each customer
    before = np.zeros((len(rows.day) + 1, len(days)), dtype=np.int32)
    np.cumsum(rows.day[:, None] < np.array(days), axis=0, out=before[1:])
    return np.ascontiguousarray((np.diff(before[rows.bounds], axis=0) + rows.bounds[:-1, None]).T)


def _running_reduction(function: np.ufunc, values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """Return for each row the reduction of it and its customer's earlier rows."""
    result = values.copy()
    position = np.arange(len(values)) - np.repeat(rows.bounds[:-1], np.diff(rows.bounds))
    step = 1
    while len(later := np.flatnonzero(position >= step)):
        # doubles the number of rows that each result covers
        result[later] = function(result[later], result[later - step])
        step *= 2
    return result


def _mean_or_squares(feature: Feature, shared: _Shared, slices: Slice, total: Array) -> Array:
    """Return a mean or a sum of squares from its total; null for a slice without values."""
    count = shared.valid_count(_column(feature), slices)
    if feature.function == "mean":
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.where(count > 0, total, np.nan)


def _column(feature: Feature) -> str:
    """Return the name of a feature's column; event types make it a column of its own."""
    name = str(feature.column)
    return f"{name} of {TYPE_SEPARATOR.join(feature.events)}" if feature.events else name


def _running_totals(columns: Sequence[NDArray[Any]], length: int) -> NDArray[Any]:
    """Return running totals, one row per column, each beginning with 0."""
    dtype = object if any(column.dtype == object for column in columns) else np.int64
    totals = np.zeros((len(columns), length + 1), dtype=dtype)
    for total, column in zip(totals, columns, strict=True):
        total[1:] = column
    return np.asarray(totals.cumsum(axis=1))


def _by_day(feature: Feature) -> Feature:
    """Return a feature of ages as one of days: the lowest age is that of the latest day."""
    if feature.column != "age":
        return feature
    return replace(feature, column="day", function="max" if feature.function == "min" else "min")


def _row_value(feature: Feature, shared: _Shared, slices: Slice) -> Array:
    """Return a minimum, maximum, first, last or number of distinct values of each slice."""
    rows, not_empty, name = shared.rows, slices.high > slices.low, _column(feature)
    if not len(rows.day):
        return (
            np.zeros(rows.count) if feature.function == "distinct" else np.full(rows.count, np.nan)
        )
    if feature.function == "distinct":
        bits = shared.reduced(np.bitwise_or, name, shared.column(name), slices, feature.window_days)
        return np.where(not_empty, np.bitwise_count(bits), 0).astype(np.float64)
    validity = rows.validity(name)
    if validity is None and feature.column == "day" and feature.function in ("min", "max"):
        row = slices.first(rows) if feature.function == "min" else slices.high - 1
        return np.where(not_empty, rows.day[row], np.nan)
    if feature.function in ("first", "last"):
        row = slices.first(rows) if feature.function == "first" else slices.high - 1
        is_valid = not_empty if validity is None else not_empty & validity[row]
        result = np.where(is_valid, shared.column(name)[row], np.nan)
    elif feature.function not in ("min", "max"):
        raise NotImplementedError(f"rows have no function '{feature.function}' ({feature.name})")
    else:
        extreme = np.fmin if feature.function == "min" else np.fmax
        result = np.where(
            not_empty,
            shared.reduced(extreme, name, shared.numbers(name), slices, feature.window_days),
            np.nan,
        )
    scale = SCALES.get(str(feature.column))
    return np.asarray(result / scale if scale else result, dtype=np.float64)

"""Evaluates a catalogue in NumPy at many dates of a log without refunds and late records.

    rows of daily -> DailyRows -> aggregates of a part of the customers -> formulas, date by date
        -> columns of all customers

A past day of such a log (:attr:`stagecast.features.engines.sql.Shape.plain`) is the same at every
later date, so dates differ only in which rows come before them. Rows are ordered, and running
totals computed, once for all dates; SQL would do both again for each date. Aggregates and formulas
are those of :mod:`stagecast.features.engines.rows` and :mod:`stagecast.features.catalog.formula`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.catalog import formula
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.clock import DAY_MICROSECONDS, calendar
from stagecast.features.engines.relations import purchase_day_rows
from stagecast.features.engines.rows import Aggregates, Rows
from stagecast.features.files.in_order import Range, map_in_order

# Small enough that intermediate results stay in a core's cache, large enough to keep the number of
# NumPy calls low.
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class DailyRows:
    """Rows of ``daily`` of a plain log, ordered by customer and day.

    Parameters
    ----------
    bounds
        First row of each customer, then the number of rows; shape (n_customers + 1,).
    day
        Days since 1970, UTC, shape (n_rows,).
    columns
        ``purchases``, ``gross_spend`` and the other columns of ``log`` that features use; integers,
        money in millionths.
    """

    bounds: Integers
    day: Integers
    columns: Mapping[str, Integers]

    @classmethod
    def of(
        cls, count: int, customer: Integers, day: Integers, columns: Mapping[str, Integers]
    ) -> DailyRows:
        """Return rows ordered by customer and day.

        Parameters
        ----------
        count
            Number of customers; each has at least one row.
        customer
            0, 1, 2, ..., below ``count``, shape (n_rows,).
        day
            Days since 1970, UTC.
        columns
            Name -> integers.
        """
        first_day = day.min()
        order = np.argsort(customer * (day.max() - first_day + 1) + (day - first_day))
        bounds = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(np.bincount(customer, minlength=count), out=bounds[1:])
        return cls(bounds, day[order], {name: column[order] for name, column in columns.items()})

    def parts(self) -> list[Range]:
        """Return ranges of customers with about :data:`ROWS_AT_ONCE` rows each."""
        cuts = np.searchsorted(self.bounds, np.arange(0, self.bounds[-1], ROWS_AT_ONCE))
        return list(itertools.pairwise(np.unique([*cuts, len(self.bounds) - 1]).tolist()))

    def relations(self, low: int, high: int) -> tuple[Rows, Rows]:
        """Return the relations ``days`` and ``log`` of the customers in ``[low, high)``.

        In the result these customers are numbered from 0.

        Parameters
        ----------
        low, high
            First customer, and the one after the last.
        """
        first, last = self.bounds[low], self.bounds[high]
        count, day = high - low, self.day[first:last]
        customer = np.repeat(np.arange(count), np.diff(self.bounds[low : high + 1]))

        def column(name: str) -> NDArray[Any]:
            return day if name in ("day", "active_day") else self.columns[name][first:last]

        def validity(name: str) -> NDArray[np.bool_] | None:
            return column("activity") > 0 if name == "active_day" else None

        is_purchase_day, spend = column("purchases") > 0, column("gross_spend")
        return (
            purchase_day_rows(
                count, customer[is_purchase_day], day[is_purchase_day], spend[is_purchase_day]
            ),
            Rows(count, customer, day, column, validity),
        )


@dataclass(frozen=True)
class Dates:
    """Dates at which features are computed, and the customers known at each.

    Rows of the result are ordered by date in the order of ``backs``, then by customer.

    Parameters
    ----------
    backs
        Whole days before the anchor, ascending.
    calendars
        For each date, name of :data:`stagecast.features.catalog.feature.CALENDAR` -> value.
    before
        For each date, the number of its rows before those of each customer, then the number of its
        rows; shape (n_customers + 1,).
    """

    backs: tuple[int, ...]
    calendars: tuple[Mapping[str, float], ...]
    before: tuple[Integers, ...]

    @classmethod
    def of(cls, rows: DailyRows, anchor: int, backs: Sequence[int]) -> Dates:
        """Return the dates at which features of ``rows`` are computed.

        Parameters
        ----------
        rows
            Rows of the log.
        anchor
            The as_of, microseconds since 1970, UTC.
        backs
            Whole days before the anchor, in any order.
        """
        distinct_backs = tuple(sorted(set(backs)))
        calendars = tuple(calendar(anchor - back * DAY_MICROSECONDS) for back in distinct_backs)
        first_day = rows.day[rows.bounds[:-1]]
        return cls(
            distinct_backs,
            calendars,
            tuple(np.append(0, np.cumsum(first_day < values["as_of_day"])) for values in calendars),
        )

    @property
    def ends(self) -> Integers:
        """Number of rows of the result up to the end of each date."""
        return np.cumsum([before[-1] for before in self.before])

    def keys(self) -> dict[str, NDArray[Any]]:
        """Return the columns ``customer`` and ``back`` of the result."""
        customer = np.concatenate([np.flatnonzero(np.diff(before)) for before in self.before])
        counts = [before[-1] for before in self.before]
        return {
            "customer": customer,
            "back": np.repeat(np.array(self.backs, dtype=np.int32), counts),
        }


def plain_features(
    catalog: Catalog,
    rows: DailyRows,
    dates: Dates,
    absent: Sequence[Feature],
    precomputed: Mapping[str, Array],
    threads: int,
) -> dict[str, NDArray[Any]]:
    """Return ``customer``, ``back`` and every feature, one row per date and known customer.

    Parameters
    ----------
    catalog
        With its parameters set, see :meth:`Catalog.check_filled`.
    rows
        Rows of the log.
    dates
        Dates at which to compute the features.
    absent
        Aggregates for which the log has no events. They, and formulas of them alone, are constants:
        their columns take no memory and are read-only.
    precomputed
        Aggregates that are already computed, name -> values in the order of the result.
    threads
        Number of threads.

    Returns
    -------
    dict
        Name -> values, shape (n_rows,); null is NaN.
    """
    constants, varying = _constants_and_varying(catalog, absent, precomputed)
    days, log = (
        Aggregates([f for f in varying if f.relation == relation]) for relation in ("days", "log")
    )
    formulas = [(f.name, formula.compiled(f.formula)) for f in varying if f.formula is not None]
    as_of_days = [values["as_of_day"] for values in dates.calendars]
    total = int(dates.ends[-1])
    computed = {feature.name: np.empty(total) for feature in varying}

    def compute(part: Range) -> None:
        low, high = part
        day_rows, log_rows = rows.relations(low, high)
        aggregates_by_date = zip(
            days.at_dates(day_rows, as_of_days), log.at_dates(log_rows, as_of_days), strict=True
        )
        for aggregates, calendar_values, before, end in zip(
            aggregates_by_date, dates.calendars, dates.before, dates.ends, strict=True
        ):
            is_known = np.diff(before[low : high + 1]) > 0
            target = slice(*(end - before[-1] + before[[low, high]]))
            values: dict[str, Array | float] = {
                **constants,
                **calendar_values,
                **{name: column[target] for name, column in precomputed.items()},
            }
            for columns in aggregates:
                values |= (
                    columns
                    if is_known.all()
                    else {name: column[is_known] for name, column in columns.items()}
                )
            formula.evaluate_all(formulas, values)
            for name, column in computed.items():
                column[target] = values[name]

    for _ in map_in_order(compute, rows.parts(), threads if threads > 1 else 0):
        pass
    arrays = {**precomputed, **computed}
    features = {
        name: arrays[name]
        if name in arrays
        else np.broadcast_to(np.float64(constants[name]), total)
        for name in catalog.names
    }
    return {**dates.keys(), **features}


def _constants_and_varying(
    catalog: Catalog, absent: Sequence[Feature], precomputed: Mapping[str, Array]
) -> tuple[dict[str, Array | float], list[Feature]]:
    """Return the constant features with the parameters, and the features to compute per customer.

    Constant features have the same value for every customer and date.
    """
    constants: dict[str, Array | float] = {
        **catalog.parameters,
        **{feature.name: feature.empty_value for feature in absent},
    }
    varying = []
    for feature in catalog.features:
        if feature.formula is not None and formula.names(feature.formula) <= constants.keys():
            constants[feature.name] = formula.evaluate(feature.formula, constants)
        elif feature.name not in constants and feature.name not in precomputed:
            varying.append(feature)
    return constants, varying

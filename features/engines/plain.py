"""The catalogue at many dates of a log without refunds and late records: NumPy over its days, once
for all dates.

    rows of daily -> DailyRows -> some customers at a time: aggregates -> formulas, date after date
        -> whole columns

A day of such a log (:attr:`stagecast.features.engines.sql.Shape.plain`) looks the same whenever one
looks at it, so dates differ only in where the rows end that count. The rows are ordered, and their
running totals made, once; SQL would do both anew for each date. Aggregates and formulas are those
of :mod:`stagecast.features.engines.rows` and :mod:`stagecast.features.catalog.formula`.
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
from stagecast.features.engines.relations import days_of
from stagecast.features.engines.rows import Aggregates, Rows
from stagecast.features.in_order import Range, map_in_order

# So many that what is made of them stays in a core's cache, and few enough calls of NumPy.
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class DailyRows:
    """Rows of ``daily`` of a plain log, ordered by customer and day.

    Parameters
    ----------
    bounds
        First row of each customer, and the number of rows.
    day
        Whole days since 1970.
    columns
        ``purchases``, ``gross_spend`` and what else is asked of ``log``: whole numbers, money in
        millionths.
    """

    bounds: Integers
    day: Integers
    columns: Mapping[str, Integers]

    @classmethod
    def of(
        cls, count: int, customer: Integers, day: Integers, columns: Mapping[str, Integers]
    ) -> DailyRows:
        """Order the rows of so many customers 0, 1, 2, ..., each of whom has one."""
        low = day.min()
        order = np.argsort(customer * (day.max() - low + 1) + (day - low))
        bounds = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(np.bincount(customer, minlength=count), out=bounds[1:])
        return cls(bounds, day[order], {name: column[order] for name, column in columns.items()})

    def parts(self) -> list[Range]:
        """Return ranges of customers who have about so many rows together as are worked out at
        once.
        """
        cuts = np.searchsorted(self.bounds, np.arange(0, self.bounds[-1], ROWS_AT_ONCE))
        return list(itertools.pairwise(np.unique([*cuts, len(self.bounds) - 1]).tolist()))

    def relations(self, low: int, high: int) -> tuple[Rows, Rows]:
        """Return ``days`` and ``log`` of the customers from one to before another, who count
        from 0.
        """
        first, last = self.bounds[low], self.bounds[high]
        count, day = high - low, self.day[first:last]
        customer = np.repeat(np.arange(count), np.diff(self.bounds[low : high + 1]))

        def column(name: str) -> NDArray[Any]:
            return day if name in ("day", "active_day") else self.columns[name][first:last]

        def given(name: str) -> NDArray[np.bool_] | None:
            return column("activity") > 0 if name == "active_day" else None

        bought, spend = column("purchases") > 0, column("gross_spend")
        return (
            days_of(count, customer[bought], day[bought], spend[bought]),
            Rows(count, customer, day, column, given),
        )


@dataclass(frozen=True)
class Dates:
    """The dates that are asked about, oldest last, and who was known at each; rows are in their
    order.

    Parameters
    ----------
    says
        What the calendar says of each, see :data:`stagecast.features.catalog.feature.CALENDAR`.
    before
        For each date, how many of its rows stand before each customer's; the last is the number of
        its rows.
    """

    backs: tuple[int, ...]
    says: tuple[Mapping[str, float], ...]
    before: tuple[Integers, ...]

    @classmethod
    def of(cls, rows: DailyRows, anchor: int, backs: Sequence[int]) -> Dates:
        """Look at dates that stand whole days before the anchor, which is in microseconds since
        1970.
        """
        each = tuple(sorted(set(backs)))
        says = tuple(calendar(anchor - back * DAY_MICROSECONDS) for back in each)
        begins = rows.day[rows.bounds[:-1]]
        return cls(
            each, says, tuple(np.append(0, np.cumsum(begins < one["as_of_day"])) for one in says)
        )

    @property
    def ends(self) -> Integers:
        """How many rows there are up to the end of each date."""
        return np.cumsum([before[-1] for before in self.before])

    def keys(self) -> dict[str, NDArray[Any]]:
        """Return ``customer`` and ``back`` of each row."""
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
    beside: Mapping[str, Array],
    threads: int,
) -> dict[str, NDArray[Any]]:
    """Return ``customer``, ``back`` and every feature, one row per customer known at a date; null
    is NaN.

    Parameters
    ----------
    catalog
        With its parameters set; see :meth:`Catalog.check_filled`.
    absent
        Aggregates of what the log has not. They, and what is made of them alone, are one number:
        their columns take no memory, and cannot be written to.
    beside
        Aggregates that are worked out already, in the order of the rows.
    """
    constant, varying = _parted(catalog, absent, beside)
    days, log = (
        Aggregates([f for f in varying if f.relation == relation]) for relation in ("days", "log")
    )
    formulas = [(f.name, formula.compiled(f.formula)) for f in varying if f.formula is not None]
    as_of_days = [says["as_of_day"] for says in dates.says]
    total = int(dates.ends[-1])
    made = {feature.name: np.empty(total) for feature in varying}

    def work_out(some: Range) -> None:
        low, high = some
        of_days, of_log = rows.relations(low, high)
        found = zip(days.at_each(of_days, as_of_days), log.at_each(of_log, as_of_days), strict=True)
        for aggregates, says, before, end in zip(
            found, dates.says, dates.before, dates.ends, strict=True
        ):
            known = np.diff(before[low : high + 1]) > 0
            here = slice(*(end - before[-1] + before[[low, high]]))
            values: dict[str, Array | float] = {
                **constant,
                **says,
                **{name: of[here] for name, of in beside.items()},
            }
            for of_relation in aggregates:
                values |= (
                    of_relation
                    if known.all()
                    else {name: of[known] for name, of in of_relation.items()}
                )
            formula.evaluate_all(formulas, values)
            for name, column in made.items():
                column[here] = values[name]

    for _ in map_in_order(work_out, rows.parts(), threads if threads > 1 else 0):
        pass
    whole = {**beside, **made}
    columns = {
        n: whole[n] if n in whole else np.broadcast_to(np.float64(constant[n]), total)
        for n in catalog.names
    }
    return {**dates.keys(), **columns}


def _parted(
    catalog: Catalog, absent: Sequence[Feature], beside: Mapping[str, Array]
) -> tuple[dict[str, Array | float], list[Feature]]:
    """Return the features that are one number whoever is asked about, with the parameters; and
    what is to be made.
    """
    constant: dict[str, Array | float] = {
        **catalog.parameters,
        **{f.name: f.of_nothing for f in absent},
    }
    varying = []
    for feature in catalog.features:
        if feature.formula is not None and formula.names(feature.formula) <= constant.keys():
            constant[feature.name] = formula.evaluate(feature.formula, constant)
        elif feature.name not in constant and feature.name not in beside:
            varying.append(feature)
    return constant, varying

"""What a marketing manager asks about the lifecycle, as tables: stock, flows, durations, repeat
orders, value, cohorts.

    journeys, purchase days -> cut at the as_of -> one table per question -> Flows -> Parquet, JSON
                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Nothing that stands at or after the as_of enters any of them; what still lasts then is censored, not
counted as over.

What may be changed where: the calendar in :mod:`stagecast.features.describe.flows.periods`; who
stands where in :mod:`stagecast.features.describe.flows.stock`, who goes where in
:mod:`stagecast.features.describe.flows.transitions`; how long it takes in
:mod:`stagecast.features.describe.flows.durations`; the next order in
:mod:`stagecast.features.describe.flows.repeat`; the best customers in
:mod:`stagecast.features.describe.flows.pareto`; retention in
:mod:`stagecast.features.describe.flows.cohorts`. A new question is a new module here with one
function that returns a table, and a field of :class:`Flows`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stagecast.features.clock import from_microseconds, iso
from stagecast.features.describe.flows.cohorts import cohorts
from stagecast.features.describe.flows.durations import durations, time_to_stage
from stagecast.features.describe.flows.pareto import Concentration, pareto
from stagecast.features.describe.flows.past import bought_before
from stagecast.features.describe.flows.periods import UNITS, Periods, default_unit, periods
from stagecast.features.describe.flows.repeat import repeat
from stagecast.features.describe.flows.stock import stock
from stagecast.features.describe.flows.transitions import between, transitions
from stagecast.features.errors import UsageError
from stagecast.features.files import replaced, write_text
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

__all__ = [
    "UNITS",
    "Concentration",
    "Flows",
    "Periods",
    "Summary",
    "between",
    "cohorts",
    "default_unit",
    "durations",
    "flows",
    "pareto",
    "periods",
    "repeat",
    "stock",
    "time_to_stage",
    "transitions",
]


@dataclass(frozen=True)
class Summary:
    """The numbers that need no table.

    Parameters
    ----------
    customers
        Known at the as_of, buyers or not.
    buyers
        Those with a purchase.
    repeat_buyers
        Those with purchases on two days or more.
    orders
        Purchase days.
    spend
        Their money; None where the log has no amounts.
    concentration
        How unevenly value is spread over the buyers.
    """

    customers: int
    buyers: int
    repeat_buyers: int
    orders: int
    spend: float | None
    concentration: Concentration


@dataclass(frozen=True)
class Flows:
    """The lifecycle of all customers up to ``as_of`` (microseconds since 1970 UTC), by period of
    ``unit``.

    Each table's columns stand with the function that makes it:
    :func:`~stagecast.features.describe.flows.stock.stock`,
    :func:`~stagecast.features.describe.flows.transitions.transitions`,
    :func:`~stagecast.features.describe.flows.durations.durations` (``spells``),
    :func:`~stagecast.features.describe.flows.durations.time_to_stage`,
    :func:`~stagecast.features.describe.flows.repeat.repeat`,
    :func:`~stagecast.features.describe.flows.pareto.pareto` and
    :func:`~stagecast.features.describe.flows.cohorts.cohorts`.
    """

    as_of: int
    unit: str
    summary: Summary
    stock: pa.Table
    transitions: pa.Table
    spells: pa.Table
    time_to_stage: pa.Table
    repeat: pa.Table
    pareto: pa.Table
    cohorts: pa.Table

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables by name."""
        named = ("stock", "transitions", "spells", "time_to_stage", "repeat", "pareto", "cohorts")
        return {name: getattr(self, name) for name in named}

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON-ready values: a table is a list of rows, an instant is ISO
        8601 in UTC.
        """
        return {
            "as_of": iso(from_microseconds(self.as_of)),
            "unit": self.unit,
            "summary": asdict(self.summary),
            "tables": {name: _rows(table) for name, table in self.tables().items()},
        }

    def write(self, folder: Path) -> None:
        """Write ``<table>.parquet`` for each table, and ``flows.json`` last, each whole or not at
        all.

        Raises
        ------
        UsageError
            The folder cannot be made or written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be made: {error.strerror or error}; choose another folder"
            ) from None
        for name, table in self.tables().items():
            with replaced(folder / f"{name}.parquet") as draft:
                pq.write_table(table, draft)
        write_text(
            folder / "flows.json",
            json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False) + "\n",
        )


def flows(
    journeys: Journeys,
    days: PurchaseDays,
    customers: int,
    first_events: NDArray[np.int64],
    as_of: int,
    unit: str | None = None,
    has_amounts: bool = True,
) -> Flows:
    """Return every table of the lifecycle as one could have seen it at an as_of.

    Parameters
    ----------
    journeys, days
        Spells and purchase days of the customers; what begins or was bought from the as_of on does
        not enter.
    customers
        Their number.
    first_events
        Instant of each customer's first event, shape (customers,), in microseconds since 1970;
        those from the as_of on are not known yet.
    as_of
        Microseconds since 1970 UTC.
    unit
        Of the periods: ``week``, ``month`` or ``quarter``; None: what suits the length of the log.
    has_amounts
        Whether the log says what was paid; without, money is null and orders stand for value.

    Raises
    ------
    UsageError
        The unit is unknown, or journeys, days and first events are not of the same customers.
    """
    _check_customers(journeys, days, customers, first_events)
    first = min(int(first_events.min(initial=as_of)), as_of)
    calendar = periods(first, as_of, unit or default_unit(first, as_of))
    curve, concentration = pareto(days, as_of, has_amounts)
    return Flows(
        as_of=as_of,
        unit=calendar.unit,
        summary=_summary(
            bought_before(days, as_of), first_events, as_of, concentration, has_amounts
        ),
        stock=stock(journeys, days, calendar, has_amounts),
        transitions=transitions(journeys, calendar),
        spells=durations(journeys, as_of),
        time_to_stage=time_to_stage(journeys, first_events, as_of),
        repeat=repeat(days, as_of),
        pareto=curve,
        cohorts=cohorts(days, calendar, has_amounts),
    )


def _check_customers(
    journeys: Journeys, days: PurchaseDays, customers: int, first_events: NDArray[np.int64]
) -> None:
    if len(first_events) != customers:
        raise UsageError(
            f"there are {customers} customers, but {len(first_events)} first events; give "
            "one of each"
        )
    for what, rows in (("journeys", journeys.customer), ("days", days.customer)):
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < customers:
            found = f"{rows.min()} to {rows.max()}"
            raise UsageError(
                f"{what} are of customers {found}, but there are {customers}; take both "
                "from one log"
            )
    early = journeys.start < first_events[journeys.customer]
    if early.any():
        row = int(np.flatnonzero(early)[0])
        raise UsageError(
            f"{int(early.sum())} spells start before their customer's first event (the "
            "first is of customer"
            f" {journeys.customer[row]}, at "
            f"{iso(from_microseconds(int(journeys.start[row])))}); take both from one log"
        )


def _summary(
    days: PurchaseDays,
    first_events: NDArray[np.int64],
    as_of: int,
    concentration: Concentration,
    has_amounts: bool,
) -> Summary:
    orders = np.bincount(days.customer)
    return Summary(
        customers=int((first_events < as_of).sum()),
        buyers=concentration.buyers,
        repeat_buyers=int((orders > 1).sum()),
        orders=len(days.customer),
        spend=concentration.total if has_amounts else None,
        concentration=concentration,
    )


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table; instants as people read them."""
    columns: dict[str, list[Any]] = {}
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_timestamp(field.type):
            columns[field.name] = [
                iso(from_microseconds(t)) for t in column.cast(pa.int64()).to_pylist()
            ]
        else:
            columns[field.name] = column.to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

"""Tables of the lifecycle: stock, transitions, durations, next orders, value, cohorts.

    journeys, purchase days -> cut at the as_of -> one table per question -> Flows -> Parquet, JSON

Nothing at or after the as_of enters any table; what still lasts then is censored, not counted as
over.

What may be changed where: the calendar in :mod:`stagecast.features.describe.flows.periods`;
customers on each stage in :mod:`stagecast.features.describe.flows.stock`; movements between stages
in :mod:`stagecast.features.describe.flows.transitions`; their durations in
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
from numpy.typing import NDArray

from stagecast.features.clock import from_microseconds, iso
from stagecast.features.describe.flows.cohorts import cohorts
from stagecast.features.describe.flows.durations import durations, time_to_stage
from stagecast.features.describe.flows.pareto import Concentration, pareto
from stagecast.features.describe.flows.past import purchases_before
from stagecast.features.describe.flows.periods import UNITS, Periods, default_unit, periods
from stagecast.features.describe.flows.repeat import repeat_orders
from stagecast.features.describe.flows.stock import stock
from stagecast.features.describe.flows.transitions import transitions, transitions_between
from stagecast.features.errors import UsageError
from stagecast.features.files import atomic_write, write_text
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

__all__ = [
    "UNITS",
    "Concentration",
    "Flows",
    "Periods",
    "Summary",
    "cohorts",
    "default_unit",
    "durations",
    "flows",
    "pareto",
    "periods",
    "repeat_orders",
    "stock",
    "time_to_stage",
    "transitions",
    "transitions_between",
]


@dataclass(frozen=True)
class Summary:
    """Numbers of the lifecycle that need no table.

    Parameters
    ----------
    customers
        Number of customers known at the as_of, buyers or not.
    buyers
        Number of those with a purchase.
    repeat_buyers
        Number of those with purchases on two days or more.
    orders
        Number of purchase days.
    spend
        Sum over the purchase days; None where the log has no amounts.
    concentration
        How unevenly value is distributed over the buyers.
    """

    customers: int
    buyers: int
    repeat_buyers: int
    orders: int
    spend: float | None
    concentration: Concentration


@dataclass(frozen=True)
class Flows:
    """The lifecycle of all customers up to an as_of.

    The columns of each table are documented at the function that makes it.

    Parameters
    ----------
    as_of
        Microseconds since 1970, UTC.
    unit
        Of the periods: ``week``, ``month`` or ``quarter``.
    summary
        Numbers that need no table.
    stock
        :func:`~stagecast.features.describe.flows.stock.stock`
    transitions
        :func:`~stagecast.features.describe.flows.transitions.transitions`
    spells
        :func:`~stagecast.features.describe.flows.durations.durations`
    time_to_stage
        :func:`~stagecast.features.describe.flows.durations.time_to_stage`
    repeat
        :func:`~stagecast.features.describe.flows.repeat.repeat_orders`
    pareto
        :func:`~stagecast.features.describe.flows.pareto.pareto`
    cohorts
        :func:`~stagecast.features.describe.flows.cohorts.cohorts`
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
        names = ("stock", "transitions", "spells", "time_to_stage", "repeat", "pareto", "cohorts")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready values: a table is a list of rows, an instant is ISO 8601 in UTC."""
        return {
            "as_of": iso(from_microseconds(self.as_of)),
            "unit": self.unit,
            "summary": asdict(self.summary),
            "tables": {name: _rows(table) for name, table in self.tables().items()},
        }

    def write(self, folder: Path) -> None:
        """Write ``<table>.parquet`` for each table, and ``flows.json`` last.

        Each file is written completely or not at all.

        Raises
        ------
        UsageError
            The folder cannot be made or written.
        """
        import pyarrow.parquet as pq

        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be made: {error.strerror or error}; choose another folder"
            ) from None
        for name, table in self.tables().items():
            with atomic_write(folder / f"{name}.parquet") as draft:
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
    """Return every table of the lifecycle as it could be seen at an as_of.

    Parameters
    ----------
    journeys, days
        Spells and purchase days of the customers; those from the as_of on do not enter.
    customers
        Number of customers.
    first_events
        Instant of each customer's first event, in microseconds since 1970, UTC, shape
        (n_customers,); customers with one from the as_of on are not known yet.
    as_of
        Microseconds since 1970, UTC.
    unit
        Of the periods: ``week``, ``month`` or ``quarter``; None: it depends on the length of the
        log.
    has_amounts
        Whether the log has amounts; if not, money is null and the number of orders is the value.

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
            purchases_before(days, as_of), first_events, as_of, concentration, has_amounts
        ),
        stock=stock(journeys, days, calendar, has_amounts),
        transitions=transitions(journeys, calendar),
        spells=durations(journeys, as_of),
        time_to_stage=time_to_stage(journeys, first_events, as_of),
        repeat=repeat_orders(days, as_of),
        pareto=curve,
        cohorts=cohorts(days, calendar, has_amounts),
    )


def _check_customers(
    journeys: Journeys, days: PurchaseDays, customers: int, first_events: NDArray[np.int64]
) -> None:
    """Raise an error if journeys, days and first events are not of the same customers."""
    if len(first_events) != customers:
        raise UsageError(
            f"there are {customers} customers, but {len(first_events)} first events; give "
            "one of each"
        )
    for name, rows in (("journeys", journeys.customer), ("days", days.customer)):
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < customers:
            numbers = f"{rows.min()} to {rows.max()}"
            raise UsageError(
                f"{name} are of customers {numbers}, but there are {customers}; take both "
                "from one log"
            )
    is_early = journeys.start < first_events[journeys.customer]
    if is_early.any():
        row = int(np.flatnonzero(is_early)[0])
        raise UsageError(
            f"{int(is_early.sum())} spells start before their customer's first event (the "
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
    """Return the rows of a table as dicts, with instants as ISO 8601."""
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

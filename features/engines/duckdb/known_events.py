"""The events of a log that are known at one as_of, and their daily table, in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.engines import sql
from stagecast.features.engines.duckdb.expressions import (
    HAPPENED,
    RECORDED,
    clock,
    shape_of,
)
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.shop.events import KNOWN, SHOP_EVENTS, clock_of


class KnownEvents:
    """What one as_of knows of a log: views and temporary tables of a cursor.

    ``known_events`` has the events that happened and were recorded before the as_of,
    ``announced_events`` those recorded before it that happen later, ``daily`` one row per customer
    and day of the known ones.

    Parameters
    ----------
    connection, anchor, rows
        As those of :class:`stagecast.features.engines.duckdb.DailyTable`.

    Attributes
    ----------
    connection
        The cursor.
    clock
        Clock of the shop.
    anchor, at
        The as_of in shop time, and as microseconds since 1970.
    shape
        Shape of the known events.
    tables
        Step of each table that was created, by name.
    customers
        Their ids, shape (n_customers,), in the order of their numbers in the whole log.

    Raises
    ------
    NotEnoughDataError
        No event was known before the anchor.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        anchor: datetime,
        rows: tuple[int, int] | None = None,
    ) -> None:
        # a cursor has its own temporary tables, so two daily tables of one log do not overwrite
        # each other
        connection = self.connection = connection.cursor()
        self.clock = clock_of(connection)
        self.anchor = anchor if self.clock.is_utc else self.clock.shop(anchor)
        self.at = microseconds(self.anchor)
        events, row = ("events", "rowid") if self.clock.is_utc else (SHOP_EVENTS, "row")
        self._events = events
        in_range = "" if rows is None else f"{row} >= {rows[0]} and {row} < {rows[1]} and "
        for view, known in (
            ("known_events", f"{KNOWN} < {self.at}"),
            ("announced_events", f"{HAPPENED} >= {self.at} and {RECORDED} < {self.at}"),
        ):
            connection.execute(
                f"create or replace temp view {view} as select * from {events} "
                f"where {in_range}{known}"
            )
        self.shape = shape_of(connection, "known_events", self.at)
        self.tables: dict[str, sql.Step] = {}
        self.create(sql.daily_step(clock(self.at), "known_events", self.shape))
        ids = connection.execute(
            "select rowid as customer, customer_id from ids "
            "where rowid in (select distinct customer from daily) order by 1"
        ).fetchnumpy()
        # customers are numbered by the whole log; those not known yet leave gaps
        self._log_numbers: NDArray[np.int64] = np.asarray(ids["customer"])
        self.customers: NDArray[np.object_] = np.asarray(ids["customer_id"])
        if not len(self.customers):
            raise NotEnoughDataError(
                f"no event stands before the as_of {anchor.isoformat()}; choose a later --as-of"
            )

    def next_event(self) -> int | None:
        """Return the time of the first event of the log that was recorded at the anchor or later,
        microseconds since 1970; None where there is none.
        """
        query = f"select min({HAPPENED}) from {self._events} where {KNOWN} >= {self.at}"
        ((time,),) = self.connection.execute(query).fetchall()
        return None if time is None else int(time)

    def create(self, step: sql.Step) -> None:
        """Create a temporary table of a step, in place of one of that name."""
        self.connection.execute(f"create or replace temp table {step.name} as {sql.joined([step])}")
        self.tables[step.name] = step

    def exists(self, source: str, where: str) -> bool:
        """Tell whether a table or view has a row that meets a condition."""
        rows = self.connection.execute(
            f"select exists (select 1 from {source} where {where})"
        ).fetchall()
        return bool(rows[0][0])

    def query(self, steps: Sequence[sql.Step]) -> dict[str, NDArray[Any]]:
        """Return the rows of the last step as :meth:`rows` does."""
        return self.rows(sql.joined(steps))

    def rows(self, query: str, parameters: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """Return the rows of a query, which have no nulls.

        Returns
        -------
        dict
            Column -> values, shape (n_rows,); ``customer``: rows of :attr:`customers`.

        Raises
        ------
        ValueError
            A value is null.
        """
        # a relation would be parsed and bound twice: longer than the query of a small log takes
        fetched = self.connection.execute(query, parameters).fetchnumpy()
        for name, values in fetched.items():
            if np.ma.isMaskedArray(values):
                raise ValueError(f"the column {name} has nulls: {query}")
        columns = {name: np.asarray(values) for name, values in fetched.items()}
        columns["customer"] = self._rows_of(columns["customer"])
        return columns

    def _rows_of(self, log_numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows of :attr:`customers` for customers numbered by the whole log."""
        first = self._log_numbers[0]
        if self._log_numbers[-1] - first + 1 == len(self._log_numbers):
            return np.asarray(log_numbers - first)
        return np.asarray(np.searchsorted(self._log_numbers, log_numbers), dtype=np.int64)


def last_event_before(
    connection: duckdb.DuckDBPyConnection, known: str, at: int, back: int = 0
) -> int | None:
    """Return the time of the last known event before a date, microseconds since 1970.

    None where no event stands before it.

    Parameters
    ----------
    connection
        Database of a log.
    known
        Table, view or query of the events known at the as_of.
    at
        The as_of, microseconds since 1970, in shop time.
    back
        Whole days from the date to the as_of.
    """
    before = at - back * DAY_MICROSECONDS
    query = f"select max({HAPPENED}) from {known} where {HAPPENED} < {before}"
    ((time,),) = connection.execute(query).fetchall()
    return None if time is None else int(time)

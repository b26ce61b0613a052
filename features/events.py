"""The event log: every later step reads the table ``events`` of an :class:`EventLog`, and nothing
else.

files, frames, databases -> stagecast.features.intake (rows typed, faults kept, duplicates aside) ->
EventLog + DataReport
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from stagecast.features.clock import day_after, iso, parse_instant
from stagecast.features.errors import UsageError
from stagecast.features.intake.attributes import CustomersTable, load_attributes
from stagecast.features.intake.mapping import EventMapping
from stagecast.features.intake.opening import open_all
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.quarantine import rejected_table, write_rejected
from stagecast.features.intake.reading import Input, stage
from stagecast.features.intake.report import DataReport, summary_lines
from stagecast.features.intake.scratch import Scratch
from stagecast.features.intake.settling import COLUMNS, settle
from stagecast.features.intake.sources import open_frame
from stagecast.features.intake.tables import Table, inputs_of, open_tables
from stagecast.features.intake.values import define_macros
from stagecast.features.limits import explained_limits

__all__ = [
    "COLUMNS",
    "CustomersTable",
    "DataReport",
    "EventLog",
    "EventMapping",
    "ReadOptions",
    "Table",
    "from_frame",
    "read_events",
    "read_tables",
    "summary_lines",
]


class EventLog:
    """A log of events that was checked, held by DuckDB; close it, or use it in a ``with``.

    Parameters
    ----------
    con
        The connection, owned by the log. Its table ``events`` (:data:`COLUMNS`) is sorted by
        customer_id, timestamp and then all other columns, so the same events are the same table,
        byte for byte. Times are UTC without a zone. Amounts and discounts are exact (six decimals),
        in the currency of the source; a discount and the amount of a ``refund`` are magnitudes,
        never negative. ``customer`` is 0, 1, 2, ... in the order of customer_id. A purchase has an
        amount wherever the log has amounts. Event types are lower case; a log without types is one
        of ``purchase``. Events at and after as_of are still in it.
    report
        What was read and what was refused.
    known_at_start
        Columns of the table ``attributes`` that models may learn from.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        report: DataReport,
        scratch: Scratch,
        known_at_start: tuple[str, ...] = (),
    ) -> None:
        self.con = con
        self.report = report
        self.known_at_start = known_at_start
        self.has_amounts = report.has_amounts
        self.has_types = report.has_types
        self.has_recorded_at = report.has_recorded_at
        self.first_event, self.last_event = (
            parse_instant(report.first_event),
            parse_instant(report.last_event),
        )
        self._release = weakref.finalize(self, _release, con, scratch)

    def choose_as_of(self, as_of: datetime | None = None) -> datetime:
        """Return the as_of that was asked for, or the midnight UTC after the last event.

        Raises
        ------
        UsageError
            It does not stand after the first event.
        """
        if as_of is None:
            return day_after(self.last_event)
        if as_of <= self.first_event:
            raise UsageError(
                f"--as-of {iso(as_of)} does not stand after the first event "
                f"({iso(self.first_event)}); the log ends at "
                f"{iso(self.last_event)}: choose a date between them, or leave --as-of out"
            )
        return as_of

    def rejected(self) -> Any:
        """Return the refused rows as an Arrow table; see
        :data:`stagecast.features.intake.quarantine.REJECTED_SCHEMA`.
        """
        return rejected_table(self.con)

    def write_rejected(self, path: str | Path) -> None:
        """Write the refused rows as Parquet."""
        write_rejected(self.con, path)

    def close(self) -> None:
        """Close the connection and remove its temporary folder; a second call does nothing."""
        self._release()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_events(
    sources: str | Path | Sequence[str | Path],
    options: ReadOptions | None = None,
    customers: CustomersTable | None = None,
) -> EventLog:
    """Read a log from CSV (also .gz, .zst) or Parquet files, globs, folders or database URLs;
    several are one log.

    Parameters
    ----------
    customers
        Where attributes of customers stand; makes the table ``attributes``.

    Raises
    ------
    UsageError
        A file that does not exist, or an option that cannot be used.
    DataRefusedError
        A file that cannot be read, a missing column, or not one sound row.
    """
    chosen = options or ReadOptions()
    named = [sources] if isinstance(sources, str | Path) else list(sources)
    return _read(lambda _: inputs_of(open_all(named, chosen), chosen), chosen, customers)


def read_tables(
    tables: Sequence[Table],
    options: ReadOptions | None = None,
    customers: CustomersTable | None = None,
) -> EventLog:
    """Read several tables, each with its own mapping, as one log; see
    :mod:`stagecast.features.intake.tables`.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`read_events`; or a look-up that cannot serve.
    """
    return _read(lambda con: open_tables(con, tables), options or ReadOptions(), customers)


def from_frame(
    frame: object, options: ReadOptions | None = None, customers: CustomersTable | None = None
) -> EventLog:
    """Read a log from a pandas, Arrow or Polars table; the line of a row is its position, counted
    from 1.

    Raises
    ------
    UsageError
        Not a table, or an option that cannot be used.
    DataRefusedError
        A missing column, or not one sound row.

    >>> import pandas as pd
    >>> days = ["2025-01-01", "2025-13-01"]
    >>> frame = pd.DataFrame({"customer_id": ["a", "a"], "timestamp": days, "amount": [9.5, 1]})
    >>> with from_frame(frame) as log:
    ...     log.report.rows_loaded, log.report.rejected_by_reason
    (1, {'unreadable_time': 1})
    """
    chosen = options or ReadOptions()
    return _read(lambda _: inputs_of([open_frame(frame)], chosen), chosen, customers)


def read_customers(
    table: CustomersTable, options: ReadOptions, ids: Sequence[str] = ()
) -> tuple[pa.Table, dict[str, str]]:
    """Read a table of customers whose log stands elsewhere.

    Parameters
    ----------
    ids
        Some of the log's, which tell whether 17850.0 is an id or a number that was read as one.

    Returns
    -------
    The table ``attributes``, and its columns with what kind each is.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.intake.attributes.load_attributes`.
    """
    scratch = Scratch(options.temp_dir)
    con = None
    try:
        con = _connect(options, scratch.folder)
        with explained_limits():
            define_macros(con)
            con.register("events", pa.table({"customer_id": pa.array(ids, pa.string())}))
            report = load_attributes(con, table, options)
            return con.sql("SELECT * FROM attributes").to_arrow_table(), report.columns
    finally:
        _release(con, scratch)


def _read(
    open_inputs: Callable[[duckdb.DuckDBPyConnection], Sequence[Input]],
    options: ReadOptions,
    customers: CustomersTable | None,
) -> EventLog:
    scratch = Scratch(options.temp_dir)
    con = None
    try:
        con = _connect(options, scratch.folder)
        with explained_limits():
            inputs = open_inputs(con)
            report = settle(con, inputs, stage(con, inputs))
            if customers is not None:
                report = report.with_customers(load_attributes(con, customers, options).to_json())
        return EventLog(con, report, scratch, () if customers is None else customers.known_at_start)
    except BaseException:
        _release(con, scratch)
        raise


def _connect(options: ReadOptions, folder: Path) -> duckdb.DuckDBPyConnection:
    """Open a database in the folder: tables larger than the memory stand in its file,
    compressed.
    """
    try:
        con = duckdb.connect(
            str(folder / "log.duckdb"),
            config={
                "memory_limit": options.memory,
                "temp_directory": str(folder / "spill"),
                "max_temp_directory_size": options.spill,
                "autoinstall_known_extensions": "false",  # nothing is fetched from elsewhere
            },
        )
        con.execute("SET GLOBAL TimeZone = 'UTC'")  # cursors of the connection inherit it
        return con
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"memory {options.memory!r} or spill {options.spill!r} cannot be used: {reason}"
        ) from None


def _release(con: duckdb.DuckDBPyConnection | None, scratch: Scratch) -> None:
    if con is not None:
        con.close()
    scratch.release()

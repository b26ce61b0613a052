"""The event log: the checked table ``events`` that all later steps read.

files, frames, databases
    -> stagecast.features.intake (types rows, records faults, removes duplicates)
    -> EventLog with its DataReport
"""

from __future__ import annotations

import stat
import weakref
from collections.abc import Callable, Sequence, Sized
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from stagecast.features.clock import day_after, from_microseconds, iso, parse_instant
from stagecast.features.errors import UsageError
from stagecast.features.intake.attributes import CustomersTable, load_attributes
from stagecast.features.intake.counted import counted
from stagecast.features.intake.limits import explain_resource_errors
from stagecast.features.intake.mapping import EventMapping
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.quarantine import rejected_table, write_rejected
from stagecast.features.intake.reading import ReadPlan, load_rows
from stagecast.features.intake.report import DataReport, summary_lines
from stagecast.features.intake.scratch import Scratch
from stagecast.features.intake.settling import COLUMNS, build_events
from stagecast.features.intake.sources import open_frame
from stagecast.features.intake.tables import Table, make_plans, open_tables
from stagecast.features.intake.values import define_macros
from stagecast.features.shop.clock import clock_named
from stagecast.features.shop.events import LAST_HAPPENED

SMALL_ROWS, SMALL_BYTES = 50_000, 4_000_000
"""Rows of frames, and bytes of text files, from which on a log is held in a file, not in memory."""
PLAIN_TEXT, COMPRESSION = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson"), 10
"""Names of text files that are not compressed, and how much smaller other files are than text."""

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
    """A checked log of events in a DuckDB database; close it, or use it as a context manager.

    Parameters
    ----------
    con
        The connection, owned by the log. Its table ``events`` (:data:`COLUMNS`) is sorted by
        customer_id, timestamp and then all other columns, so the same events always give the same
        table, byte for byte. Times are UTC without a zone. Amounts and discounts are exact (six
        decimals), in the currency of the report; a discount and the amount of a ``refund`` are
        magnitudes, never negative. ``customer`` is 0, 1, 2, ... in the order of customer_id. Every
        purchase has an amount if the log has amounts. Event types are lower case; if the log has no
        types, every event is a ``purchase``. The table includes events at and after an as_of. Where
        a zone says what a day is, the view ``shop_events`` has the same events in shop time
        (:mod:`stagecast.features.shop`).
    report
        Counts of loaded, refused and duplicate rows.
    scratch
        The temporary folder that holds the database; removed by :meth:`close`.
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
        self._con = con
        self._is_closed = False
        self.report = report
        self.known_at_start = known_at_start
        self.has_amounts = report.has_amounts
        self.has_types = report.has_types
        self.has_recorded_at = report.has_recorded_at
        self.clock = clock_named(report.zone)
        self.first_event, self.last_event = (
            parse_instant(report.first_event),
            parse_instant(report.last_event),
        )
        self._scratch = scratch
        self._release = weakref.finalize(self, _release, con, scratch)

    def __repr__(self) -> str:
        report = self.report
        first, last = report.first_event[:10], report.last_event[:10]
        refused = (
            f", {counted(report.rows_rejected, 'row')} refused" if report.rows_rejected else ""
        )
        state = ", closed" if self._is_closed else ""
        return (
            f"EventLog({counted(report.rows_loaded, 'event')} of "
            f"{counted(report.customers, 'customer')}, {first} to {last}{refused}{state})"
        )

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        """The connection.

        Raises
        ------
        UsageError
            The log is closed.
        """
        if self._is_closed:
            raise UsageError(
                f"log = {self!r} has no database any more; read the events again, and close the "
                "log after its last use"
            )
        return self._con

    def hand_over(self) -> Scratch:
        """Return the temporary folder, which from now on belongs to the caller with the connection.

        This log does not close them any more.
        """
        self._release.detach()
        return self._scratch

    def choose_as_of(self, as_of: datetime | None = None) -> datetime:
        """Return ``as_of`` if it is given, else midnight after the last event that had happened.

        An event that was recorded before it happens, such as a cancellation that takes effect
        later, counts on the day on which it was recorded. Where a zone says what a day is, the
        result is in shop time (:mod:`stagecast.features.shop`) and midnight is the shop's; an
        ``as_of`` without a zone is then what the shop's clock shows.

        Raises
        ------
        UsageError
            The as_of does not lie after the first event.
        """
        if as_of is None:
            return day_after(self.clock.shop(self._last_happened()))
        as_of = self.clock.shop(as_of)
        if as_of <= self.clock.shop(self.first_event):
            raise UsageError(
                f"--as-of {iso(as_of)} does not stand after the first event "
                f"({iso(self.first_event)}); the log ends at "
                f"{iso(self.last_event)}: choose a date between them, or leave --as-of out"
            )
        return as_of

    def _last_happened(self) -> datetime:
        if not self.has_recorded_at:
            return self.last_event
        query = f"SELECT epoch_us({LAST_HAPPENED}) FROM events"
        ((microseconds,),) = self.con.execute(query).fetchall()
        return from_microseconds(microseconds)

    def rejected(self) -> Any:
        """Return the refused rows as an Arrow table.

        Its columns are those of :data:`stagecast.features.intake.quarantine.REJECTED_SCHEMA`.
        """
        return rejected_table(self.con)

    def write_rejected(self, path: str | Path) -> None:
        """Write the refused rows as Parquet.

        Raises
        ------
        UsageError
            The file cannot be written.
        """
        write_rejected(self.con, path)

    def close(self) -> None:
        """Close the connection and remove its temporary folder; a second call does nothing."""
        self._is_closed = True
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
    """Read a log from CSV or Parquet files, globs, folders or database URLs.

    Parameters
    ----------
    sources
        One or several; several are read as one log. CSV may be compressed (.gz, .zst).
    options
        How the sources are read; None: the defaults.
    customers
        Source of customer attributes, which are read into the table ``attributes``.

    Raises
    ------
    UsageError
        A file does not exist, or an option cannot be used.
    DataRefusedError
        A file cannot be read, a column is missing, or no row is valid.
    """
    read_options = options or ReadOptions()
    source_list = [sources] if isinstance(sources, str | Path) else list(sources)
    table = Table(tuple(map(str, source_list)), read_options)
    return _read_tables([table], read_options, customers)


def read_tables(
    tables: Sequence[Table],
    options: ReadOptions | None = None,
    customers: CustomersTable | None = None,
) -> EventLog:
    """Read several tables, each with its own mapping, as one log.

    Parameters
    ----------
    tables
        As :func:`stagecast.features.intake.tables.parse_tables` returns them.
    options
        Options of the whole log, such as the memory limit; None: the defaults.
    customers
        Source of customer attributes, which are read into the table ``attributes``.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`read_events`; or a look-up table lacks a column or repeats a key.
    """
    return _read_tables(tables, options or ReadOptions(), customers)


def from_frame(
    frame: object, options: ReadOptions | None = None, customers: CustomersTable | None = None
) -> EventLog:
    """Read a log from a pandas, Arrow or Polars table.

    Parameters
    ----------
    frame
        The table, or a tuple of several that are read as one log. In reports the line of a row is
        its position, counted from 1.
    options
        How the table is read; None: the defaults.
    customers
        Source of customer attributes, which are read into the table ``attributes``.

    Raises
    ------
    UsageError
        ``frame`` is not a table, or an option cannot be used.
    DataRefusedError
        A column is missing, or no row is valid.

    >>> import pandas as pd
    >>> days = ["2025-01-01", "2025-13-01"]
    >>> frame = pd.DataFrame({"customer_id": ["a", "a"], "timestamp": days, "amount": [9.5, 1]})
    >>> with from_frame(frame) as log:
    ...     log.report.rows_loaded, log.report.rejected_by_reason
    (1, {'unreadable_time': 1})
    """
    read_options = options or ReadOptions()
    frames = list(frame) if isinstance(frame, tuple) else [frame]
    labels = ["frame"] if len(frames) == 1 else [f"frame {k + 1}" for k in range(len(frames))]
    sources = [open_frame(table, label) for table, label in zip(frames, labels, strict=True)]
    rows = sum(len(table) if isinstance(table, Sized) else SMALL_ROWS for table in frames)
    return _read(
        lambda _: make_plans(sources, read_options),
        read_options,
        customers,
        in_memory=rows < SMALL_ROWS,
    )


def read_customers(
    table: CustomersTable, options: ReadOptions, ids: Sequence[str] = ()
) -> tuple[pa.Table, dict[str, str]]:
    """Read a table of customers without the log, which another engine holds.

    Parameters
    ----------
    table
        Where the table is and of what type its columns are.
    options
        How it is read.
    ids
        Some customer ids of the log that end in ``.0``. If there are any, ``17850.0`` is read as an
        id in this form, else as ``17850``.

    Returns
    -------
    tuple
        The table ``attributes``; and column -> ``category``, ``number`` or ``flag``.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.intake.attributes.load_attributes`.
    """
    scratch = Scratch(options.temp_dir)
    con = None
    try:
        con = _connect(options, scratch.folder, in_memory=False)
        with explain_resource_errors():
            define_macros(con)
            con.register("events", pa.table({"customer_id": pa.array(ids, pa.string())}))
            report = load_attributes(con, table, options)
            return con.sql("SELECT * FROM attributes").to_arrow_table(), report.columns
    finally:
        _release(con, scratch)


def _read_tables(
    tables: Sequence[Table], options: ReadOptions, customers: CustomersTable | None
) -> EventLog:
    return _read(
        lambda con: open_tables(con, tables),
        options,
        customers,
        in_memory=_are_small_files([source for table in tables for source in table.sources]),
    )


def _are_small_files(sources: Sequence[str]) -> bool:
    """Tell whether the sources are files, which together are small; folders, globs and URLs no."""
    paths = [Path(source) for source in sources]
    try:
        files = [path.stat() for path in paths]
    except (OSError, ValueError):
        return False
    size = sum(
        file.st_size * (1 if path.suffix.lower() in PLAIN_TEXT else COMPRESSION)
        for path, file in zip(paths, files, strict=True)
    )
    return all(stat.S_ISREG(file.st_mode) for file in files) and size < SMALL_BYTES


def _read(
    make_read_plans: Callable[[duckdb.DuckDBPyConnection], Sequence[ReadPlan]],
    options: ReadOptions,
    customers: CustomersTable | None,
    *,
    in_memory: bool,
) -> EventLog:
    scratch = Scratch(options.temp_dir)
    con = None
    try:
        con = _connect(options, scratch.folder, in_memory=in_memory)
        with explain_resource_errors():
            plans = make_read_plans(con)
            report = build_events(con, plans, load_rows(con, plans))
            if customers is not None:
                report = report.with_customers(load_attributes(con, customers, options).to_json())
        return EventLog(con, report, scratch, () if customers is None else customers.known_at_start)
    except BaseException:
        _release(con, scratch)
        raise


def _connect(options: ReadOptions, folder: Path, *, in_memory: bool) -> duckdb.DuckDBPyConnection:
    """Open a database in a file of the folder, so that tables may be larger than the memory.

    A small log stays in memory: to write its file takes longer than to read it. It has one thread,
    since DuckDB gives further ones to tables of more than 122,880 rows alone, and starting them
    takes longer than most queries.
    """
    threads: dict[str, int] = {"threads": 1} if in_memory else {}
    try:
        con = duckdb.connect(
            ":memory:" if in_memory else str(folder / "log.duckdb"),
            config={
                "memory_limit": options.memory,
                "temp_directory": str(folder / "spill"),
                "max_temp_directory_size": options.spill,
                "autoinstall_known_extensions": "false",  # never download anything
                **threads,
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

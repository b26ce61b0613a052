"""The event log: every later step reads the table ``events`` of an :class:`EventLog`, and nothing else.

    files or a frame -> sources -> reading (typed rows, faults) -> events, duplicates aside -> EventLog + DataReport

What may be changed where: a kind of source in :mod:`features.sources`, a reason to refuse a row in
:mod:`features.reading` with its hint in :mod:`features.quarantine`, what a column may be mapped to in
:mod:`features.expressions`.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from features.clock import from_microseconds, iso
from features.errors import UsageError
from features.expressions import Compiled
from features.mapping import EventMapping, ReadOptions, resolve_all
from features.quarantine import (
    DataReport,
    count_by_reason,
    empty_sources,
    examples,
    nothing_loaded,
    rejected_table,
    set_aside,
    summary_lines,
    write_rejected,
)
from features.reading import stage
from features.sources import Source, find_files, open_file, open_frame

__all__ = [
    "COLUMNS",
    "DataReport",
    "EventLog",
    "EventMapping",
    "ReadOptions",
    "from_frame",
    "read_events",
    "summary_lines",
]

COLUMNS = {
    "customer_id": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "event": "VARCHAR",
    "amount": "DECIMAL(18,6)",
    "channel": "VARCHAR",
    "recorded_at": "TIMESTAMP",
    "event_id": "VARCHAR",
}
"""The table ``events``: column -> DuckDB type. Times are UTC; see EventLog."""

ALWAYS_GIVEN = ("customer_id", "timestamp", "event")
"""The columns that are never NULL."""


class EventLog:
    """A log of events that was checked, held by DuckDB; close it, or use it in a ``with``.

    Parameters
    ----------
    con
        The connection, owned by the log. Its table ``events`` (:data:`COLUMNS`) is sorted by customer_id, timestamp
        and then all other columns, so the same events are the same table, byte for byte. Times are UTC without a
        zone. Amounts are exact (six decimals), in the currency of the source; that of a ``refund`` is a magnitude,
        never negative. A purchase has an amount wherever the log has amounts. Event types are lower case; a log
        without types is one of ``purchase``. Events at and after as_of are still in it.
    report
        What was read and what was refused.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, report: DataReport, span: tuple[datetime, datetime], folder: str
    ) -> None:
        self.con = con
        self.report = report
        self.has_amounts = report.has_amounts
        self.has_types = report.has_types
        self.has_recorded_at = report.has_recorded_at
        self.first_event, self.last_event = span
        self._release = weakref.finalize(self, _release, con, folder)

    def rejected(self) -> Any:
        """Return the refused rows as an Arrow table; see :data:`features.quarantine.REJECTED_SCHEMA`."""
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
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(sources: str | Path | Sequence[str | Path], options: ReadOptions | None = None) -> EventLog:
    """Read a log from CSV (also .gz) or Parquet files, globs or folders; several of them are one log.

    Raises
    ------
    UsageError
        A file that does not exist, or an option that cannot be used.
    DataRefusedError
        A file that cannot be read, a missing column, or not one sound row.
    """
    return _load(
        [open_file(name) for name in find_files([sources] if isinstance(sources, str | Path) else sources)], options
    )


def from_frame(frame: object, options: ReadOptions | None = None) -> EventLog:
    """Read a log from a pandas, Arrow or Polars table; the line of a row is its position, counted from 1.

    Raises
    ------
    UsageError
        Not a table, or an option that cannot be used.
    DataRefusedError
        A missing column, or not one sound row.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"customer_id": ["a", "a"], "timestamp": ["2025-01-01", "2025-13-01"], "amount": [9.5, 1]})
    >>> with from_frame(frame) as log:
    ...     log.report.rows_loaded, log.report.rejected_by_reason
    (1, {'unreadable_time': 1})
    """
    return _load([open_frame(frame)], options)


def _load(sources: list[Source], options: ReadOptions | None) -> EventLog:
    options = options or ReadOptions()
    resolved = resolve_all(options.mapping, [(source.label, source.columns) for source in sources])
    folder = tempfile.mkdtemp(prefix="stagecast-")
    con = None
    try:
        con = _connect(options, folder)
        stage(con, sources, resolved, options)
        report, span = _settle(con, sources, resolved[0], options)
        return EventLog(con, report, span, folder)
    except BaseException:
        _release(con, folder)
        raise


def _connect(options: ReadOptions, folder: str) -> duckdb.DuckDBPyConnection:
    try:
        con = duckdb.connect(
            config={
                "memory_limit": options.memory,
                "temp_directory": folder,
                "max_temp_directory_size": options.spill,
                "autoinstall_known_extensions": "false",  # nothing is fetched from elsewhere
            }
        )
        con.execute("SET GLOBAL TimeZone = 'UTC'")  # cursors of the connection inherit it
        return con
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"memory {options.memory!r} or spill {options.spill!r} cannot be used: {reason}") from None


def _release(con: duckdb.DuckDBPyConnection | None, folder: str) -> None:
    if con is not None:
        con.close()
    shutil.rmtree(folder, ignore_errors=True)


def _settle(
    con: duckdb.DuckDBPyConnection, sources: list[Source], parts: dict[str, Compiled], options: ReadOptions
) -> tuple[DataReport, tuple[datetime, datetime]]:
    """Part the staged rows into ``events``, ``rejected`` and duplicates, and count them."""
    warnings: list[str] = []
    labels = [source.label for source in sources]
    set_aside(con, labels)
    warnings += [f"{label} holds no rows below its header" for label in empty_sources(con, labels)]
    rows_in = _one(con, "SELECT count(*) FROM staged")[0]
    rows_rejected = _one(con, "SELECT count(*) FROM rejected")[0]
    by_first, by_any = count_by_reason(con)
    shown = examples(con)
    if rows_in == rows_rejected:
        raise nothing_loaded(labels, rows_in, by_first, shown)
    customer = _customer_rule(con, parts["customer"], warnings)
    _keep_firsts(con, customer, options, has_event_id="event_id" in parts)
    loaded, customers, first, last = _one(
        con,
        """SELECT count(*), count(DISTINCT customer_id), epoch_us(min("timestamp")), epoch_us(max("timestamp"))
        FROM events""",
    )
    types = dict(
        con.execute("SELECT event, count(*) AS n FROM events GROUP BY event ORDER BY n DESC, event").fetchall()
    )
    buyers, once = _one(
        con,
        """SELECT count(*), count(*) FILTER (days = 1) FROM (SELECT count(DISTINCT CAST("timestamp" AS DATE)) AS days
        FROM events WHERE event = 'purchase' GROUP BY customer_id)""",
    )
    span = (from_microseconds(first), from_microseconds(last))
    report = DataReport(
        rows_in=rows_in,
        rows_loaded=loaded,
        rows_rejected=rows_rejected,
        rows_duplicate=rows_in - rows_rejected - loaded,
        customers=customers,
        first_event=iso(span[0]),
        last_event=iso(span[1]),
        rejected_by_reason=by_first,
        rejected_by_any_reason=by_any,
        rejected_examples=shown,
        warnings=warnings,
        event_types=types,
        purchases=types.get("purchase", 0),
        buyers=buyers,
        one_time_buyers=once / buyers if buyers else None,
        has_amounts="amount" in parts,
        has_types="event" in parts or set(types) != {"purchase"},
        has_recorded_at="recorded_at" in parts,
        columns={name: part.label for name, part in parts.items()},
        files=labels,
    )
    return report, span


def _customer_rule(con: duckdb.DuckDBPyConnection, part: Compiled, warnings: list[str]) -> str:
    """Return SQL of the id: ``17850.0`` is ``17850`` if every id of the log has that form, else it stays."""
    given, floats = _one(
        con,
        r"SELECT count(customer_id), count(*) FILTER (regexp_full_match(customer_id, '\d+\.0')) FROM staged",
    )
    if not floats:
        return "customer_id"
    if floats == given:
        warnings.append(f"every customer id of {part.label!r} ends in .0 and was read without it, as a whole number")
        return "left(customer_id, -2)"
    warnings.append(
        f"{floats:,} of {given:,} customer ids of {part.label!r} end in .0 and were left as they are, for the "
        f"others do not: is 17850.0 the same customer as 17850?"
    )
    return "customer_id"


def _keep_firsts(con: duckdb.DuckDBPyConnection, customer: str, options: ReadOptions, has_event_id: bool) -> None:
    """Create ``events`` from the sound rows, the first of each set of duplicates; drop ``staged``."""
    sound = "faults IS NULL"
    if options.duplicates == "drop":
        sound += " AND seq IN (SELECT min(seq) FROM staged WHERE faults IS NULL GROUP BY row_key)"
    if has_event_id:
        # the earliest known of them: a later delivery must not decide what is seen at an as_of before it
        known = 'greatest("timestamp", coalesce(recorded_at, "timestamp"))'
        sound += f""" AND (event_id IS NULL OR seq IN
            (SELECT seq FROM (SELECT seq, row_number() OVER (PARTITION BY event_id ORDER BY {known}, seq) AS nth
             FROM staged WHERE {sound} AND event_id IS NOT NULL) WHERE nth = 1))"""
    columns = ", ".join(
        f'"{name}" {kind}{" NOT NULL" if name in ALWAYS_GIVEN else ""}' for name, kind in COLUMNS.items()
    )
    con.execute(f"CREATE TABLE events ({columns})")
    con.execute(
        f"""INSERT INTO events SELECT {customer}, "timestamp", event, amount, channel, recorded_at,
        event_id FROM staged WHERE {sound} ORDER BY ALL"""
    )
    con.execute("DROP TABLE staged")


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    """Return the one row of an aggregate; fetched to the end, for an open result would block the connection."""
    row: tuple[Any, ...] = con.execute(sql).fetchall()[0]
    return row

"""What was refused and why: the reasons, the rows themselves, and the report that counts them.

rows_in = rows_loaded + rows_rejected + rows_duplicate, always
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataRefusedError
from features.reading import FIRST_YEAR, LARGEST_AMOUNT, LAST_YEAR, LINE_BITS

HINTS: Mapping[str, str] = {
    "malformed_line": "the line does not have the header's number of fields, or a quote is out of place: put fields "
    'that hold the separator, a quote or a line end into "quotes", and double the quotes inside',
    "missing_customer": "the row names no customer (blank, nan, null, none): sales to nobody cannot be followed",
    "missing_time": "the row has no time",
    "unreadable_time": "times are ISO 8601, like 2025-02-01 or 2025-02-01T12:30:00Z; for others give "
    "--time-format '%d/%m/%Y' or '%m/%d/%Y' (01/02/2025 fits both: only you know which)",
    "absurd_time": f"the time stands outside {FIRST_YEAR} to {LAST_YEAR}: a placeholder, or %Y for two digits?",
    "missing_event": "the row has no event type, while others have one",
    "missing_amount": "a purchase without an amount; write 0 if it was free",
    "unreadable_amount": "amounts are plain numbers like 1234.50: no thousands separators, decimal commas or "
    "currency signs",
    "absurd_amount": f"the amount is not finite, or beyond {LARGEST_AMOUNT:.0e}",
    "negative_amount": "a purchase with a negative amount; --negative-amounts refund reads it as a refund, or map "
    "--event to an expression that tells refunds from purchases",
    "unreadable_recorded_at": "the time at which the row became known is read like the time of the event",
}
"""Reason -> what to try. The order is that in which the first reason of a row is chosen."""

REJECTED_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("raw", pa.string()),
    ]
)
"""One row per refused source row: where it stands, its first fault, all its reasons, and the source row as JSON.
A malformed line has no column; its value says what is wrong with it."""

EXAMPLES_PER_REASON = 3


@dataclass(frozen=True)
class DataReport:
    """What is in a log and what was refused; :meth:`to_json` is ``data-report.json``.

    Parameters
    ----------
    rows_in, rows_loaded, rows_rejected, rows_duplicate
        Source rows; the first is the sum of the others.
    first_event, last_event
        ISO 8601, UTC.
    rejected_by_reason
        Rows by their first reason, most frequent first; sums to ``rows_rejected``.
    rejected_by_any_reason
        Rows that have the reason at all; a row may count in several.
    rejected_examples
        Reason -> ``hint`` and up to three ``examples`` of file, line, column, value.
    event_types
        Loaded events by type, most frequent first.
    one_time_buyers
        Share of the buyers, 0 to 1, with purchases on one UTC day only; None without purchases.
    columns
        Part of an event -> the source column or expression it was read from.
    """

    rows_in: int
    rows_loaded: int
    rows_rejected: int
    rows_duplicate: int
    customers: int
    first_event: str
    last_event: str
    rejected_by_reason: dict[str, int]
    rejected_by_any_reason: dict[str, int]
    rejected_examples: dict[str, dict[str, Any]]
    warnings: list[str]
    event_types: dict[str, int]
    purchases: int
    buyers: int
    one_time_buyers: float | None
    has_amounts: bool
    has_types: bool
    has_recorded_at: bool
    columns: dict[str, str]
    files: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, numbers and texts."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def set_aside(con: duckdb.DuckDBPyConnection, labels: Sequence[str]) -> None:
    """Create ``rejected`` from the staged rows that have a fault, with their file by name."""
    con.execute(
        f"""CREATE TABLE rejected AS SELECT seq, $labels[1 + (seq >> {LINE_BITS})] AS file,
        seq & {(1 << LINE_BITS) - 1} AS line, faults, raw FROM staged WHERE faults IS NOT NULL ORDER BY seq""",
        {"labels": list(labels)},
    )


def empty_sources(con: duckdb.DuckDBPyConnection, labels: Sequence[str]) -> list[str]:
    """Return the sources from which not one row came, though others had some."""
    seen = {number for (number,) in con.execute(f"SELECT DISTINCT seq >> {LINE_BITS} FROM staged").fetchall()}
    return [label for number, label in enumerate(labels) if seen and number not in seen]


def nothing_loaded(
    labels: Sequence[str], rows_in: int, by_reason: Mapping[str, int], shown: Mapping[str, Mapping[str, Any]]
) -> DataRefusedError:
    """Return the error for a log of which not one row can be used."""
    names = ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
    if not rows_in:
        return DataRefusedError(f"{names}: a header, and no rows below it")
    lines = [f"{names}: none of {rows_in:,} rows can be read", *describe_rejected(by_reason, shown)]
    return DataRefusedError("\n".join(lines))


def rejected_table(con: duckdb.DuckDBPyConnection) -> Any:
    """Return the refused rows (:data:`REJECTED_SCHEMA`), in the order of the files and lines."""
    with con.cursor() as own:  # the caller may be in the middle of fetching from the connection
        table = own.sql(
            """SELECT file, line, faults[1]."column" AS "column", faults[1]."value" AS "value",
            faults[1].reason AS reason, list_transform(faults, lambda fault: fault.reason) AS reasons, raw
            FROM rejected ORDER BY seq"""
        ).to_arrow_table()
    return table.cast(REJECTED_SCHEMA)


def write_rejected(con: duckdb.DuckDBPyConnection, path: str | Path) -> None:
    """Write the refused rows as Parquet; an empty table where nothing was refused."""
    pq.write_table(rejected_table(con), Path(path))


def count_by_reason(con: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, int]]:
    """Return rows by first reason, and rows by any reason, most frequent first."""
    first = con.execute("SELECT faults[1].reason AS r, count(*) AS n FROM rejected GROUP BY r ORDER BY n DESC, r")
    by_first: dict[str, int] = dict(first.fetchall())
    every = con.execute(
        """SELECT r, count(*) AS n FROM (SELECT unnest(list_transform(faults, lambda fault: fault.reason)) AS r
        FROM rejected) GROUP BY r ORDER BY n DESC, r"""
    )
    return by_first, dict(every.fetchall())


def examples(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return reason -> hint and the first rows that have it as their first reason."""
    rows = con.execute(
        f"""SELECT faults[1].reason AS reason, file, line, faults[1]."column", faults[1]."value" FROM rejected
        QUALIFY row_number() OVER (PARTITION BY faults[1].reason ORDER BY seq) <= {EXAMPLES_PER_REASON} ORDER BY seq"""
    ).fetchall()
    found: dict[str, dict[str, Any]] = {}
    for reason in HINTS:
        shown = [
            dict(zip(("file", "line", "column", "value"), row[1:], strict=True)) for row in rows if row[0] == reason
        ]
        if shown:
            found[reason] = {"hint": HINTS[reason], "examples": shown}
    return found


def describe_rejected(by_reason: Mapping[str, int], shown: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a few lines of text for each reason: how many rows, what to try, the first of them."""
    lines = []
    for reason, rows in by_reason.items():
        lines.append(f"  {reason}: {rows:,} {'row' if rows == 1 else 'rows'}; {shown[reason]['hint']}")
        for one in shown[reason]["examples"]:
            value = "blank" if one["value"] is None else repr(one["value"][:60])
            column = "" if one["column"] is None else f", {one['column']}"
            lines.append(f"    {one['file']}, line {one['line']}{column}: {value}")
    return lines


def summary_lines(report: DataReport) -> list[str]:
    """Return the report as lines for people."""
    lines = [
        f"{report.rows_in:,} rows in = {report.rows_loaded:,} loaded + {report.rows_rejected:,} refused "
        f"+ {report.rows_duplicate:,} duplicates",
        f"{report.customers:,} customers, events from {report.first_event} to {report.last_event}",
        "event types: " + ", ".join(f"{name} {count:,}" for name, count in report.event_types.items()),
    ]
    if report.one_time_buyers is not None:
        lines.append(f"{report.buyers:,} buyers, {report.one_time_buyers:.1%} of them on one day only")
    if not report.has_amounts:
        lines.append("no amounts: churn and stages can be told, values cannot")
    lines += [f"warning: {warning}" for warning in report.warnings]
    if report.rows_rejected:
        lines += ["refused:", *describe_rejected(report.rejected_by_reason, report.rejected_examples)]
    return lines

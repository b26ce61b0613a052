"""What was refused and why: the rows themselves, their counts and the first few of each reason.

rows_in = rows_loaded + rows_rejected + rows_duplicate, always
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stagecast.features.errors import DataRefusedError
from stagecast.features.files import replaced
from stagecast.features.intake.reading import LINE_BITS
from stagecast.features.intake.reasons import HINTS, RULE_HINT

_TEXTS = pa.list_(pa.field("element", pa.string()))

REJECTED_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
        ("reasons", _TEXTS),
        ("raw", pa.string()),
        ("flags", _TEXTS),
    ]
)
"""One row per refused source row: where it stands, its first fault, all its reasons, the source row
as JSON, its flags. A malformed line has no column; its value says what is wrong with it."""

EXAMPLES_PER_REASON = 3
ROWS_PER_BATCH = 100_000

_PLACE = f"files.label AS file, seq & {(1 << LINE_BITS) - 1} AS line"
_OF_FILE = f"JOIN files ON files.number = seq >> {LINE_BITS}"
_ROWS = f"""SELECT {_PLACE}, faults[1]."column" AS "column", faults[1]."value" AS "value",
    faults[1].reason AS reason, list_transform(faults, lambda fault: fault.reason) AS reasons, raw,
    flags
    FROM rejected {_OF_FILE} ORDER BY seq"""


def set_aside(con: duckdb.DuckDBPyConnection, labels: Sequence[str]) -> None:
    """Create ``rejected`` from the staged rows that have a fault, and ``files`` with the names
    of the sources.
    """
    con.execute("CREATE TABLE files (number BIGINT, label VARCHAR)")
    con.executemany("INSERT INTO files VALUES (?, ?)", [list(pair) for pair in enumerate(labels)])
    con.execute(
        "CREATE TABLE rejected AS SELECT seq, faults, raw, flags FROM staged WHERE "
        "faults IS NOT NULL"
    )


def nothing_loaded(
    labels: Sequence[str],
    rows_in: int,
    by_reason: Mapping[str, int],
    shown: Mapping[str, Mapping[str, Any]],
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
        return own.sql(_ROWS).to_arrow_table().cast(REJECTED_SCHEMA)


def write_rejected(con: duckdb.DuckDBPyConnection, path: str | Path) -> None:
    """Write the refused rows as Parquet, whole or not at all; an empty table where nothing was
    refused.
    """
    with (
        replaced(Path(path)) as draft,
        con.cursor() as own,
        pq.ParquetWriter(draft, REJECTED_SCHEMA) as writer,
    ):
        for batch in own.sql(_ROWS).to_arrow_reader(ROWS_PER_BATCH):
            writer.write_table(pa.Table.from_batches([batch]).cast(REJECTED_SCHEMA))


def count_by_reason(con: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, int]]:
    """Return rows by first reason, and rows by any reason, most frequent first."""
    first = con.execute(
        "SELECT faults[1].reason AS r, count(*) AS n FROM rejected GROUP BY r ORDER BY n DESC, r"
    )
    by_first: dict[str, int] = dict(first.fetchall())
    every = con.execute(
        """SELECT r, count(*) AS n
            FROM (SELECT unnest(list_transform(faults, lambda fault: fault.reason)) AS r
        FROM rejected) GROUP BY r ORDER BY n DESC, r"""
    )
    return by_first, dict(every.fetchall())


def examples(con: duckdb.DuckDBPyConnection, rules: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return reason -> hint and the first rows that have it as their first reason.

    ``rules`` are the user's own: name -> condition.
    """
    rows = con.execute(
        f"""SELECT faults[1].reason AS reason, {_PLACE}, faults[1]."column", faults[1]."value"
        FROM (SELECT unnest(first_ones) AS seq FROM
            (SELECT min(seq, {EXAMPLES_PER_REASON}) AS first_ones FROM rejected
            GROUP BY faults[1].reason))
        JOIN rejected USING (seq) {_OF_FILE} ORDER BY seq"""
    ).fetchall()
    hints = {
        **HINTS,
        **{name: RULE_HINT.format(condition=condition) for name, condition in rules.items()},
    }
    found: dict[str, dict[str, Any]] = {}
    for reason, hint in hints.items():
        shown = [
            dict(zip(("file", "line", "column", "value"), row[1:], strict=True))
            for row in rows
            if row[0] == reason
        ]
        if shown:
            found[reason] = {"hint": hint, "examples": shown}
    return found


def count_flags(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return flag -> rows in, rows not refused, and the first places, from ``staged``; most
    frequent first.
    """
    rows = con.execute(
        f"""SELECT flag, count(*) AS n, count(*) FILTER (faults IS NULL),
            min(seq, {EXAMPLES_PER_REASON})
        FROM (SELECT unnest(flags) AS flag, faults, seq FROM staged WHERE flags IS NOT NULL)
        GROUP BY flag ORDER BY n DESC, flag"""
    ).fetchall()
    labels = dict(con.execute("SELECT number, label FROM files").fetchall())
    return {
        flag: {
            "rows": n,
            "rows_not_refused": sound,
            "examples": [
                {"file": labels[q >> LINE_BITS], "line": q & ((1 << LINE_BITS) - 1)} for q in places
            ],
        }
        for flag, n, sound, places in rows
    }


def describe_rejected(
    by_reason: Mapping[str, int], shown: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return a few lines of text for each reason: how many rows, what to try, the first of them."""
    lines = []
    for reason, rows in by_reason.items():
        lines.append(
            f"  {reason}: {rows:,} {'row' if rows == 1 else 'rows'}; {shown[reason]['hint']}"
        )
        for one in shown[reason]["examples"]:
            value = "blank" if one["value"] is None else repr(one["value"][:60])
            column = "" if one["column"] is None else f", {one['column']}"
            lines.append(f"    {one['file']}, line {one['line']}{column}: {value}")
    return lines

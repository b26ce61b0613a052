"""Refused rows: the rows themselves, their counts by reason, and examples of each reason.

``rows_in = rows_loaded + rows_rejected + rows_duplicate`` always holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stagecast.features.errors import DataRefusedError
from stagecast.features.files import atomic_write
from stagecast.features.intake.amount_hints import amount_hint
from stagecast.features.intake.counted import counted
from stagecast.features.intake.line_items import line_items_hint
from stagecast.features.intake.reading import LINE_BITS
from stagecast.features.intake.reasons import HINTS, RULE_HINT
from stagecast.features.intake.time_hints import calendar_hint, time_hint, unit_hint

_TEXT_LIST = pa.list_(pa.field("element", pa.string()))

REJECTED_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
        ("reasons", _TEXT_LIST),
        ("raw", pa.string()),
        ("flags", _TEXT_LIST),
    ]
)
"""Columns of the refused rows, one row per source row.

``file`` and ``line`` are its place; ``column``, ``value`` and ``reason`` are those of its first
fault; ``reasons`` are all its reasons; ``raw`` is the source row as JSON. A malformed line has no
column, and its value describes the problem.
"""

EXAMPLES_PER_REASON = 3
VALUES_FOR_HINTS = 1_000
ROWS_PER_BATCH = 100_000

_PLACE_COLUMNS = f"files.label AS file, seq & {(1 << LINE_BITS) - 1} AS line"
_JOIN_FILES = f"JOIN files ON files.number = seq >> {LINE_BITS}"
_REJECTED_ROWS = f"""SELECT {_PLACE_COLUMNS}, faults[1]."column" AS "column",
    faults[1]."value" AS "value", faults[1].reason AS reason,
    list_transform(faults, lambda fault: fault.reason) AS reasons, raw,
    flags
    FROM rejected {_JOIN_FILES} ORDER BY seq"""


def create_rejected(con: duckdb.DuckDBPyConnection, labels: Sequence[str]) -> None:
    """Create the table ``rejected`` of the rows with a fault, and ``files`` of the source names.

    ``refused_negatives`` holds customer, time and amount of the purchases below 0 among them.

    Parameters
    ----------
    con
        Holds the table ``typed_rows``.
    labels
        Names of the sources, in their order.
    """
    con.execute("CREATE TABLE files (number BIGINT, label VARCHAR)")
    con.executemany("INSERT INTO files VALUES (?, ?)", [list(pair) for pair in enumerate(labels)])
    con.execute(
        "CREATE TABLE rejected AS SELECT seq, faults, raw, flags FROM typed_rows WHERE "
        "faults IS NOT NULL"
    )
    # a refund that was refused explains a customer who leads the list
    con.execute(
        """CREATE TABLE refused_negatives AS SELECT customer_id, "timestamp", amount
        FROM typed_rows WHERE faults IS NOT NULL AND customer_id IS NOT NULL AND amount < 0
        AND list_contains(list_transform(faults, lambda fault: fault.reason), 'negative_amount')"""
    )


def no_valid_row_error(
    labels: Sequence[str],
    rows_in: int,
    by_reason: Mapping[str, int],
    examples: Mapping[str, Mapping[str, Any]],
) -> DataRefusedError:
    """Return the error of a log without a valid row.

    Parameters
    ----------
    labels
        Names of the sources.
    rows_in
        Number of source rows.
    by_reason, examples
        As of :func:`describe_rejected`.
    """
    names = ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
    if not rows_in:
        return DataRefusedError(f"{names}: a header, and no rows below it")
    lines = [
        f"{names}: none of {counted(rows_in, 'row')} can be read",
        *describe_rejected(by_reason, examples),
    ]
    return DataRefusedError("\n".join(lines))


def rejected_table(con: duckdb.DuckDBPyConnection) -> Any:
    """Return the refused rows (:data:`REJECTED_SCHEMA`), in the order of the files and lines."""
    with con.cursor() as cursor:  # the caller may still be fetching from the connection
        return cursor.sql(_REJECTED_ROWS).to_arrow_table().cast(REJECTED_SCHEMA)


def write_rejected(con: duckdb.DuckDBPyConnection, path: str | Path) -> None:
    """Write the refused rows as Parquet; an empty table if no row was refused.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    with (
        atomic_write(Path(path)) as draft,
        con.cursor() as cursor,
        pq.ParquetWriter(draft, REJECTED_SCHEMA) as writer,
    ):
        for batch in cursor.sql(_REJECTED_ROWS).to_arrow_reader(ROWS_PER_BATCH):
            writer.write_table(pa.Table.from_batches([batch]).cast(REJECTED_SCHEMA))


def count_by_reason(con: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, int]]:
    """Return the number of rows by first reason, and by any reason, most frequent first."""
    first_reasons = con.execute(
        "SELECT faults[1].reason AS r, count(*) AS n FROM rejected GROUP BY r ORDER BY n DESC, r"
    )
    by_first: dict[str, int] = dict(first_reasons.fetchall())
    all_reasons = con.execute(
        """SELECT r, count(*) AS n
            FROM (SELECT unnest(list_transform(faults, lambda fault: fault.reason)) AS r
        FROM rejected) GROUP BY r ORDER BY n DESC, r"""
    )
    return by_first, dict(all_reasons.fetchall())


def rejected_examples(
    con: duckdb.DuckDBPyConnection, rules: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return reason -> hint and examples: the first rows with this as their first reason.

    Parameters
    ----------
    con
        Holds the tables ``rejected`` and ``files``.
    rules
        The user's own rules: name -> condition.
    """
    rows = con.execute(
        f"""SELECT faults[1].reason AS reason, {_PLACE_COLUMNS}, faults[1]."column",
            faults[1]."value"
        FROM (SELECT unnest(first_rows) AS seq FROM
            (SELECT min(seq, {EXAMPLES_PER_REASON}) AS first_rows FROM rejected
            GROUP BY faults[1].reason))
        JOIN rejected USING (seq) {_JOIN_FILES} ORDER BY seq"""
    ).fetchall()
    hints = {
        **HINTS,
        **{name: RULE_HINT.format(condition=condition) for name, condition in rules.items()},
    }
    by_reason: dict[str, dict[str, Any]] = {}
    for reason, hint in hints.items():
        examples = [
            dict(zip(("file", "line", "column", "value"), row[1:], strict=True))
            for row in rows
            if row[0] == reason
        ]
        if examples and reason in ("unreadable_time", "unreadable_recorded_at"):
            hint = time_hint(con, _refused_values(con, reason)) or hint
        elif examples and reason == "unreadable_amount":
            hint = amount_hint(_refused_values(con, reason)) or hint
        elif examples and reason == "missing_amount":
            hint = line_items_hint(con, str(examples[0]["column"])) or hint
        elif examples and reason == "absurd_time":
            values = _refused_values(con, reason)
            hint = unit_hint(values) or calendar_hint(values) or hint
        if examples:
            by_reason[reason] = {"hint": hint, "examples": examples}
    return by_reason


def _refused_values(con: duckdb.DuckDBPyConnection, reason: str) -> list[str]:
    """Return different values that were refused for a reason, in the order of their rows."""
    rows = con.execute(
        f"""SELECT "value" FROM (SELECT faults[1]."value" AS "value", min(seq) AS seq FROM rejected
        WHERE faults[1].reason = ? GROUP BY 1 ORDER BY seq LIMIT {VALUES_FOR_HINTS})
        WHERE "value" IS NOT NULL ORDER BY seq""",
        [reason],
    ).fetchall()
    return [value for (value,) in rows]


def count_flags(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return flag -> rows in, rows not refused, and the first places; most frequent first.

    Needs the tables ``typed_rows`` and ``files``.
    """
    rows = con.execute(
        f"""SELECT flag, count(*) AS n, count(*) FILTER (faults IS NULL),
            min(seq, {EXAMPLES_PER_REASON})
        FROM (SELECT unnest(flags) AS flag, faults, seq FROM typed_rows WHERE flags IS NOT NULL)
        GROUP BY flag ORDER BY n DESC, flag"""
    ).fetchall()
    labels = dict(con.execute("SELECT number, label FROM files").fetchall())
    return {
        flag: {
            "rows": row_count,
            "rows_not_refused": valid_count,
            "examples": [
                {"file": labels[seq >> LINE_BITS], "line": seq & ((1 << LINE_BITS) - 1)}
                for seq in first_rows
            ],
        }
        for flag, row_count, valid_count, first_rows in rows
    }


def describe_rejected(
    by_reason: Mapping[str, int], examples: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return lines of text for each reason: the number of rows, what to try, and examples.

    Parameters
    ----------
    by_reason
        Reason -> number of rows.
    examples
        As of :func:`rejected_examples`.
    """
    lines = []
    for reason, rows in by_reason.items():
        lines.append(
            f"  {reason}: {rows:,} {'row' if rows == 1 else 'rows'}; {examples[reason]['hint']}"
        )
        for example in examples[reason]["examples"]:
            value = "blank" if example["value"] is None else repr(example["value"][:60])
            column = "" if example["column"] is None else f", {example['column']}"
            lines.append(f"    {example['file']}, line {example['line']}{column}: {value}")
    return lines

"""Blocks of source rows in, typed rows and their faults out; all of it SQL over whole blocks.

    source block -> looked-up columns -> numbers -> parts as text -> parts typed
        -> faults and flags -> table ``staged``

``staged`` holds one narrow row per source row. A sound row has ``faults`` NULL; any other keeps
every fault found (reason, column, value) and its source as JSON. What is a duplicate can be said
only when all rows are there, so that is left to :mod:`stagecast.features.intake.settling`. What the
parts become is in :mod:`stagecast.features.intake.typed`, what a text becomes in
:mod:`stagecast.features.intake.values`, what is wrong with a row in
:mod:`stagecast.features.intake.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from stagecast.features.intake import typed, values
from stagecast.features.intake.expressions import Compiled, SourceColumn, column_text, quote_text
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.rules import Fault, Rules, faults, unreadable
from stagecast.features.intake.sources import Source
from stagecast.features.intake.zones import is_utc, pieces

LINE_BITS = 40
"""``seq`` is the number of the file, then the line in the lowest 40 bits: one order over all
files.
"""

_FAULTS = 'STRUCT(reason VARCHAR, "column" VARCHAR, "value" VARCHAR)[]'
_STAGED = f"""
CREATE TABLE staged (
    seq BIGINT NOT NULL,
    customer_id VARCHAR, "timestamp" TIMESTAMP, event VARCHAR, amount DECIMAL(18,6),
    channel VARCHAR, recorded_at TIMESTAMP, event_id VARCHAR, category VARCHAR,
    discount DECIMAL(18,6),
    currency VARCHAR,
    row_key UHUGEINT,
    flags VARCHAR[],
    faults {_FAULTS},
    raw VARCHAR
);
"""


@dataclass(frozen=True)
class Join:
    """A table in DuckDB in which rows are looked up: its name, the column here (SQL), its
    columns as seen by a row.
    """

    table: str
    on: SourceColumn
    columns: tuple[SourceColumn, ...]


@dataclass(frozen=True)
class Input:
    """One source with all that is to be made of it.

    Parameters
    ----------
    source
        Where the rows come from.
    options
        How it is read.
    table
        The table that it is part of; rows of different tables are never duplicates of one another.
    columns
        Its own columns and those that are looked up.
    parts
        Part of an event -> its column or expression.
    rules
        The user's own conditions.
    joins
        Where its rows are looked up.
    """

    source: Source
    options: ReadOptions
    table: int
    columns: tuple[SourceColumn, ...]
    parts: dict[str, Compiled]
    rules: Rules
    joins: tuple[Join, ...] = ()


def stage(con: duckdb.DuckDBPyConnection, inputs: Sequence[Input]) -> list[int]:
    """Read every source into the table ``staged``, which this creates.

    Returns
    -------
    For each source the rows that ``where`` did not let in.

    Raises
    ------
    UsageError
        A time format or a pattern that DuckDB cannot use.
    DataRefusedError
        A source that turns out to be damaged while it is read.
    """
    values.define_macros(con)
    con.execute(_STAGED)
    now = datetime.now(UTC)
    skipped = []
    for number, one in enumerate(inputs):
        values.check_formats(con, one.options)
        _define_zone(con, one.options.zone)
        insert = _insert(number, one, one.options.latest(now))
        seen = loaded = 0
        for block in one.source.blocks():
            loaded += insert_block(con, block.rows, insert)
            seen += len(block.rows)
            insert_block(
                con,
                block.malformed,
                f"""INSERT INTO staged (seq, faults, raw) SELECT {_seq(number)},
                [{{'reason': 'malformed_line', 'column': NULL, 'value': problem || ': ' || text}}],
                CAST(to_json(text) AS VARCHAR) FROM block""",
            )
        skipped.append(seen - loaded)
    return skipped


def insert_block(con: duckdb.DuckDBPyConnection, rows: Any, insert: str) -> int:
    """Run a statement that inserts from the view ``block`` on some rows (Arrow); return how many
    it inserted.
    """
    if not len(rows):
        return 0
    con.register("block", rows)
    inserted: int = con.execute(insert).fetchall()[0][0]
    con.unregister("block")
    return inserted


def _seq(number: int) -> str:
    return f"({number}::BIGINT << {LINE_BITS}) | line"


def _zone_table(zone: str) -> str:
    return '"zone ' + zone.replace('"', "") + '"'


def _define_zone(con: duckdb.DuckDBPyConnection, zone: str) -> None:
    """Create the table of a zone's pieces: from which local time on, the offset, and what kind
    of time it is.
    """
    if is_utc(zone):
        return
    table = pa.table(
        {
            "begins": pa.array([piece.begins for piece in pieces(zone)], pa.timestamp("us")),
            "offset_us": pa.array(
                [piece.offset.total_seconds() * 1e6 for piece in pieces(zone)]
            ).cast(pa.int64()),
            "kind": [piece.kind for piece in pieces(zone)],
        }
    )
    con.register("zone_pieces", table)
    con.execute(f"CREATE OR REPLACE TABLE {_zone_table(zone)} AS SELECT * FROM zone_pieces")
    con.unregister("zone_pieces")


def _insert(number: int, one: Input, latest: datetime) -> str:
    """Return the statement that stages the rows of the view ``block``."""
    found = faults(one.parts, one.rules, one.options, latest)
    if one.joins:
        found.insert(0, _unmatched(one.joins))
    marks = ", ".join(f"coalesce({fault.when}, false) AS f_{i}" for i, fault in enumerate(found))
    any_fault = " OR ".join(f"f_{i}" for i in range(len(found)))
    listed = ", ".join(
        f"CASE WHEN f_{i} THEN {{'reason': {quote_text(fault.reason)}, "
        f"'column': {fault.column}, 'value': {fault.value}}} END"
        for i, fault in enumerate(found)
    )
    raw = ", ".join(f"{quote_text(c.name)}, {_json_value(c)}" for c in one.source.columns)
    parts, options = one.parts, one.options
    return f"""
    INSERT INTO staged
    SELECT {_seq(number)}, p_customer, p_time, {typed.event(parts, options)},
        {typed.amount(parts, options)}, p_channel, p_recorded_at,
        p_event_id, p_category, {typed.discount(parts, options)},
        {typed.currency(parts)},
        {_row_key(one) if options.duplicates == "drop" else "NULL"},
        {_flags(one)},
        CASE WHEN {any_fault} THEN list_filter([{listed}], lambda fault: fault IS NOT NULL) END,
        CASE WHEN {any_fault} THEN CAST(json_object({raw}) AS VARCHAR) END
    FROM (SELECT *, {marks}
    FROM (SELECT *, {typed.rate(parts, options)} AS p_rate
    FROM (SELECT *, {typed.types(parts, options)}
    FROM {_timed(one)})))
    """


def _rows(one: Input) -> str:
    """The rows of the block with what is looked up for them, and with text columns that are read
    as numbers.
    """
    rows = "block"
    if one.joins:
        seen = ", ".join(f"j{i}.* EXCLUDE (key), j{i}.key AS k_{i}" for i in range(len(one.joins)))
        rows = f"SELECT block.*, {seen} FROM block" + "".join(
            f" LEFT JOIN {join.table} j{i} ON {_key(join.on)} = j{i}.key"
            for i, join in enumerate(one.joins)
        )
        rows = f"({rows})"
    wanted = [
        c for part in (*typed.money(one.parts), *one.rules.conditions) for c in part.as_numbers
    ]
    numbers = "".join(
        f", {values.number(column_text(c), one.options)} AS n_{c.sql}"
        for c in dict.fromkeys(wanted)
    )
    rows = f"(SELECT *{numbers} FROM {rows})"
    where = one.rules.where
    if where is None:
        return rows
    # a row of which it cannot be told is not left out unseen, but refused
    untold = "".join(f" OR {unreadable(column)}" for column in where.as_numbers)
    return f"(SELECT * FROM {rows} WHERE {where.sql}{untold})"


def _key(column: SourceColumn) -> str:
    return f"nullif(trim({values.whole_text(column)}), '')"


def _unmatched(joins: Sequence[Join]) -> Fault:
    missing = {
        i: f"({_key(join.on)} IS NOT NULL AND k_{i} IS NULL)" for i, join in enumerate(joins)
    }
    column = " ".join(
        f"WHEN {missing[i]} THEN {quote_text(join.on.name)}" for i, join in enumerate(joins)
    )
    value = " ".join(
        f"WHEN {missing[i]} THEN {column_text(join.on)}" for i, join in enumerate(joins)
    )
    return Fault(
        " OR ".join(missing.values()), "no_match", f"CASE {column} END", f"CASE {value} END"
    )


def _timed(one: Input) -> str:
    """The rows with each part as text and, where times are of a zone, the times in UTC with what
    kind they are.
    """
    rows = f"(SELECT *, {typed.texts(one.parts)} FROM {_rows(one)})"
    if is_utc(one.options.zone):
        return rows
    table = _zone_table(one.options.zone)
    for name in ("time", "recorded_at"):
        local, utc = values.local_and_utc(one.parts.get(name), f"t_{name}", one.options)
        rows = f"(SELECT *, {local} AS l_{name}, {utc} AS u_{name} FROM {rows})"
        rows = f"""(SELECT rows.*, coalesce(u_{name}, l_{name} - to_microseconds(z.offset_us))
            AS z_{name},
            CASE WHEN u_{name} IS NULL THEN z.kind END AS kind_{name}
            FROM {rows} rows ASOF LEFT JOIN {table} z ON l_{name} >= z.begins)"""
    return rows


def _flags(one: Input) -> str:
    """The flags of a row as a list, NULL where there are none."""
    found = []
    if not is_utc(one.options.zone):
        met = "CASE WHEN kind_time = '{0}' OR kind_recorded_at = '{0}' THEN 'dst_{0}' END"
        found += [met.format(kind) for kind in ("gap", "overlap")]
    found += [
        f"CASE WHEN {rule.sql} THEN {quote_text(name)} END" for name, rule in one.rules.flag.items()
    ]
    if not found:
        return "NULL"
    listed = f"list_filter([{', '.join(found)}], lambda flag: flag IS NOT NULL)"
    return f"CASE WHEN len({listed}) > 0 THEN {listed} END"


def _json_value(column: SourceColumn) -> str:
    return column.sql if column.kind in ("text", "number") else f"CAST({column.sql} AS VARCHAR)"


def _row_key(one: Input) -> str:
    """128 bits of all source columns: each value with its name and length, so that no two rows
    run together.
    """
    cells = [f"'{one.table}'"] if one.table else []
    written = {part.bare: f"t_{name}" for name, part in one.parts.items() if typed.is_time(part)}
    for column in sorted(one.source.columns, key=lambda c: c.name):
        text = written.get(column, column_text(column))  # to write a time once more is slow
        cells.append(f"{quote_text(column.name + '=')} || strlen({text}), ':' || {text}")
    return f"md5_number(concat({', '.join(cells)}))"

"""Loading of blocks of source rows into the table ``typed_rows``, by SQL over whole blocks.

    source block -> looked-up columns -> numbers -> parts as text -> parts typed
        -> faults and flags -> table ``typed_rows``

``typed_rows`` holds one row per source row. A valid row has NULL in ``faults``; any other has all
its faults (reason, column, value) and the source row as JSON. Duplicates can be found only when all
rows are loaded: see :mod:`stagecast.features.intake.settling`. The SQL of the parts is in
:mod:`stagecast.features.intake.typed`, that of texts in :mod:`stagecast.features.intake.values`,
that of faults in :mod:`stagecast.features.intake.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from stagecast.features.intake import typed, values
from stagecast.features.intake.expressions import (
    Compiled,
    SourceColumn,
    column_text,
    quote_text,
    whole_text,
)
from stagecast.features.intake.number_forms import thousands_warning
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.rules import Fault, Rules, faults, unreadable_number
from stagecast.features.intake.sources import Source
from stagecast.features.intake.zones import is_utc, offset_periods

LINE_BITS = 40
"""``seq``, the order of all rows, is the number of the source followed by 40 bits of the line."""

_FAULTS_TYPE = 'STRUCT(reason VARCHAR, "column" VARCHAR, "value" VARCHAR)[]'
_TYPED_ROWS = f"""
CREATE TABLE typed_rows (
    seq BIGINT NOT NULL,
    customer_id VARCHAR, "timestamp" TIMESTAMP, event VARCHAR, amount DECIMAL(18,6),
    channel VARCHAR, recorded_at TIMESTAMP, event_id VARCHAR, category VARCHAR,
    discount DECIMAL(18,6),
    currency VARCHAR,
    row_key UHUGEINT,
    flags VARCHAR[],
    faults {_FAULTS_TYPE},
    raw VARCHAR
);
"""


@dataclass(frozen=True)
class Join:
    """A look-up of columns in a table of the database.

    Parameters
    ----------
    table
        Name of the table; its column ``key`` holds the key.
    on
        The column of the source that holds the key.
    columns
        The looked-up columns, as columns of the source.
    """

    table: str
    on: SourceColumn
    columns: tuple[SourceColumn, ...]


@dataclass(frozen=True)
class ReadPlan:
    """How one source is read.

    Parameters
    ----------
    source
        The source of the rows.
    options
        Its options.
    table
        Number of the table that it belongs to; rows of different tables are never duplicates.
    columns
        Its own columns and the looked-up ones.
    parts
        Part of an event -> its column or expression.
    rules
        The user's own conditions.
    joins
        Its look-ups.
    """

    source: Source
    options: ReadOptions
    table: int
    columns: tuple[SourceColumn, ...]
    parts: dict[str, Compiled]
    rules: Rules
    joins: tuple[Join, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """What is known of the sources when their rows are loaded.

    Parameters
    ----------
    skipped
        For each source the number of rows that were skipped because ``where`` does not hold.
    warnings
        Sentences about how the values are written.
    """

    skipped: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def load_rows(con: duckdb.DuckDBPyConnection, plans: Sequence[ReadPlan]) -> Loaded:
    """Create the table ``typed_rows`` and load the rows of every source into it.

    Parameters
    ----------
    con
        The connection; holds the look-up tables of the plans.
    plans
        How each source is read, in the order of the sources.

    Raises
    ------
    UsageError
        DuckDB cannot use a time format or a regular expression.
    DataRefusedError
        A source is damaged.
    """
    values.define_macros(con)
    con.execute(_TYPED_ROWS)
    now = datetime.now(UTC)
    skipped = []
    warnings: dict[str, None] = {}
    for number, plan in enumerate(plans):
        values.check_formats(con, plan.options)
        _define_zone(con, plan.options.zone)
        insert = _insert_statement(number, plan, plan.options.latest_time(now))
        row_count = inserted_count = 0
        for block in plan.source.blocks():
            if not row_count and "amount" in plan.parts:
                sentence = thousands_warning(con, plan.parts["amount"], plan.options, block.rows)
                warnings |= {} if sentence is None else {sentence: None}
            inserted_count += insert_block(con, block.rows, insert)
            row_count += len(block.rows)
            insert_block(
                con,
                block.malformed,
                f"""INSERT INTO typed_rows (seq, faults, raw) SELECT {_seq(number)},
                [{{'reason': 'malformed_line', 'column': NULL, 'value': problem || ': ' || text}}],
                CAST(to_json(text) AS VARCHAR) FROM block""",
            )
        skipped.append(row_count - inserted_count)
    return Loaded(tuple(skipped), tuple(warnings))


def insert_block(con: duckdb.DuckDBPyConnection, rows: Any, insert: str) -> int:
    """Insert a block of rows; return how many rows were inserted.

    Parameters
    ----------
    con
        The connection.
    rows
        Arrow table, registered as the view ``block`` while the statement runs.
    insert
        INSERT statement that selects from ``block``.
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
    """Create the table of a zone's offset periods: their begin in local time, offset and kind."""
    if is_utc(zone):
        return
    periods = offset_periods(zone)
    table = pa.table(
        {
            "begins": pa.array([period.begins for period in periods], pa.timestamp("us")),
            "offset_us": pa.array([period.offset.total_seconds() * 1e6 for period in periods]).cast(
                pa.int64()
            ),
            "kind": [period.kind for period in periods],
        }
    )
    con.register("zone_periods", table)
    con.execute(f"CREATE OR REPLACE TABLE {_zone_table(zone)} AS SELECT * FROM zone_periods")
    con.unregister("zone_periods")


def _insert_statement(number: int, plan: ReadPlan, latest: datetime) -> str:
    """Return the statement that loads the rows of the view ``block`` into ``typed_rows``."""
    row_faults = faults(plan.parts, plan.rules, plan.options, latest)
    if plan.joins:
        row_faults.insert(0, _no_match_fault(plan.joins))
    fault_columns = ", ".join(
        f"coalesce({fault.condition}, false) AS f_{i}" for i, fault in enumerate(row_faults)
    )
    any_fault = " OR ".join(f"f_{i}" for i in range(len(row_faults)))
    fault_list = ", ".join(
        f"CASE WHEN f_{i} THEN {{'reason': {quote_text(fault.reason)}, "
        f"'column': {fault.column}, 'value': {fault.value}}} END"
        for i, fault in enumerate(row_faults)
    )
    raw = ", ".join(f"{quote_text(c.name)}, {_json_value(c)}" for c in plan.source.columns)
    parts, options = plan.parts, plan.options
    return f"""
    INSERT INTO typed_rows
    SELECT {_seq(number)}, p_customer, p_time, {typed.event(parts, options)},
        {typed.amount(parts, options)}, p_channel, p_recorded_at,
        p_event_id, p_category, {typed.discount(parts, options)},
        {typed.currency(parts)},
        {_row_key(plan) if options.duplicates == "drop" else "NULL"},
        {_flags(plan)},
        CASE WHEN {any_fault} THEN list_filter([{fault_list}], lambda fault: fault IS NOT NULL) END,
        CASE WHEN {any_fault} THEN CAST(json_object({raw}) AS VARCHAR) END
    FROM (SELECT *, {fault_columns}
    FROM (SELECT *, {typed.rate(parts, options)} AS p_rate
    FROM (SELECT *, {typed.typed_columns(parts, options)}
    FROM {_timed_rows(plan)})))
    """


def _block_rows(plan: ReadPlan) -> str:
    """Return SQL of the rows of the block with looked-up columns and with texts as numbers."""
    rows = "block"
    if plan.joins:
        looked_up = ", ".join(
            f"j{i}.* EXCLUDE (key), j{i}.key AS k_{i}" for i in range(len(plan.joins))
        )
        rows = f"SELECT block.*, {looked_up} FROM block" + "".join(
            f" LEFT JOIN {join.table} j{i} ON {_key(join.on)} = j{i}.key"
            for i, join in enumerate(plan.joins)
        )
        rows = f"({rows})"
    number_columns = [
        column
        for part in (*typed.money(plan.parts), *plan.rules.conditions)
        for column in part.as_numbers
    ]
    numbers = "".join(
        f", {values.number(column_text(column), plan.options)} AS n_{column.sql}"
        for column in dict.fromkeys(number_columns)
    )
    rows = f"(SELECT *{numbers} FROM {rows})"
    where = plan.rules.where
    if where is None:
        return rows
    # if the condition needs a number that cannot be read, the row is refused instead of skipped
    is_unreadable = "".join(f" OR {unreadable_number(column)}" for column in where.as_numbers)
    return f"(SELECT * FROM {rows} WHERE {where.sql}{is_unreadable})"


def _key(column: SourceColumn) -> str:
    return f"nullif(trim({whole_text(column)}), '')"


def _no_match_fault(joins: Sequence[Join]) -> Fault:
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


def _timed_rows(plan: ReadPlan) -> str:
    """Return SQL of the rows with each part as text; for a zone, also with its times in UTC."""
    rows = f"(SELECT *, {typed.text_columns(plan.parts)} FROM {_block_rows(plan)})"
    if is_utc(plan.options.zone):
        return rows
    table = _zone_table(plan.options.zone)
    for name in ("time", "recorded_at"):
        local, utc = values.local_and_utc(plan.parts.get(name), f"t_{name}", plan.options)
        rows = f"(SELECT *, {local} AS l_{name}, {utc} AS u_{name} FROM {rows})"
        rows = f"""(SELECT rows.*, coalesce(u_{name}, l_{name} - to_microseconds(z.offset_us))
            AS z_{name},
            CASE WHEN u_{name} IS NULL THEN z.kind END AS kind_{name}
            FROM {rows} rows ASOF LEFT JOIN {table} z ON l_{name} >= z.begins)"""
    return rows


def _flags(plan: ReadPlan) -> str:
    """Return SQL of the flags of a row as a list, NULL if it has none."""
    flags = []
    if not is_utc(plan.options.zone):
        template = "CASE WHEN kind_time = '{0}' OR kind_recorded_at = '{0}' THEN 'dst_{0}' END"
        flags += [template.format(kind) for kind in ("gap", "overlap")]
    flags += [
        f"CASE WHEN {rule.sql} THEN {quote_text(name)} END"
        for name, rule in plan.rules.flag.items()
    ]
    if not flags:
        return "NULL"
    flag_list = f"list_filter([{', '.join(flags)}], lambda flag: flag IS NOT NULL)"
    return f"CASE WHEN len({flag_list}) > 0 THEN {flag_list} END"


def _json_value(column: SourceColumn) -> str:
    return column.sql if column.kind in ("text", "number") else f"CAST({column.sql} AS VARCHAR)"


def _row_key(plan: ReadPlan) -> str:
    """Return SQL of a 128-bit hash of all source columns, by which duplicate rows are found."""
    # each value with its name and length, so that different rows never give the same text
    cells = [f"'{plan.table}'"] if plan.table else []
    # to convert a time to text a second time is slow
    time_texts = {
        part.single_column: f"t_{name}" for name, part in plan.parts.items() if typed.is_time(part)
    }
    for column in sorted(plan.source.columns, key=lambda c: c.name):
        text = time_texts.get(column, column_text(column))
        cells.append(f"{quote_text(column.name + '=')} || strlen({text}), ':' || {text}")
    return f"md5_number(concat({', '.join(cells)}))"

"""The table of customers: what is known of each beside their events (channel, acquisition_cost,
consent, ...).

Attributes are as they stand today, not as they stood at a past date, so no model learns from them:
a column that was filled in after somebody left would tell the outcome. They serve to choose whom to
write to. The exception are columns that the user declares as known from the first contact on
(:mod:`stagecast.features.leads`, :mod:`stagecast.features.catalog.of_customer`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from stagecast.features.attributes import check_known_at_start
from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean
from stagecast.features.intake import values
from stagecast.features.intake.expressions import Compiled, SourceColumn, column_text, quote_text
from stagecast.features.intake.opening import open_all
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.reading import insert_block
from stagecast.features.intake.reasons import NO_CUSTOMER
from stagecast.features.intake.settling import FLOAT_ID
from stagecast.features.intake.sources import Source
from stagecast.features.intake.tables import beside
from stagecast.features.intake.typed import BLANKS

NUMBERS = ("acquisition_cost",)
FLAGS = ("consent", "do_not_contact")
"""Columns whose name says their type; every other is a category, unless it is declared
otherwise.
"""

TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
EXAMPLES = 3

_HINTS = {
    "malformed_line": (
        "the line does not have the header's number of fields, or a quote is out of place"
    ),
    "missing_customer": "the row names no customer",
    "unreadable_number": "the column is declared as a number",
    "unreadable_flag": (
        f"the column is declared as a flag: one of {', '.join(TRUE + FALSE)}, or blank"
    ),
    "conflicting_customer": (
        "the customer stands there before, with other values; the first row was kept"
    ),
}


@dataclass(frozen=True)
class CustomersTable:
    """Where the attributes of customers stand, and of what type they are.

    Parameters
    ----------
    source
        A file, a folder, a glob or a database table.
    customer
        The column that holds the id.
    numbers, flags
        Columns read as numbers, and as true or false, beside those of :data:`NUMBERS` and
        :data:`FLAGS`.
    columns
        The columns to keep; None: all.
    known_at_start
        Columns that were known at the customer's first contact and have not changed since: models
        may learn from them.
    """

    source: str
    customer: str = "customer_id"
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    known_at_start: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttributesReport:
    """What the table of customers held; ``rows_in = rows_loaded + rows_rejected + rows_duplicate``.

    ``without_events`` are customers of the table who have no event, ``without_attributes`` the
    other way round. ``columns`` is name -> ``category``, ``number`` or ``flag``; ``rejected`` is
    reason -> rows, hint and examples.
    """

    source: str
    rows_in: int
    rows_loaded: int
    rows_rejected: int
    rows_duplicate: int
    without_events: int
    without_attributes: int
    columns: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, numbers and texts."""
        return asdict(self)


def parse_customers(entry: object, folder: Path) -> CustomersTable:
    """Return the table of customers that stands under ``customers`` of a configuration in
    ``folder``.

    Raises
    ------
    UsageError
        It is not written as it must be.
    """
    if isinstance(entry, str):
        return CustomersTable(beside(entry, folder))
    known = ("source", "customer", "numbers", "flags", "columns", "known_at_start")
    if not isinstance(entry, dict) or not isinstance(entry.get("source"), str):
        raise UsageError(
            "customers must be a file, or a table with source and, if need be, "
            f"{', '.join(known[1:])}"
        )
    if unknown := sorted(set(entry) - set(known)):
        raise UsageError(f"customers: unknown '{unknown[0]}'.{did_you_mean(unknown[0], known)}")
    lists = {
        name: entry[name]
        for name in ("numbers", "flags", "columns", "known_at_start")
        if name in entry
    }
    for name, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise UsageError(f"customers: {name} must be a list of columns")
    customer = entry.get("customer", "customer_id")
    if not isinstance(customer, str):
        raise UsageError("customers: customer must be the name of a column")
    return CustomersTable(
        beside(entry["source"], folder), customer, **{k: tuple(v) for k, v in lists.items()}
    )


def load_attributes(
    con: duckdb.DuckDBPyConnection, table: CustomersTable, options: ReadOptions
) -> AttributesReport:
    """Create ``attributes``: ``customer_id`` and a column for each attribute, one row per customer,
    ordered by id.

    Numbers are DOUBLE, flags BOOLEAN, categories VARCHAR; blank is NULL. Needs the table
    ``events``.

    Raises
    ------
    UsageError, DataRefusedError
        The source cannot be read, lacks a column that was named, or holds not one sound row.
    """
    sources = open_all([table.source], options)
    kinds = _kinds(table, sources[0])
    check_known_at_start(kinds, table.known_at_start)
    columns = ", ".join(f"a{i} {_TYPES[kind]}" for i, kind in enumerate(kinds.values()))
    con.execute(
        f"""CREATE TABLE raw_attributes (source VARCHAR, line BIGINT, customer_id VARCHAR,
            reason VARCHAR,
        "column" VARCHAR, "value" VARCHAR{", " if columns else ""}{columns})"""
    )
    for source in sources:
        insert = _insert(source, table, kinds, options)
        for block in source.blocks():
            insert_block(con, block.rows, insert)
            insert_block(con, block.malformed, _malformed(source))
    return _settle(con, table, kinds)


_TYPES = {"category": "VARCHAR", "number": "DOUBLE", "flag": "BOOLEAN"}


def _kinds(table: CustomersTable, source: Source) -> dict[str, str]:
    """Return each attribute with its type, in the order of the source."""
    there = [column.name for column in source.columns]
    named = (table.customer, *table.numbers, *table.flags, *(table.columns or ()))
    if missing := [name for name in named if name not in there]:
        raise DataRefusedError(
            f"{source.label} has no column "
            f"{missing[0]!r}.{did_you_mean(missing[0], there)} It has: {', '.join(there)}"
        )
    kept = [name for name in (table.columns or there) if name != table.customer]
    if any(name.lower() == "customer_id" for name in kept):
        raise UsageError(
            f"{source.label}: 'customer_id' is the name of the id itself, and "
            f"{table.customer!r} was mapped to it"
        )
    lower = [name.lower() for name in kept]
    if alike := [name for name in kept if lower.count(name.lower()) > 1]:
        raise UsageError(
            f"{source.label}: {' and '.join(map(repr, alike[:2]))} differ in capitals "
            "only; name one under columns"
        )
    declared = {column.name: column.kind for column in source.columns}
    kinds = {}
    for name in kept:
        is_number = name in (*table.numbers, *NUMBERS) or declared[name] == "number"
        kinds[name] = (
            "flag" if name in (*table.flags, *FLAGS) else "number" if is_number else "category"
        )
    return kinds


def _malformed(source: Source) -> str:
    return f"""INSERT INTO raw_attributes BY NAME SELECT {quote_text(source.label)} AS source, line,
        'malformed_line' AS reason, problem || ': ' || text AS "value" FROM block"""


def _insert(
    source: Source, table: CustomersTable, kinds: Mapping[str, str], options: ReadOptions
) -> str:
    there = {column.name: column for column in source.columns}
    unread = ", ".join(quote_text(word) for word in NO_CUSTOMER)
    if missing := [name for name in (table.customer, *kinds) if name not in there]:
        raise DataRefusedError(
            f"{source.label} has no column {missing[0]!r}, which another file of the "
            "customers has. It has: "
            f"{', '.join(there)}"
        )
    text = values.id_text(
        Compiled(table.customer, column_text(there[table.customer]), (there[table.customer],))
    )
    customer = f"nullif(trim({text}, {quote_text(BLANKS)}), '')"
    texts, typed, faults = (
        [],
        [],
        [("customer_id IS NULL", "missing_customer", quote_text(table.customer), "NULL")],
    )
    for i, (name, kind) in enumerate(kinds.items()):
        text, value = f"t{i}", _value(there[name], kind, f"t{i}", options)
        texts.append(f"nullif(trim({column_text(there[name])}), '') AS {text}")
        typed.append(f"{value} AS a{i}")
        if kind != "category":
            reason = f"unreadable_{kind}"
            faults.append((f"{text} IS NOT NULL AND a{i} IS NULL", reason, quote_text(name), text))
    reason = " ".join(f"WHEN {when} THEN {quote_text(why)}" for when, why, _, _ in faults)
    column = " ".join(f"WHEN {when} THEN {name}" for when, _, name, _ in faults)
    shown = " ".join(f"WHEN {when} THEN {text}" for when, _, _, text in faults)
    found = "".join(f", a{i}" for i in range(len(kinds)))
    return f"""INSERT INTO raw_attributes
        SELECT {quote_text(source.label)}, line, customer_id, CASE {reason} END, CASE {column} END,
        CASE {shown} END
        {found}
        FROM (SELECT *, {", ".join([*typed, "1"])} FROM
            (SELECT line, CASE WHEN lower({customer}) NOT IN ({unread}) THEN {customer} END
            AS customer_id,
            {", ".join([*texts, "1 AS one"])} FROM block))"""


def _value(column: SourceColumn, kind: str, text: str, options: ReadOptions) -> str:
    if kind == "category":
        return text
    if kind == "number":
        read = (
            f"CAST({text} AS DOUBLE)" if column.kind == "number" else values.number(text, options)
        )
        return f"CASE WHEN isfinite({read}) THEN {read} END"
    true, false = (", ".join(quote_text(word) for word in words) for words in (TRUE, FALSE))
    return (
        f"CASE WHEN lower({text}) IN ({true}) THEN true WHEN lower({text}) IN "
        f"({false}) THEN false END"
    )


def _settle(
    con: duckdb.DuckDBPyConnection, table: CustomersTable, kinds: Mapping[str, str]
) -> AttributesReport:
    """Keep the first sound row of each customer; one that repeats it is a duplicate, one that
    differs is refused.
    """
    customer = _id_form(con)
    found = "".join(f", a{i}" for i in range(len(kinds)))
    con.execute(
        f"""CREATE TABLE told AS SELECT *, row_number() OVER same_customer AS nth,
        row(0{found}) IS NOT DISTINCT FROM first_value(row(0{found})) OVER same_customer AS same
        FROM (SELECT * REPLACE ({customer} AS customer_id) FROM raw_attributes WHERE reason IS NULL)
        WINDOW same_customer AS (PARTITION BY customer_id ORDER BY source, line)"""
    )
    con.execute(
        """INSERT INTO raw_attributes BY NAME SELECT source, line, 'conflicting_customer' AS reason,
        customer_id AS "value" FROM told WHERE nth > 1 AND NOT same"""
    )
    named = "".join(
        f', a{i} AS "{name.replace(chr(34), chr(34) * 2)}"' for i, name in enumerate(kinds)
    )
    con.execute(
        f"CREATE TABLE attributes AS SELECT customer_id{named} FROM told WHERE nth = 1 "
        "ORDER BY customer_id"
    )
    report = _report(con, table, kinds)
    con.execute("DROP TABLE told")
    con.execute("DROP TABLE raw_attributes")
    if not report.rows_loaded:
        raise DataRefusedError(
            f"{table.source}: none of {report.rows_in:,} rows names a customer and can be read"
        )
    return report


def _id_form(con: duckdb.DuckDBPyConnection) -> str:
    """Return SQL of the id in the form of the log: 17850.0 is 17850 unless the log itself has
    ids like 17850.0.
    """
    ((kept,),) = con.execute(
        f"SELECT count(*) FROM events WHERE regexp_full_match(customer_id, '{FLOAT_ID}')"
    ).fetchall()
    if kept:
        return "customer_id"
    return (
        f"CASE WHEN regexp_full_match(customer_id, '{FLOAT_ID}') THEN "
        "left(customer_id, -2) ELSE customer_id END"
    )


def _report(
    con: duckdb.DuckDBPyConnection, table: CustomersTable, kinds: Mapping[str, str]
) -> AttributesReport:
    def number(sql: str) -> int:
        return int(con.execute(sql).fetchall()[0][0])

    reasons = con.execute(
        """SELECT reason, count(*) AS n FROM raw_attributes WHERE reason IS NOT NULL GROUP BY 1
            ORDER BY n DESC, 1"""
    ).fetchall()
    rejected = {}
    for reason, rows in reasons:
        shown = con.execute(
            f"""SELECT source, line, "column", "value" FROM raw_attributes WHERE reason = ?
                ORDER BY source, line
            LIMIT {EXAMPLES}""",
            [reason],
        ).fetchall()
        places = [dict(zip(("file", "line", "column", "value"), row, strict=True)) for row in shown]
        rejected[reason] = {"rows": rows, "hint": _HINTS[reason], "examples": places}
    known = "SELECT DISTINCT customer_id FROM events"
    return AttributesReport(
        source=table.source,
        rows_in=number(
            "SELECT count(*) FROM raw_attributes WHERE reason IS DISTINCT FROM "
            "'conflicting_customer'"
        ),
        rows_loaded=number("SELECT count(*) FROM attributes"),
        rows_rejected=sum(rows for _, rows in reasons),
        rows_duplicate=number("SELECT count(*) FROM told WHERE nth > 1 AND same"),
        without_events=number(
            f"SELECT count(*) FROM attributes ANTI JOIN ({known}) USING (customer_id)"
        ),
        without_attributes=number(
            f"SELECT count(*) FROM ({known}) ANTI JOIN attributes USING (customer_id)"
        ),
        columns=dict(kinds),
        rejected=rejected,
    )

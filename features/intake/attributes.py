"""Reading of the table of customers: attributes such as channel, acquisition_cost and consent.

Attributes have their values of today, not those of a past date, so no model learns from them: a
column that was filled in after a customer left would reveal the outcome. They serve to select
customers for campaigns. Columns that the user declares as known from the first contact on are an
exception (:mod:`stagecast.features.leads`, :mod:`stagecast.features.catalog.of_customer`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb

from stagecast.features.attributes import NAME, check_known_at_start
from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean
from stagecast.features.intake import values
from stagecast.features.intake.counted import counted
from stagecast.features.intake.expressions import Compiled, SourceColumn, column_text, quote_text
from stagecast.features.intake.header_lines import proposing_header_line
from stagecast.features.intake.identity import FLOAT_ID, is_inexact
from stagecast.features.intake.opening import open_sources
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.reading import insert_block
from stagecast.features.intake.reasons import HINTS
from stagecast.features.intake.rules import Fault
from stagecast.features.intake.sources import Source, open_frame
from stagecast.features.intake.tables import parse_line, source_path
from stagecast.features.shop.customer_ids import BLANKS, NO_CUSTOMER

NUMBER_COLUMNS = ("acquisition_cost",)
FLAG_COLUMNS = ("consent", "do_not_contact")
"""Columns whose type follows from their name; others are categories unless declared otherwise."""

TRUE_WORDS, FALSE_WORDS = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
EXAMPLES_PER_REASON = 3

_HINTS = {
    "malformed_line": (
        "the line does not have the header's number of fields, or a quote is out of place"
    ),
    "missing_customer": "the row names no customer",
    "inexact_customer": HINTS["inexact_customer"],
    "unreadable_number": "the column is declared as a number",
    "unreadable_flag": (
        f"the column is declared as a flag: one of {', '.join(TRUE_WORDS + FALSE_WORDS)}, or blank"
    ),
    "conflicting_customer": (
        "the customer stands there before, with other values; the first row was kept"
    ),
}


@dataclass(frozen=True)
class CustomersTable:
    """The source of the attributes of customers, and their types.

    Parameters
    ----------
    source
        A file, a folder, a glob or a database table.
    customer
        The column with the customer's id.
    numbers, flags
        Columns that are read as numbers, and as true or false, in addition to
        :data:`NUMBER_COLUMNS` and :data:`FLAG_COLUMNS`.
    columns
        The columns to read; None: all that have a name.
    known_at_start
        Columns that were known at the customer's first contact and have not changed since; models
        may learn from them.
    header_line
        Line of a text file that names the columns, counted from 1.
    name
        Columns that together are the customer's name, in the order in which it is written; they are
        read as the attribute ``name``, and as no others. None: a column of that name, if there is
        one.
    frame
        A table of pandas, Arrow or Polars that is read in place of the source, which is then its
        name in reports.
    """

    source: str
    customer: str = "customer_id"
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    known_at_start: tuple[str, ...] = ()
    header_line: int = 1
    name: tuple[str, ...] = ()
    frame: object = field(default=None, compare=False)

    @property
    def declared(self) -> tuple[str, ...]:
        """The columns that the source must have."""
        return (self.customer, *self.numbers, *self.flags, *self.name, *(self.columns or ()))

    def sources_of(self, attribute: str) -> tuple[str, ...]:
        """Return the columns that an attribute is read from."""
        return self.name if self.name and attribute == NAME else (attribute,)


@dataclass(frozen=True)
class AttributesReport:
    """Report of the table of customers.

    Parameters
    ----------
    source
        The source of the table.
    rows_in, rows_loaded, rows_rejected, rows_duplicate
        Numbers of rows; the first is the sum of the others.
    without_events
        Number of customers of the table who have no event.
    without_attributes
        Number of customers of the log who are not in the table.
    columns
        Name of an attribute -> ``category``, ``number`` or ``flag``.
    rejected
        Reason -> ``rows``, ``hint`` and ``examples``.
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
    """Return the table of customers of a configuration.

    Parameters
    ----------
    entry
        The value of ``customers``: a source, or a table of TOML.
    folder
        Folder of the configuration, to which the source is relative.

    Raises
    ------
    UsageError
        The entry has an unknown key or a value of the wrong type.
    """
    if isinstance(entry, str):
        return CustomersTable(source_path(entry, folder))
    allowed = (
        "source",
        "customer",
        "numbers",
        "flags",
        "columns",
        "known_at_start",
        "header_line",
        "name",
    )
    if not isinstance(entry, dict) or not isinstance(entry.get("source"), str):
        raise UsageError(
            "customers must be a file, or a table with source and, if need be, "
            f"{', '.join(allowed[1:])}"
        )
    if unknown := sorted(set(entry) - set(allowed)):
        raise UsageError(f"customers: unknown '{unknown[0]}'.{did_you_mean(unknown[0], allowed)}")
    lists = {
        name: entry[name]
        for name in ("numbers", "flags", "columns", "known_at_start", "name")
        if name in entry
    }
    if isinstance(lists.get("name"), str):
        lists["name"] = [lists["name"]]
    for name, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(column, str) for column in value):
            raise UsageError(f"customers: {name} must be a list of columns")
    customer = entry.get("customer", "customer_id")
    if not isinstance(customer, str):
        raise UsageError("customers: customer must be the name of a column")
    return CustomersTable(
        source_path(entry["source"], folder),
        customer,
        header_line=parse_line(entry.get("header_line", 1), "customers: header_line"),
        **{name: tuple(value) for name, value in lists.items()},
    )


def load_attributes(
    con: duckdb.DuckDBPyConnection, table: CustomersTable, options: ReadOptions
) -> AttributesReport:
    """Create the table ``attributes`` with one row per customer, ordered by id.

    Its columns are ``customer_id`` and the attributes. Numbers are DOUBLE, flags BOOLEAN,
    categories VARCHAR; blank is NULL. Needs the table ``events``.

    Parameters
    ----------
    con
        The connection of the log.
    table
        The source of the attributes, and their types.
    options
        How the source is read.

    Raises
    ------
    UsageError, DataRefusedError
        The source cannot be read, lacks a declared column, or has no valid row.
    """
    needed = table.declared
    if table.frame is not None:
        sources = [open_frame(table.frame, table.source)]
    else:
        of_file = replace(options, header_line=table.header_line)
        sources = open_sources([table.source], of_file, needed, "[customers]")
    with proposing_header_line(sources, options, needed, "[customers]"):
        kinds = _kinds(table, sources[0])
    check_known_at_start(kinds, table.known_at_start)
    columns = ", ".join(f"a{i} {_TYPES[kind]}" for i, kind in enumerate(kinds.values()))
    con.execute(
        f"""CREATE TABLE raw_attributes (source VARCHAR, line BIGINT, customer_id VARCHAR,
            reason VARCHAR,
        "column" VARCHAR, "value" VARCHAR{", " if columns else ""}{columns})"""
    )
    for source in sources:
        insert = _insert_statement(source, table, kinds, options)
        for block in source.blocks():
            insert_block(con, block.rows, insert)
            insert_block(con, block.malformed, _insert_malformed_statement(source))
    return _create_attributes(con, table, kinds)


_TYPES = {"category": "VARCHAR", "number": "DOUBLE", "flag": "BOOLEAN"}


def _kinds(table: CustomersTable, source: Source) -> dict[str, str]:
    """Return each attribute with its type, in the order of the source."""
    source_names = [column.name for column in source.columns]
    if missing := [name for name in table.declared if name not in source_names]:
        raise DataRefusedError(
            f"{source.label} has no column "
            f"{missing[0]!r}.{did_you_mean(missing[0], source_names)} "
            f"It has: {', '.join(source_names)}"
        )
    named = [column.name for column in source.columns if column.has_name]
    names = [name for name in (table.columns or named) if name not in (table.customer, *table.name)]
    if table.name:
        if other := [name for name in names if name.lower() == NAME]:
            raise UsageError(
                f"{source.label}: {' and '.join(map(repr, table.name))} of [customers] name make "
                f"the attribute 'name', and there is a column {other[0]!r} as well: leave it out "
                "of columns, or name it as the name"
            )
        names.append(NAME)
    if any(name.lower() == "customer_id" for name in names):
        raise UsageError(
            f"{source.label}: 'customer_id' is the name of the id itself, and "
            f"{table.customer!r} was mapped to it"
        )
    lower_names = [name.lower() for name in names]
    if ambiguous := [name for name in names if lower_names.count(name.lower()) > 1]:
        raise UsageError(
            f"{source.label}: {' and '.join(map(repr, ambiguous[:2]))} differ in capitals "
            "only; name one under columns"
        )
    source_kinds = {column.name: column.kind for column in source.columns}
    kinds = {}
    for name in names:
        is_flag = name in (*table.flags, *FLAG_COLUMNS)
        is_number = name in (*table.numbers, *NUMBER_COLUMNS) or (
            source_kinds.get(name) == "number"
        )
        kinds[name] = "flag" if is_flag else "number" if is_number else "category"
    return kinds


def _insert_malformed_statement(source: Source) -> str:
    return f"""INSERT INTO raw_attributes BY NAME SELECT {quote_text(source.label)} AS source, line,
        'malformed_line' AS reason, problem || ': ' || text AS "value" FROM block"""


def _insert_statement(
    source: Source, table: CustomersTable, kinds: Mapping[str, str], options: ReadOptions
) -> str:
    """Return the statement that loads rows of the view ``block`` into ``raw_attributes``."""
    columns_by_name = {column.name: column for column in source.columns}
    missing_words = ", ".join(quote_text(word) for word in NO_CUSTOMER)
    needed = (table.customer, *chain.from_iterable(map(table.sources_of, kinds)))
    if missing := [name for name in needed if name not in columns_by_name]:
        raise DataRefusedError(
            f"{source.label} has no column {missing[0]!r}, which another file of the "
            "customers has. It has: "
            f"{', '.join(columns_by_name)}"
        )
    customer_column = columns_by_name[table.customer]
    part = Compiled(table.customer, column_text(customer_column), (customer_column,))
    text = values.id_text(part)
    customer = f"nullif(trim({text}, {quote_text(BLANKS)}), '')"
    texts, typed = [], []
    faults = [Fault("customer_id IS NULL", "missing_customer", quote_text(table.customer), "NULL")]
    is_several = is_inexact(part, "customer_id")
    shown = quote_text(table.customer)
    faults.append(Fault(is_several, "inexact_customer", shown, "customer_id"))
    for i, (name, kind) in enumerate(kinds.items()):
        columns = [columns_by_name[column] for column in table.sources_of(name)]
        text, value = f"t{i}", _typed_value(columns[0], kind, f"t{i}", options)
        parts = ", ".join(f"nullif(trim({column_text(column)}), '')" for column in columns)
        texts.append(f"nullif(concat_ws(' ', {parts}), '') AS {text}")
        typed.append(f"{value} AS a{i}")
        if kind != "category":
            condition = f"{text} IS NOT NULL AND a{i} IS NULL"
            faults.append(Fault(condition, f"unreadable_{kind}", quote_text(name), text))
    reason = " ".join(f"WHEN {fault.condition} THEN {quote_text(fault.reason)}" for fault in faults)
    column = " ".join(f"WHEN {fault.condition} THEN {fault.column}" for fault in faults)
    shown_value = " ".join(f"WHEN {fault.condition} THEN {fault.value}" for fault in faults)
    attributes = "".join(f", a{i}" for i in range(len(kinds)))
    own = f"{customer_column.sql}, " if customer_column.kind == "number" else ""
    # the constants 1 keep the lists of columns from being empty if there are no attributes
    return f"""INSERT INTO raw_attributes
        SELECT {quote_text(source.label)}, line, customer_id, CASE {reason} END, CASE {column} END,
        CASE {shown_value} END
        {attributes}
        FROM (SELECT *, {", ".join([*typed, "1"])} FROM
            (SELECT {own}line,
            CASE WHEN lower({customer}) NOT IN ({missing_words}) THEN {customer} END AS customer_id,
            {", ".join([*texts, "1 AS placeholder"])} FROM block))"""


def _typed_value(column: SourceColumn, kind: str, text: str, options: ReadOptions) -> str:
    if kind == "category":
        return text
    if kind == "number":
        number = (
            f"CAST({text} AS DOUBLE)" if column.kind == "number" else values.number(text, options)
        )
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    true_words, false_words = (
        ", ".join(quote_text(word) for word in words) for words in (TRUE_WORDS, FALSE_WORDS)
    )
    return (
        f"CASE WHEN lower({text}) IN ({true_words}) THEN true WHEN lower({text}) IN "
        f"({false_words}) THEN false END"
    )


def _create_attributes(
    con: duckdb.DuckDBPyConnection, table: CustomersTable, kinds: Mapping[str, str]
) -> AttributesReport:
    """Create the table ``attributes`` from ``raw_attributes``, and drop ``raw_attributes``.

    The first valid row of each customer is loaded. A later row of the same customer is a duplicate
    if it has the same values, else it is refused.
    """
    customer_id = _customer_id_sql(con)
    attributes = "".join(f", a{i}" for i in range(len(kinds)))
    con.execute(
        f"""CREATE TABLE valid_attributes AS SELECT *, row_number() OVER same_customer AS nth,
        row(0{attributes}) IS NOT DISTINCT FROM first_value(row(0{attributes})) OVER same_customer
            AS same
        FROM (SELECT * REPLACE ({customer_id} AS customer_id) FROM raw_attributes
            WHERE reason IS NULL)
        WINDOW same_customer AS (PARTITION BY customer_id ORDER BY source, line)"""
    )
    con.execute(
        """INSERT INTO raw_attributes BY NAME SELECT source, line, 'conflicting_customer' AS reason,
        customer_id AS "value" FROM valid_attributes WHERE nth > 1 AND NOT same"""
    )
    named_attributes = "".join(
        f', a{i} AS "{name.replace(chr(34), chr(34) * 2)}"' for i, name in enumerate(kinds)
    )
    con.execute(
        f"CREATE TABLE attributes AS SELECT customer_id{named_attributes} FROM valid_attributes "
        "WHERE nth = 1 ORDER BY customer_id"
    )
    report = _make_report(con, table, kinds)
    con.execute("DROP TABLE valid_attributes")
    con.execute("DROP TABLE raw_attributes")
    if not report.rows_loaded:
        raise DataRefusedError(
            f"{table.source}: none of {counted(report.rows_in, 'row')} names a customer and can "
            "be read"
        )
    return report


def _customer_id_sql(con: duckdb.DuckDBPyConnection) -> str:
    """Return SQL of the id: without ``.0`` at its end, unless the log has ids that end in it."""
    ((float_count,),) = con.execute(
        f"SELECT count(*) FROM events WHERE regexp_full_match(customer_id, '{FLOAT_ID}')"
    ).fetchall()
    if float_count:
        return "customer_id"
    return (
        f"CASE WHEN regexp_full_match(customer_id, '{FLOAT_ID}') THEN "
        "left(customer_id, -2) ELSE customer_id END"
    )


def _make_report(
    con: duckdb.DuckDBPyConnection, table: CustomersTable, kinds: Mapping[str, str]
) -> AttributesReport:
    def fetch_count(sql: str) -> int:
        return int(con.execute(sql).fetchall()[0][0])

    reasons = con.execute(
        """SELECT reason, count(*) AS n FROM raw_attributes WHERE reason IS NOT NULL GROUP BY 1
            ORDER BY n DESC, 1"""
    ).fetchall()
    rejected = {}
    for reason, rows in reasons:
        first_rows = con.execute(
            f"""SELECT source, line, "column", "value" FROM raw_attributes WHERE reason = ?
                ORDER BY source, line
            LIMIT {EXAMPLES_PER_REASON}""",
            [reason],
        ).fetchall()
        examples = [
            dict(zip(("file", "line", "column", "value"), row, strict=True)) for row in first_rows
        ]
        rejected[reason] = {"rows": rows, "hint": _HINTS[reason], "examples": examples}
    customers_of_log = "SELECT DISTINCT customer_id FROM events"
    return AttributesReport(
        source=table.source,
        rows_in=fetch_count(
            "SELECT count(*) FROM raw_attributes WHERE reason IS DISTINCT FROM "
            "'conflicting_customer'"
        ),
        rows_loaded=fetch_count("SELECT count(*) FROM attributes"),
        rows_rejected=sum(rows for _, rows in reasons),
        rows_duplicate=fetch_count("SELECT count(*) FROM valid_attributes WHERE nth > 1 AND same"),
        without_events=fetch_count(
            f"SELECT count(*) FROM attributes ANTI JOIN ({customers_of_log}) USING (customer_id)"
        ),
        without_attributes=fetch_count(
            f"SELECT count(*) FROM ({customers_of_log}) ANTI JOIN attributes USING (customer_id)"
        ),
        columns=dict(kinds),
        rejected=rejected,
    )

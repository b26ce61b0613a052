"""Several tables as one log: ``[[tables]]`` of ``stagecast.toml``, each with its own mapping, rules
and look-ups.

    [[tables]]                                  each row of a table becomes one event
    source = "tickets.csv"
    customer = "account_id"
    time = "submitted_at"
    time_format = "%d-%m-%Y"
    event = "'ticket'"

    [[tables]]
    source = "usage.csv"        knows the subscription only; another table has the account
    customer = "account_id"
    time = "usage_date"
    event = "'usage'"
    [[tables.lookups]]
    source = "subscriptions.csv"
    on = "subscription_id"
    columns = ["account_id"]

A table that two kinds of events come from stands there twice, the second time with another
``event`` and ``where``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import duckdb

from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean
from stagecast.features.intake.expressions import SourceColumn, quote_text
from stagecast.features.intake.mapping import EventMapping, resolve_all
from stagecast.features.intake.opening import open_all
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.reading import Input, Join, insert_block
from stagecast.features.intake.rules import compile_rules
from stagecast.features.intake.sources import Source, is_database
from stagecast.features.intake.values import whole_text

OF_A_TABLE = (
    "time_format",
    "zone",
    "duplicates",
    "negative_amounts",
    "encoding",
    "separator",
    "decimal",
    "thousands",
    "where",
    "refuse",
    "flag",
    "test_customers",
    "not_products",
)
"""What a table may set for itself, beside the mapping; the rest holds for all tables."""


@dataclass(frozen=True)
class Lookup:
    """Columns that stand in another table: rows are matched where ``on`` here is ``key`` there.

    A key that stands in several rows there is refused, and so is a row here whose key stands
    nowhere.
    """

    source: str
    on: str
    columns: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class Table:
    """Some files, folders, globs or one database table of the same columns, and what is made of
    their rows.
    """

    sources: tuple[str, ...]
    options: ReadOptions
    lookups: tuple[Lookup, ...] = ()


def parse_tables(entries: object, options: ReadOptions, folder: Path) -> list[Table]:
    """Return the tables that a configuration names.

    Parameters
    ----------
    entries
        What stands under ``tables``: a list of tables of TOML.
    options
        What holds for all of them.
    folder
        Where relative sources stand: beside the configuration.

    Raises
    ------
    UsageError
        An entry that is none, with its position, counted from 1.
    """
    if (
        not isinstance(entries, list)
        or not all(isinstance(entry, dict) for entry in entries)
        or not entries
    ):
        raise UsageError("tables must be a list, each written as [[tables]]")
    return [_table(entry, options, folder, f"tables {n}") for n, entry in enumerate(entries, 1)]


def _table(entry: Mapping[str, Any], options: ReadOptions, folder: Path, where: str) -> Table:
    spelled = [key.replace("-", "_") for key in entry]
    if twice := sorted({key for key in spelled if spelled.count(key) > 1}):
        raise UsageError(f"{where}: '{twice[0]}' stands there twice, with - and with _")
    entry = dict(zip(spelled, entry.values(), strict=True))
    mapped = [part.name for part in fields(EventMapping)]
    _check_keys(entry, ("source", "lookups", *mapped, *OF_A_TABLE), where)
    parts = {name: _text(entry[name], f"{where}: {name}") for name in mapped if name in entry}
    own: dict[str, Any] = {}
    for name in OF_A_TABLE:
        if name not in entry:
            continue
        is_rules = name in ("refuse", "flag")
        if is_rules:  # beside those that hold for all tables
            own[name] = {**getattr(options, name), **_rules(entry[name], f"{where}: {name}")}
        else:
            own[name] = _text(entry[name], f"{where}: {name}")
    lookups = entry.get("lookups", [])
    if not isinstance(lookups, list):
        raise UsageError(f"{where}: lookups must be a list, each written as [[tables.lookups]]")
    try:
        chosen = replace(options, mapping=replace(options.mapping, **parts), **own)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    found = tuple(_lookup(one, folder, f"{where}, lookups {n}") for n, one in enumerate(lookups, 1))
    names = [column for lookup in found for column in lookup.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"{where}: two look-ups bring a column '{twice[0]}'; look one of them up "
            "under another name"
        )
    return Table(tuple(_sources(entry.get("source"), folder, where)), chosen, found)


def _lookup(entry: object, folder: Path, where: str) -> Lookup:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table with source, on and columns")
    _check_keys(entry, ("source", "on", "key", "columns"), where)
    sources = _sources(entry.get("source"), folder, where)
    if len(sources) > 1:
        raise UsageError(f"{where}: source must be one file, folder, glob or database table")
    on = _text(entry.get("on"), f"{where}: on")
    columns = entry.get("columns")
    if (
        not isinstance(columns, list)
        or not columns
        or not all(isinstance(name, str) for name in columns)
    ):
        raise UsageError(f"{where}: columns must be a list of the columns to look up")
    return Lookup(sources[0], on, tuple(columns), _text(entry.get("key", on), f"{where}: key"))


def _check_keys(entry: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    if unknown := sorted(set(entry) - set(known)):
        raise UsageError(
            f"{where}: unknown '{unknown[0]}'.{did_you_mean(unknown[0], known)} Known: "
            f"{', '.join(known)}"
        )


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} must be a text, not {value!r}")
    return value


def _rules(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise UsageError(f'{where} must be a table of name = "condition"')
    return dict(value)


def _sources(value: object, folder: Path, where: str) -> list[str]:
    given = [value] if isinstance(value, str) else value
    if (
        not isinstance(given, list)
        or not given
        or not all(isinstance(one, str) and one for one in given)
    ):
        raise UsageError(f"{where}: source must name a file, a folder, a glob or a database table")
    return [beside(one, folder) for one in given]


def beside(source: str, folder: Path) -> str:
    """Return a source as seen from here, where it is written as seen from ``folder``."""
    return source if is_database(source) else str(folder / source)


def open_tables(con: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> list[Input]:
    """Open every source of every table and load what rows are looked up in.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.intake.opening.open_all` and
        :func:`stagecast.features.intake.mapping.resolve_all`; or a look-up that cannot serve.
    """
    inputs = []
    for number, table in enumerate(tables):
        opened = open_all(table.sources, table.options)
        joins = [
            tuple(
                _join(con, lookup, table.options, source, f"lookup_{number}_{i}", i)
                for i, lookup in enumerate(table.lookups)
            )
            for source in opened
        ]
        inputs += inputs_of(opened, table.options, number, joins)
    return inputs


def inputs_of(
    opened: Sequence[Source],
    options: ReadOptions,
    table: int = 0,
    joins: Sequence[tuple[Join, ...]] | None = None,
) -> list[Input]:
    """Return what is to be made of the sources of one table; ``joins`` are those of each source,
    None: no look-ups.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.intake.mapping.resolve_all` and
        :func:`stagecast.features.intake.rules.compile_rules`.
    """
    joins = joins or [()] * len(opened)
    columns = [
        (*source.columns, *(column for join in found for column in join.columns))
        for source, found in zip(opened, joins, strict=True)
    ]
    labels = [(source.label, seen) for source, seen in zip(opened, columns, strict=True)]
    resolved = resolve_all(options.mapping, labels)
    return [
        Input(
            source, options, table, seen, parts, compile_rules(options, seen, source.label), found
        )
        for source, seen, parts, found in zip(opened, columns, resolved, joins, strict=True)
    ]


def _join(
    con: duckdb.DuckDBPyConnection,
    lookup: Lookup,
    options: ReadOptions,
    source: Source,
    name: str,
    nth: int,
) -> Join:
    here = {column.name: column for column in source.columns}
    on = here.get(lookup.on)
    if on is None:
        raise DataRefusedError(
            f"{source.label} has no column {lookup.on!r} to look up in {lookup.source}."
            f"{did_you_mean(lookup.on, here)} It has: {', '.join(here)}"
        )
    if clash := sorted(set(lookup.columns) & set(here)):
        raise UsageError(
            f"{source.label} has a column {clash[0]!r} of its own; look up a column of "
            "another name, or leave it out"
        )
    looked_up = tuple(
        SourceColumn(column, f"j{nth}c{i}", "text") for i, column in enumerate(lookup.columns)
    )
    if not con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name]).fetchall():
        _load_lookup(con, lookup, options, name, looked_up)
    return Join(name, on, looked_up)


def _load_lookup(
    con: duckdb.DuckDBPyConnection,
    lookup: Lookup,
    options: ReadOptions,
    name: str,
    looked_up: Sequence[SourceColumn],
) -> None:
    """Create the table ``name`` of the key and the looked-up columns, as text."""
    listed = ", ".join(f"{column.sql} VARCHAR" for column in looked_up)
    con.execute(f"CREATE TABLE {name} (key VARCHAR, {listed})")
    for source in open_all([lookup.source], options):
        there = {column.name: column for column in source.columns}
        if missing := [column for column in (lookup.key, *lookup.columns) if column not in there]:
            raise DataRefusedError(
                f"{source.label} has no column {missing[0]!r}.{did_you_mean(missing[0], there)} "
                f"It has: {', '.join(there)}"
            )
        chosen = ", ".join(
            f"nullif(trim({whole_text(there[column])}), '')"
            for column in (lookup.key, *lookup.columns)
        )
        for block in source.blocks():
            if len(block.malformed):
                line, _, problem = (
                    block.malformed[column][0].as_py() for column in ("line", "text", "problem")
                )
                raise DataRefusedError(
                    f"{source.label}, line {line}: {problem}; a table to look up in must be sound"
                )
            insert_block(con, block.rows, f"INSERT INTO {name} SELECT DISTINCT {chosen} FROM block")
    twice = con.execute(
        f"""SELECT key, count(*) FROM (SELECT DISTINCT * FROM {name}) WHERE key IS NOT NULL
        GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT 1"""
    ).fetchall()
    if twice:
        raise DataRefusedError(
            f"{lookup.source}: {lookup.key} {quote_text(twice[0][0])} stands there "
            f"{twice[0][1]} times with different "
            f"{', '.join(lookup.columns)}; a key to look up must be unique"
        )
    con.execute(
        f"CREATE OR REPLACE TABLE {name} AS SELECT DISTINCT * FROM {name} WHERE key IS NOT NULL"
    )

"""Logs of several tables: ``[[tables]]`` of ``stagecast.toml``, each with mapping, rules, look-ups.

    [[tables]]                  # each row of a table becomes one event
    source = "tickets.csv"
    customer = "account_id"
    time = "submitted_at"
    time_format = "%d-%m-%Y"
    event = "'ticket'"

    [[tables]]
    source = "usage.csv"        # has the subscription only; another table has the account
    customer = "account_id"
    time = "usage_date"
    event = "'usage'"
    [[tables.lookups]]
    source = "subscriptions.csv"
    on = "subscription_id"
    columns = ["account_id"]

A look-up may begin at a column that the one before it brought.

A table from whose rows two types of events are made is listed twice, with different ``event`` and
``where``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import duckdb

from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean
from stagecast.features.intake.expressions import SourceColumn, quote_text, whole_text
from stagecast.features.intake.header_lines import proposing_header_line
from stagecast.features.intake.mapping import EventMapping, check_has_name, resolve_all_mappings
from stagecast.features.intake.opening import open_sources
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.preset_options import with_preset
from stagecast.features.intake.presets import PRESETS
from stagecast.features.intake.reading import Join, ReadPlan, insert_block
from stagecast.features.intake.rules import compile_rules
from stagecast.features.intake.sources import Source, is_database

TABLE_OPTIONS = (
    "time_format",
    "zone",
    "duplicates",
    "negative_amounts",
    "encoding",
    "separator",
    "header_line",
    "preset",
    "decimal",
    "thousands",
    "currency_sign",
    "where",
    "refuse",
    "flag",
    "test_customers",
    "not_products",
)
"""Options that each table may set, besides its mapping; the others apply to all tables."""


@dataclass(frozen=True)
class Lookup:
    """Columns that are looked up in another table.

    If a key occurs there in several different rows, the log is refused. A row whose key does not
    occur there is refused.

    Parameters
    ----------
    source
        The other table: a file, folder, glob or database table.
    on
        Column with the key in the table of events.
    columns
        Columns of the other table that are added to the table of events.
    key
        Column with the key in the other table.
    header_line
        Line of the other table that names its columns, if it is a text file, counted from 1.
    """

    source: str
    on: str
    columns: tuple[str, ...]
    key: str
    header_line: int = 1


@dataclass(frozen=True)
class Table:
    """A table of events: sources with the same columns, and how they are read.

    Parameters
    ----------
    sources
        Files, folders, globs or database tables.
    options
        How the rows are read, including the mapping.
    lookups
        Look-ups in other tables.
    """

    sources: tuple[str, ...]
    options: ReadOptions
    lookups: tuple[Lookup, ...] = ()


def parse_tables(entries: object, options: ReadOptions, folder: Path) -> list[Table]:
    """Return the tables of a configuration.

    Parameters
    ----------
    entries
        The value of ``tables``: a list of TOML tables.
    options
        Options of all tables.
    folder
        Folder of the configuration, to which the sources are relative.

    Raises
    ------
    UsageError
        An entry is wrong; the message holds its position, counted from 1.
    """
    if (
        not isinstance(entries, list)
        or not all(isinstance(entry, dict) for entry in entries)
        or not entries
    ):
        raise UsageError("tables must be a list, each written as [[tables]]")
    return [
        _parse_table(entry, options, folder, f"tables {n}") for n, entry in enumerate(entries, 1)
    ]


def _parse_table(entry: Mapping[str, Any], options: ReadOptions, folder: Path, place: str) -> Table:
    keys = [key.replace("-", "_") for key in entry]
    if repeated := sorted({key for key in keys if keys.count(key) > 1}):
        raise UsageError(f"{place}: '{repeated[0]}' stands there twice, with - and with _")
    entry = dict(zip(keys, entry.values(), strict=True))
    part_names = [part.name for part in fields(EventMapping)]
    _check_keys(entry, ("source", "lookups", *part_names, *TABLE_OPTIONS), place)
    parts = {
        name: _parse_text(entry[name], f"{place}: {name}") for name in part_names if name in entry
    }
    table_options: dict[str, Any] = {}
    for name in TABLE_OPTIONS:
        if name not in entry:
            continue
        is_rules = name in ("refuse", "flag")
        if is_rules:  # in addition to the rules of all tables
            table_options[name] = {
                **getattr(options, name),
                **_parse_rules(entry[name], f"{place}: {name}"),
            }
        elif name == "header_line":
            table_options[name] = parse_line(entry[name], f"{place}: {name}")
        else:
            table_options[name] = _parse_text(entry[name], f"{place}: {name}")
    lookup_entries = entry.get("lookups", [])
    if not isinstance(lookup_entries, list):
        raise UsageError(f"{place}: lookups must be a list, each written as [[tables.lookups]]")
    try:
        options = replace(options, mapping=replace(options.mapping, **parts), **table_options)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None
    lookups = tuple(
        _parse_lookup(lookup_entry, folder, f"{place}, lookups {n}")
        for n, lookup_entry in enumerate(lookup_entries, 1)
    )
    names = [column for lookup in lookups for column in lookup.columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"{place}: two look-ups bring a column '{repeated[0]}'; look one of them up "
            "under another name"
        )
    return Table(tuple(_parse_sources(entry.get("source"), folder, place)), options, lookups)


def _parse_lookup(entry: object, folder: Path, place: str) -> Lookup:
    if not isinstance(entry, dict):
        raise UsageError(f"{place} must be a table with source, on and columns")
    _check_keys(entry, ("source", "on", "key", "columns", "header_line"), place)
    sources = _parse_sources(entry.get("source"), folder, place)
    if len(sources) > 1:
        raise UsageError(f"{place}: source must be one file, folder, glob or database table")
    on = _parse_text(entry.get("on"), f"{place}: on")
    columns = entry.get("columns")
    if (
        not isinstance(columns, list)
        or not columns
        or not all(isinstance(name, str) for name in columns)
    ):
        raise UsageError(f"{place}: columns must be a list of the columns to look up")
    key = _parse_text(entry.get("key", on), f"{place}: key")
    header_line = parse_line(entry.get("header_line", 1), f"{place}: header_line")
    return Lookup(sources[0], on, tuple(columns), key, header_line)


def _check_keys(entry: Mapping[str, Any], allowed: Sequence[str], place: str) -> None:
    if unknown := sorted(set(entry) - set(allowed)):
        raise UsageError(
            f"{place}: unknown '{unknown[0]}'.{did_you_mean(unknown[0], allowed)} Known: "
            f"{', '.join(allowed)}"
        )


def _parse_text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{place} must be a text, not {value!r}")
    return value


def parse_line(value: object, place: str) -> int:
    """Return the number of a line that a configuration holds.

    Raises
    ------
    UsageError
        It is not a whole number of 1 or more; the message holds ``place``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{place} must be the number of a line, 1 or more, not {value!r}")
    return value


def _parse_rules(value: object, place: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(rule, str) for rule in value.values()):
        raise UsageError(f'{place} must be a table of name = "condition"')
    return dict(value)


def _parse_sources(value: object, folder: Path, place: str) -> list[str]:
    sources = [value] if isinstance(value, str) else value
    if (
        not isinstance(sources, list)
        or not sources
        or not all(isinstance(source, str) and source for source in sources)
    ):
        raise UsageError(f"{place}: source must name a file, a folder, a glob or a database table")
    return [source_path(source, folder) for source in sources]


def source_path(source: str, folder: Path) -> str:
    """Return the path of a file that is relative to ``folder``; a database URL is unchanged."""
    return source if is_database(source) else str(folder / source)


def open_tables(con: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> list[ReadPlan]:
    """Open every source of every table, and load the look-up tables into the database.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.intake.opening.open_sources` and :func:`make_plans`; or a
        look-up table lacks a column, repeats a key or has a malformed line.
    """
    plans = []
    for number, table in enumerate(tables):
        sources = open_sources(table.sources, table.options)
        joins = [_make_joins(con, table, source, number) for source in sources]
        plans += make_plans(sources, table.options, number, joins)
    return plans


def _make_joins(
    con: duckdb.DuckDBPyConnection, table: Table, source: Source, number: int
) -> tuple[Join, ...]:
    """Return the look-ups of a source: those of its preset, then those of its table.

    A key may be a column that was looked up before.
    """
    columns = source.columns
    joins: list[Join] = []
    for nth, lookup in enumerate((*preset_lookups(table.options.preset, source), *table.lookups)):
        label = f"{source.label} with what was looked up" if joins else source.label
        name = f"lookup_{number}_{nth}"
        join = _make_join(con, lookup, table.options, columns, label, name, nth)
        columns = (*columns, *join.columns)
        joins.append(join)
    return tuple(joins)


def preset_lookups(preset: str | None, source: Source) -> tuple[Lookup, ...]:
    """Return the look-ups of a preset in the files beside a source.

    A look-up whose columns the source has is left out.

    Raises
    ------
    DataRefusedError
        A file that the preset needs is not beside the source.
    """
    columns = {column.name for column in source.columns}
    lookups = []
    for beside in () if preset is None else PRESETS[preset].beside:
        if columns >= set(beside.columns):
            continue
        path = Path(source.label).with_name(beside.file)
        if not path.is_file():
            raise DataRefusedError(
                f"{source.label}: --preset {preset} looks up {', '.join(beside.columns)} in "
                f"{beside.file}, which is not beside it; put it there"
            )
        lookups.append(Lookup(str(path), beside.key, beside.columns, beside.key))
    return tuple(lookups)


def make_plans(
    sources: Sequence[Source],
    options: ReadOptions,
    table: int = 0,
    joins: Sequence[tuple[Join, ...]] | None = None,
) -> list[ReadPlan]:
    """Return how each source of one table is read.

    Parameters
    ----------
    sources
        The opened sources.
    options
        The options of the table.
    table
        Number of the table.
    joins
        The look-ups of each source; None: no look-ups.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.intake.mapping.resolve_all_mappings` and
        :func:`stagecast.features.intake.rules.compile_rules`.
    """
    joins = joins or [()] * len(sources)
    all_columns = [
        (*source.columns, *(column for join in source_joins for column in join.columns))
        for source, source_joins in zip(sources, joins, strict=True)
    ]
    labelled_columns = [
        (source.label, columns) for source, columns in zip(sources, all_columns, strict=True)
    ]
    names = [column.name for column in all_columns[0] if column.has_name]
    options = with_preset(options, names, sources[0].label)
    with proposing_header_line(sources, options):
        all_parts = resolve_all_mappings(options.mapping, labelled_columns)
    return [
        ReadPlan(
            source,
            options,
            table,
            columns,
            parts,
            compile_rules(options, columns, source.label),
            source_joins,
        )
        for source, columns, parts, source_joins in zip(
            sources, all_columns, all_parts, joins, strict=True
        )
    ]


def _make_join(
    con: duckdb.DuckDBPyConnection,
    lookup: Lookup,
    options: ReadOptions,
    columns: Sequence[SourceColumn],
    label: str,
    name: str,
    nth: int,
) -> Join:
    columns_by_name = {column.name: column for column in columns}
    on = columns_by_name.get(lookup.on)
    if on is None:
        raise DataRefusedError(
            f"{label} has no column {lookup.on!r} to look up in {lookup.source}."
            f"{did_you_mean(lookup.on, columns_by_name)} It has: {', '.join(columns_by_name)}"
        )
    if repeated := sorted(set(lookup.columns) & set(columns_by_name)):
        raise UsageError(
            f"{label} has a column {repeated[0]!r} of its own; look up a column of "
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
    """Create the table ``name`` with the key and the looked-up columns, as texts."""
    column_types = ", ".join(f"{column.sql} VARCHAR" for column in looked_up)
    con.execute(f"CREATE TABLE {name} (key VARCHAR, {column_types})")
    needed, place = (lookup.key, *lookup.columns), "[[tables.lookups]]"
    options = replace(options, header_line=lookup.header_line)
    for source in open_sources([lookup.source], options, needed, place):
        columns_by_name = {column.name: column for column in source.columns}
        if missing := [column for column in needed if column not in columns_by_name]:
            with proposing_header_line([source], options, needed, place):
                raise DataRefusedError(
                    f"{source.label} has no column {missing[0]!r}."
                    f"{did_you_mean(missing[0], columns_by_name)} "
                    f"It has: {', '.join(columns_by_name)}"
                )
        check_has_name([columns_by_name[name] for name in needed], place, source.label)
        selected = ", ".join(
            f"nullif(trim({whole_text(columns_by_name[column])}), '')" for column in needed
        )
        for block in source.blocks():
            if len(block.malformed):
                line, _, problem = (
                    block.malformed[column][0].as_py() for column in ("line", "text", "problem")
                )
                raise DataRefusedError(
                    f"{source.label}, line {line}: {problem}; a table to look up in must be sound"
                )
            insert_block(
                con, block.rows, f"INSERT INTO {name} SELECT DISTINCT {selected} FROM block"
            )
    repeated = con.execute(
        f"""SELECT key, count(*) FROM (SELECT DISTINCT * FROM {name}) WHERE key IS NOT NULL
        GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT 1"""
    ).fetchall()
    if repeated:
        raise DataRefusedError(
            f"{lookup.source}: {lookup.key} {quote_text(repeated[0][0])} stands there "
            f"{repeated[0][1]} times with different "
            f"{', '.join(lookup.columns)}; a key to look up must be unique"
        )
    con.execute(
        f"CREATE OR REPLACE TABLE {name} AS SELECT DISTINCT * FROM {name} WHERE key IS NOT NULL"
    )

"""Proposal of ``--header-line N`` where a line below the header holds the mapped names.

Exports of marketplaces and workbooks begin with a title, blank lines or numbers of columns. Which
line is the header is declared, never guessed: a refusal only says which line would fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from stagecast.features.errors import DataRefusedError
from stagecast.features.intake.csvlines import split_header
from stagecast.features.intake.csvscan import SEPARATORS
from stagecast.features.intake.mapping import DEFAULT_COLUMNS, REQUIRED_PARTS
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.sources import PARQUET_ENDINGS, Source
from stagecast.features.intake.textfiles import open_text

LINES_SEARCHED = 60
BYTES_SEARCHED = 1 << 16


@contextmanager
def proposing_header_line(
    sources: Sequence[Source | str],
    options: ReadOptions,
    needed: Sequence[str] = (),
    place: str = "",
) -> Iterator[None]:
    """Add the line that holds the needed names to a refusal that is raised within.

    Parameters
    ----------
    sources
        The sources that are opened or mapped, or the names of their files.
    options
        How text files are read.
    needed
        Names of the columns that are looked for; empty: those of the mapping of the options.
    place
        Table of ``stagecast.toml`` in which the number of the line is to stand; empty: an option.

    Raises
    ------
    DataRefusedError
        The refusal, with the number of the line if there is one.
    """
    try:
        yield
    except DataRefusedError as error:
        names = needed or mapped_names(options)
        for source in sources:
            label = source if isinstance(source, str) else source.label
            columns = () if isinstance(source, str) else source.columns
            if {column.name for column in columns} >= set(names):
                continue
            line = find_header_line(label, names, options)
            if line is not None:
                option = f"header_line = {line} in {place}" if place else f"--header-line {line}"
                raise DataRefusedError(
                    f"{error}. Line {line} of {label} names the columns {', '.join(names)}: "
                    f"give {option}"
                ) from None
        raise


def mapped_names(options: ReadOptions) -> tuple[str, ...]:
    """Return the names of the columns that a mapping needs, in the order of its parts.

    >>> from stagecast.features.intake.mapping import EventMapping
    >>> mapping = EventMapping(customer="Client", amount="Quantity * Price")
    >>> mapped_names(ReadOptions(mapping=mapping))
    ('Client', 'timestamp', 'Quantity', 'Price')
    """
    names: dict[str, None] = {}
    for part in fields(options.mapping):
        mapped: str | None = getattr(options.mapping, part.name)
        if mapped is not None:
            names |= dict.fromkeys(_columns_of(mapped))
        elif part.name in REQUIRED_PARTS:
            names[DEFAULT_COLUMNS[part.name]] = None
    return tuple(names)


def _columns_of(mapped: str) -> list[str]:
    """Return the columns of an expression; a text that is none is the name of a column."""
    import sqlglot  # slow to import
    from sqlglot import exp

    if mapped.replace(" ", "").isalnum():
        return [mapped]
    try:
        expression = sqlglot.parse_one(mapped, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return [mapped]
    return [column.name for column in expression.find_all(exp.Column)]


def find_header_line(name: str, needed: Sequence[str], options: ReadOptions) -> int | None:
    """Return the first other line of a text file that holds all needed names; None: no line does.

    Parameters
    ----------
    name
        Path of the file; None is returned for what is no text file.
    needed
        Names of columns.
    options
        Its ``encoding`` and ``separator`` are those of the file, and its ``header_line`` is the
        line that is not looked at.
    """
    if not needed or not Path(name).is_file():
        return None
    separators = SEPARATORS if options.field_separator is None else (options.field_separator,)
    for number, line in enumerate(first_lines(name, options), 1):
        if number == options.header_line:
            continue
        for separator in separators:
            columns = {column.strip() for column in split_header(line, separator)}
            if columns >= set(needed):
                return number
    return None


def first_lines(name: str, options: ReadOptions) -> list[str]:
    """Return the lines of a text file among which the header is looked for; of others: none.

    Parameters
    ----------
    name
        Path of a file.
    options
        Its ``encoding`` is that of the file.
    """
    if name.lower().endswith(PARQUET_ENDINGS):
        return []
    try:
        with open_text(name, options.encoding) as stream:
            text = stream.read(BYTES_SEARCHED).decode("utf-8-sig", "replace")
    except DataRefusedError:
        return []
    return text.splitlines()[:LINES_SEARCHED]

"""What the columns of a source hold, from its first rows: times, numbers, repeated values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from stagecast.features.intake.expressions import SourceColumn, column_text
from stagecast.features.intake.sources import Source
from stagecast.features.intake.time_hints import time_format_of
from stagecast.features.intake.values import define_macros

ROWS = 20_000
"""Rows that are looked at."""
SHARE = 0.9
"""Share of the values that have to be times, or numbers."""
_VALUES_OF_TIMES = 60
_MAY_BE_TIME = re.compile(
    r"\d{1,4}[-/.\s]\w{1,9}[-/.,\s]{1,2}\d{1,4}.*|\d{5,17}(\.\d*)?|\w{3,9},? .*\d{4}.*"
)
"""Trying formats is slow: other texts are no times."""
_MAY_BE_EPOCH = re.compile(r"time|date|created|_at$|_ts$|^ts$", re.IGNORECASE)


@dataclass(frozen=True)
class Profile:
    """What one column holds.

    Parameters
    ----------
    name
        Its name.
    filled
        Number of rows with a value.
    different
        Number of different values.
    time_format
        Format of its times; an empty text: ISO 8601; None: it holds no times.
    is_certain
        Whether only this format reads the times; ``01/02/2025`` is read by two.
    is_number
        Whether it holds numbers.
    """

    name: str
    filled: int
    different: int
    time_format: str | None
    is_certain: bool
    is_number: bool


@dataclass(frozen=True)
class Table:
    """The first rows of a source: their number, and a profile of each column that has a name."""

    label: str
    rows: int
    columns: tuple[Profile, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


def profile(source: Source) -> Table:
    """Return what the first rows of a source hold.

    Raises
    ------
    DataRefusedError
        The source cannot be read.
    """
    block = next(iter(source.blocks()), None)
    if block is None or not len(block.rows):
        return Table(source.label, 0, ())
    rows = block.rows.slice(0, ROWS)
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as con:
        con.execute("SET TimeZone = 'UTC'")
        define_macros(con)
        con.register("block", rows)
        columns = tuple(_column(con, column) for column in source.columns if column.has_name)
    return Table(source.label, len(rows), columns)


def _column(con: duckdb.DuckDBPyConnection, column: SourceColumn) -> Profile:
    text = f"nullif(trim({column_text(column)}), '')"
    ((filled, different, numbers),) = con.execute(
        f"""SELECT count(text), count(DISTINCT text), count(as_number(text))
        FROM (SELECT {text} AS text FROM block)"""
    ).fetchall()
    is_number = filled > 0 and numbers >= SHARE * filled
    if column.kind in ("time", "instant"):
        return Profile(column.name, filled, different, "", True, False)
    values = con.execute(
        f"SELECT DISTINCT {text} AS text FROM block WHERE text IS NOT NULL LIMIT {_VALUES_OF_TIMES}"
    ).fetchall()
    time_format, is_certain = _time_format(con, column.name, [value for (value,) in values])
    return Profile(
        column.name,
        filled,
        different,
        time_format,
        is_certain,
        is_number and time_format is None,
    )


def _time_format(
    con: duckdb.DuckDBPyConnection, name: str, texts: Sequence[str]
) -> tuple[str | None, bool]:
    """Return the format of the times of a column, and whether it is certain; None: no times."""
    if sum(_MAY_BE_TIME.fullmatch(text) is not None for text in texts) < SHARE * len(texts):
        return None, False
    if not texts:
        return None, False
    readable = time_format_of(con, texts)
    if readable is None:
        return None, False
    form, is_certain = readable
    # numbers of ten digits are telephone numbers, too
    is_numeric = all(re.fullmatch(r"\d+(\.\d*)?", text) for text in texts)
    if is_numeric and not _MAY_BE_EPOCH.search(name):
        return None, False
    return form, is_certain

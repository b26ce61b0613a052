"""Amounts whose point separates thousands, read as decimals: a slip by a thousand.

``139.980`` is a number in either reading. That every amount with a point has three digits after it
and none begins with 0 speaks for thousands; nothing is decided by it.
"""

from __future__ import annotations

from typing import Any

import duckdb

from stagecast.features.intake.expressions import Compiled, SourceColumn, quote_text
from stagecast.features.intake.options import ReadOptions

ROWS = 20_000
"""Rows that are looked at."""
FEWEST = 3
"""Amounts with three digits after the decimal sign from which the form is asked for."""


def thousands_warning(
    con: duckdb.DuckDBPyConnection, amount: Compiled, options: ReadOptions, rows: Any
) -> str | None:
    """Return a sentence about a column of amounts that looks written in thousands; else None.

    Parameters
    ----------
    con
        Any connection.
    amount
        The mapped amount.
    options
        Its ``decimal`` and ``thousands`` say how the amount is read.
    rows
        The first block of rows, an Arrow table.
    """
    if options.thousands != "none":
        return None
    for column in amount.as_numbers:
        sentence = _column_warning(con, column, options.decimal, rows)
        if sentence is not None:
            return sentence
    return None


def _column_warning(
    con: duckdb.DuckDBPyConnection, column: SourceColumn, decimal: str, rows: Any
) -> str | None:
    if column.kind != "text" or column.sql not in rows.schema.names:
        return None
    form = quote_text(rf"[+-]?[1-9]\d{{0,2}}[{decimal}]\d{{3}}")
    con.register("amount_texts", rows.select([column.sql]).slice(0, ROWS))
    ((with_sign, of_thousands, example),) = con.execute(
        f"""SELECT count(*) FILTER (contains(text, {quote_text(decimal)})),
            count(*) FILTER (regexp_full_match(text, {form})),
            min(text) FILTER (regexp_full_match(text, {form}))
        FROM (SELECT trim({column.sql}) AS text FROM amount_texts)"""
    ).fetchall()
    con.unregister("amount_texts")
    if of_thousands < FEWEST or of_thousands < with_sign:
        return None
    other = "." if decimal == "," else ","
    whole, _, rest = example.partition(decimal)
    return (
        f"every amount of {column.name!r} with a {decimal!r} has three digits after it, such as "
        f"{example!r}, and was read as {whole}.{rest}: if the sign separates thousands, it is "
        f"{whole}{rest}; give --thousands {decimal} --decimal {other}"
    )

"""How texts become numbers and times: SQL over one column, from what was declared, and nothing
beyond it.

DuckDB alone would read 1_000, +-1, inf and nan as numbers, and 2020/1/2, epoch and infinity as
times.
"""

from __future__ import annotations

import duckdb

from stagecast.features.errors import UsageError
from stagecast.features.intake.expressions import Compiled, SourceColumn, column_text, quote_text
from stagecast.features.intake.options import NUMBER_TIMES, THOUSANDS, ReadOptions

_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_LOCAL = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
_ZONED = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)"
_PLAIN = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2})?"
"""Times that need neither the slower patterns nor the time zone library."""
_SPACES = " \u00a0\u202f"
"""What stands between thousands where blanks do: plain, no-break and narrow no-break."""

_EXCEL_1900, _EXCEL_1904 = -25569, -24107
"""Day 0 of Excel's two calendars (for the first, from March 1900 on), in days since 1970."""
_EXCEL_LAST = 2_958_466
_UNIX_UNITS = {"unix": 1_000_000, "unix-ms": 1_000, "unix-us": 1}

_MACROS = f"""
CREATE OR REPLACE MACRO as_number(t) AS CASE
    WHEN contains(t, '_') OR contains(t, '+-') THEN NULL
    WHEN isfinite(TRY_CAST(t AS DOUBLE)) THEN TRY_CAST(t AS DOUBLE)
    WHEN regexp_full_match(trim(t), {quote_text(_NUMBER)}) THEN TRY_CAST(t AS DOUBLE) END;
CREATE OR REPLACE MACRO as_iso_local(t) AS CASE
    WHEN regexp_full_match(t, {quote_text(_PLAIN)}) THEN TRY_CAST(t AS TIMESTAMP)
    WHEN regexp_full_match(t, {quote_text(_LOCAL)}) THEN TRY_CAST(t AS TIMESTAMP) END;
CREATE OR REPLACE MACRO as_iso_zoned(t) AS CASE
    WHEN regexp_full_match(t, {quote_text(_ZONED)}) THEN CAST(TRY_CAST(t AS TIMESTAMPTZ)
    AS TIMESTAMP) END;
CREATE OR REPLACE MACRO as_iso_time(t) AS CASE
    WHEN regexp_full_match(t, {quote_text(_PLAIN)}) THEN TRY_CAST(t AS TIMESTAMP)
    ELSE coalesce(as_iso_zoned(t), as_iso_local(t)) END;
"""


def define_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Define ``as_number(text)``, a finite or overflowing DOUBLE, and ``as_iso_time(text)``, a
    TIMESTAMP in UTC.

    Both take what this project calls a number and a time, no more, and give NULL for the rest.
    ``as_iso_local`` and ``as_iso_zoned`` each take the times that name no zone, and those that do.
    """
    con.execute(_MACROS)


def check_formats(con: duckdb.DuckDBPyConnection, options: ReadOptions) -> None:
    """Refuse a time format or a pattern that DuckDB cannot use.

    Raises
    ------
    UsageError
        With DuckDB's reason.
    """
    tried = {"--test-customers": options.test_customers, "--not-products": options.not_products}
    statements = {
        option: (text, f"SELECT regexp_full_match('', {quote_text(text)})")
        for option, text in tried.items()
        if text is not None
    }
    if options.time_format is not None and options.time_format not in NUMBER_TIMES:
        literal = quote_text(options.time_format)
        statements["--time-format"] = (
            options.time_format,
            f"SELECT CAST(try_strptime('', {literal}) AS VARCHAR)",
        )
    for option, (text, sql) in statements.items():
        try:
            con.execute(sql).fetchall()
        except duckdb.Error as error:
            raise UsageError(
                f"{option} {text!r} cannot be used: {str(error).splitlines()[0]}"
            ) from None


def plain_number(text: str, options: ReadOptions) -> str:
    """Return SQL of a number's text with a decimal point and no thousands signs; NULL where it
    is not so written.
    """
    decimal, thousands = options.decimal, THOUSANDS[options.thousands]
    if decimal == "." and not thousands:
        return text
    signs = _SPACES if thousands == " " else thousands
    groups = rf"\d{{1,3}}([{signs}]\d{{3}})+|" if thousands else ""
    point = f"[{decimal}]"
    pattern = rf"[+-]?(({groups}\d+)({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    spelled = f"translate({text}, {quote_text(decimal + signs)}, '.')"
    return f"CASE WHEN regexp_full_match(trim({text}), {quote_text(pattern)}) THEN {spelled} END"


def number(text: str, options: ReadOptions) -> str:
    """Return SQL of the number in a text, NULL where there is none."""
    return f"as_number({plain_number(text, options)})"


def local_and_utc(part: Compiled | None, text: str, options: ReadOptions) -> tuple[str, str]:
    """Return SQL of a time as written without a zone, and of a time that is UTC already; at most
    one is not NULL.
    """
    none = "NULL::TIMESTAMP"
    if part is None:
        return none, none
    bare = part.bare
    if bare is not None and bare.kind == "time":
        return f"TRY_CAST({bare.sql} AS TIMESTAMP)", none
    if bare is not None and bare.kind == "instant":
        instant = f"TRY_CAST({bare.sql} AS TIMESTAMPTZ)"
        # the first way is ten times as fast, the second knows infinity
        return none, f"coalesce(make_timestamp(epoch_us({instant})), CAST({instant} AS TIMESTAMP))"
    given = options.time_format
    if given is None:
        return f"as_iso_local({text})", f"as_iso_zoned({text})"
    is_number = bare is not None and bare.kind == "number"
    if bare is not None and is_number:
        text = whole_text(bare)
    value = (
        f"CAST({bare.sql} AS DOUBLE)" if bare is not None and is_number else number(text, options)
    )
    if given in _UNIX_UNITS:
        return none, _instant(f"round({value} * {_UNIX_UNITS[given]})")
    if given in NUMBER_TIMES:
        return _excel(value, given), none
    parsed = f"CAST(try_strptime({text}, {quote_text(given)}) AS TIMESTAMP)"
    return (none, parsed) if "%z" in given or "%Z" in given else (parsed, none)


def _excel(value: str, calendar: str) -> str:
    """Excel's day numbers, to the millisecond that it keeps; its 29 February 1900 never was, and
    is none.
    """
    if calendar == "excel-1904":
        return _instant(
            f"round({value} * 86400000) * 1000 + {_EXCEL_1904} * 86400000000", f"{value} >= 0"
        )
    start = f"CASE WHEN {value} < 60 THEN {_EXCEL_1900 + 1} ELSE {_EXCEL_1900} END"
    kept = f"({value} >= 1 AND {value} < 60) OR ({value} >= 61 AND {value} < {_EXCEL_LAST})"
    return _instant(f"round({value} * 86400000) * 1000 + ({start}) * 86400000000", kept)


def _instant(microseconds: str, kept: str = "true") -> str:
    # within what a TIMESTAMP holds; beyond, it is no time
    return (
        f"CASE WHEN abs({microseconds}) < 9e18 AND ({kept}) THEN "
        f"make_timestamp(CAST({microseconds} AS BIGINT)) END"
    )


def iso_utc(part: Compiled | None, text: str, options: ReadOptions) -> str:
    """Return SQL of a time in UTC where times without a zone are UTC, too."""
    local, utc = local_and_utc(part, text, options)
    if part is not None and local == f"as_iso_local({text})":
        return f"as_iso_time({text})"
    return f"coalesce({local}, {utc})"


def id_text(part: Compiled) -> str:
    """Return SQL of an id as text: an integral number without exponent, ``17850.0`` for a
    DOUBLE, as one rule needs.
    """
    column = part.bare
    if column is None or column.kind != "number":
        return part.sql
    whole = f"try_cast({column.sql} AS BIGINT)"
    text = f"CAST({column.sql} AS VARCHAR)"
    return (
        f"CASE WHEN {text} LIKE '%e%' AND {whole} = {column.sql} THEN {whole} || '.0' "
        f"ELSE {text} END"
    )


def whole_text(column: SourceColumn) -> str:
    """Return SQL of a column's text; a number without a fraction is written without one, so
    20240131.0 is a date.
    """
    text = column_text(column)
    if column.kind != "number":
        return text
    whole = f"try_cast({column.sql} AS BIGINT)"
    return f"CASE WHEN {whole} = {column.sql} THEN CAST({whole} AS VARCHAR) ELSE {text} END"


def exact_amount(amount: Compiled, options: ReadOptions) -> str:
    """Return SQL of the amount as DECIMAL(18,6)."""
    exact = f"TRY_CAST({amount.sql} AS DECIMAL(18,6))"
    bare = amount.bare
    if bare is None or bare.kind != "text":
        return exact
    # text goes to DECIMAL without a detour: 17 digits would not survive DOUBLE
    text = plain_number(bare.sql, options)
    return (
        f"coalesce(CASE WHEN {amount.sql} IS NOT NULL THEN TRY_CAST({text} AS "
        f"DECIMAL(18,6)) END, {exact})"
    )

"""SQL that converts texts to numbers and times, strictly in the declared formats.

DuckDB alone would read 1_000, +-1, inf and nan as numbers, and 2020/1/2, epoch and infinity as
times.
"""

from __future__ import annotations

import duckdb

from stagecast.features.errors import UsageError
from stagecast.features.intake.expressions import Compiled, quote_text, whole_text
from stagecast.features.intake.options import NUMERIC_TIME_FORMATS, THOUSANDS, ReadOptions
from stagecast.features.intake.zone_names import named_zone_time

NUMBER_PATTERN = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
"""Regular expression of a plain number."""
_IN_BRACKETS = r"\(\s*\d+(\.\d*)?\s*\)"
"""A number below 0 as bookkeepers write it."""
_LOCAL_PATTERN = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
_ZONED_PATTERN = (
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
    r"(Z| UTC| ?[+-]([01]\d|2[0-3])(:?[0-5]\d)?)"
)
"""With a blank before the offset, too, as Shopify, git and PostgreSQL write it."""
ISO_PATTERNS = (_LOCAL_PATTERN, _ZONED_PATTERN)
"""Regular expressions of the times that are read without ``--time-format``."""
_PLAIN_PATTERN = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2})?"
"""The most frequent times; they need neither the slower patterns nor the time zone library."""
_SPACES = " \u00a0\u202f"
"""Thousands separators of ``--thousands space``: plain, no-break and narrow no-break space."""

_EXCEL_1900, _EXCEL_1904 = -25569, -24107
"""Day 0 of Excel's two calendars (for the first, from March 1900 on), in days since 1970."""
_EXCEL_END = 2_958_466
"""Excel's day number of 10000-01-01, the first day that it cannot hold."""
_UNIX_UNIT_MICROSECONDS = {"unix": 1_000_000, "unix-ms": 1_000, "unix-us": 1, "unix-ns": 0.001}

_MACROS = f"""
CREATE OR REPLACE MACRO as_number(t) AS CASE
    WHEN contains(t, '_') OR contains(t, '+-') THEN NULL
    WHEN isfinite(TRY_CAST(t AS DOUBLE)) THEN TRY_CAST(t AS DOUBLE)
    WHEN regexp_full_match(trim(t), {quote_text(NUMBER_PATTERN)}) THEN TRY_CAST(t AS DOUBLE)
    WHEN regexp_full_match(trim(t), {quote_text(_IN_BRACKETS)})
    THEN -TRY_CAST(trim(t, '() ') AS DOUBLE) END;
CREATE OR REPLACE MACRO as_iso_local(t) AS CASE
    WHEN regexp_full_match(t, {quote_text(_PLAIN_PATTERN)}) THEN TRY_CAST(t AS TIMESTAMP)
    WHEN regexp_full_match(t, {quote_text(_LOCAL_PATTERN)}) THEN TRY_CAST(t AS TIMESTAMP) END;
CREATE OR REPLACE MACRO as_iso_zoned(t) AS CASE
    WHEN regexp_full_match(t, {quote_text(_ZONED_PATTERN)}) THEN
    CAST(TRY_CAST(replace(replace(t, ' +', '+'), ' -', '-') AS TIMESTAMPTZ) AS TIMESTAMP) END;
CREATE OR REPLACE MACRO as_iso_time(t) AS CASE
    WHEN regexp_full_match(t, {quote_text(_PLAIN_PATTERN)}) THEN TRY_CAST(t AS TIMESTAMP)
    ELSE coalesce(as_iso_zoned(t), as_iso_local(t)) END;
"""


def define_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Define the SQL macros that convert texts; each returns NULL for any other text.

    ``as_number(text)`` returns a DOUBLE, infinite if the number is too large; one in brackets is
    below 0. ``as_iso_time(text)``
    returns a TIMESTAMP in UTC from an ISO 8601 time; ``as_iso_local`` reads only the times without
    a zone, ``as_iso_zoned`` only those with one.
    """
    con.execute(_MACROS)


def check_formats(con: duckdb.DuckDBPyConnection, options: ReadOptions) -> None:
    """Refuse a time format or a regular expression that DuckDB cannot use.

    Raises
    ------
    UsageError
        The message holds the option, its value and DuckDB's reason.
    """
    patterns = {"--test-customers": options.test_customers, "--not-products": options.not_products}
    statements = {
        option: (pattern, f"SELECT regexp_full_match('', {quote_text(pattern)})")
        for option, pattern in patterns.items()
        if pattern is not None
    }
    if options.time_format is not None and options.time_format not in NUMERIC_TIME_FORMATS:
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
    """Return SQL of a number's text with a decimal point and without thousands separators.

    The SQL gives NULL where the text is not a number in the declared format.

    Parameters
    ----------
    text
        SQL of the text.
    options
        Its ``decimal``, ``thousands`` and ``currency_sign`` declare the format.
    """
    decimal, thousands = options.decimal, THOUSANDS[options.thousands]
    if options.currency_sign is not None:
        text = f"trim(replace({text}, {quote_text(options.currency_sign)}, ''))"
    if decimal == "." and not thousands:
        return text
    signs = _SPACES if thousands == " " else thousands
    groups = rf"\d{{1,3}}([{signs}]\d{{3}})+|" if thousands else ""
    point = f"[{decimal}]"
    pattern = rf"\(?[+-]?(({groups}\d+)({point}\d*)?|{point}\d+)([eE][+-]?\d+)?\)?"
    plain = f"translate({text}, {quote_text(decimal + signs)}, '.')"
    return f"CASE WHEN regexp_full_match(trim({text}), {quote_text(pattern)}) THEN {plain} END"


def number(text: str, options: ReadOptions) -> str:
    """Return SQL of a text as a number, NULL where it is not one."""
    return f"as_number({plain_number(text, options)})"


def local_and_utc(part: Compiled | None, text: str, options: ReadOptions) -> tuple[str, str]:
    """Return SQL of a time without a zone, and SQL of a time in UTC; at most one is not NULL.

    Parameters
    ----------
    part
        The mapped time; None: the source has no such time.
    text
        SQL of its text.
    options
        Its ``time_format`` says how the text is read.
    """
    none = "NULL::TIMESTAMP"
    if part is None:
        return none, none
    column = part.single_column
    if column is not None and column.kind == "time":
        return f"TRY_CAST({column.sql} AS TIMESTAMP)", none
    if column is not None and column.kind == "instant":
        instant = f"TRY_CAST({column.sql} AS TIMESTAMPTZ)"
        # the first conversion is ten times as fast, the second one can hold infinity
        return none, f"coalesce(make_timestamp(epoch_us({instant})), CAST({instant} AS TIMESTAMP))"
    time_format = options.time_format
    if time_format is None:
        return f"as_iso_local({text})", f"as_iso_zoned({text})"
    is_number = column is not None and column.kind == "number"
    if column is not None and is_number:
        text = whole_text(column)
    value = (
        f"CAST({column.sql} AS DOUBLE)"
        if column is not None and is_number
        else number(text, options)
    )
    if time_format in _UNIX_UNIT_MICROSECONDS:
        return none, _timestamp(f"round({value} * {_UNIX_UNIT_MICROSECONDS[time_format]})")
    if time_format in NUMERIC_TIME_FORMATS:
        return _excel_time(value, time_format), none
    if "%Z" in time_format:
        return none, named_zone_time(text, time_format)
    parsed = f"CAST(try_strptime({text}, {quote_text(time_format)}) AS TIMESTAMP)"
    return (none, parsed) if "%z" in time_format else (parsed, none)


def _excel_time(value: str, calendar: str) -> str:
    """Return SQL of Excel's day number as a time, to the millisecond, which is Excel's precision.

    Day 60 of the calendar of 1900 is 29 February 1900, which did not exist: the result is NULL.
    """
    if calendar == "excel-1904":
        return _timestamp(
            f"round({value} * 86400000) * 1000 + {_EXCEL_1904} * 86400000000", f"{value} >= 0"
        )
    start = f"CASE WHEN {value} < 60 THEN {_EXCEL_1900 + 1} ELSE {_EXCEL_1900} END"
    is_valid = f"({value} >= 1 AND {value} < 60) OR ({value} >= 61 AND {value} < {_EXCEL_END})"
    return _timestamp(f"round({value} * 86400000) * 1000 + ({start}) * 86400000000", is_valid)


def _timestamp(microseconds: str, is_valid: str = "true") -> str:
    # a number that a TIMESTAMP cannot hold gives NULL instead of an error
    return (
        f"CASE WHEN abs({microseconds}) < 9e18 AND ({is_valid}) THEN "
        f"make_timestamp(CAST({microseconds} AS BIGINT)) END"
    )


def utc_time(part: Compiled | None, text: str, options: ReadOptions) -> str:
    """Return SQL of a time in UTC, for sources whose times without a zone are UTC."""
    local, utc = local_and_utc(part, text, options)
    if part is not None and local == f"as_iso_local({text})":
        return f"as_iso_time({text})"
    return f"coalesce({local}, {utc})"


def id_text(part: Compiled) -> str:
    """Return SQL of an id as text; whole numbers are written without an exponent.

    A whole DOUBLE ends in ``.0``, as in ``17850.0``;
    :mod:`stagecast.features.intake.settling` decides over all ids whether to remove it.
    """
    column = part.single_column
    if column is None or column.kind != "number":
        return part.sql
    whole = f"try_cast({column.sql} AS BIGINT)"
    text = f"CAST({column.sql} AS VARCHAR)"
    return (
        f"CASE WHEN {text} LIKE '%e%' AND {whole} = {column.sql} THEN {whole} || '.0' "
        f"ELSE {text} END"
    )


def exact_amount(amount: Compiled, options: ReadOptions) -> str:
    """Return SQL of the amount as DECIMAL(18,6)."""
    exact = f"TRY_CAST({amount.sql} AS DECIMAL(18,6))"
    column = amount.single_column
    if column is None or column.kind != "text":
        return exact
    # text is cast to DECIMAL directly: a DOUBLE in between would lose digits beyond the 15th
    text = plain_number(column.sql, options)
    return (
        f"coalesce(CASE WHEN {amount.sql} IS NOT NULL THEN TRY_CAST({text} AS "
        f"DECIMAL(18,6)) END, {exact})"
    )

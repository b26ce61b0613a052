"""What to try for times that could not be read: a hint that is made from the refused values.

Nothing is read by it. A format is proposed only where the values fit it; where day and month can
be confused, the value that decides between them is named, or that none does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from stagecast.features.intake.time_signs import may_read
from stagecast.features.intake.values import ISO_PATTERNS
from stagecast.features.intake.zone_names import abbreviation_hint, named_zone_time
from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR

_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y %m %d")
_CLOCKS = (" %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %H:%M:%S %z", " %I:%M:%S %p")
_ZONED_CLOCKS = (" %H:%M:%S %Z", " %H:%M %Z", "T%H:%M:%S %Z", " %H:%M:%S,%g", "T%H:%M:%S,%g")
_WORDS = ("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")
CERTAIN = (
    *_DATES,
    *(date + clock for date in _DATES for clock in (*_CLOCKS, *_ZONED_CLOCKS)),
    *("%Y:%m:%d %H:%M:%S", "%Y:%m:%d"),
    *("%Y-%m", "%Y/%m", "%Y.%m", "%Y%m"),
    *("%m-%Y", "%m/%Y", "%m.%Y"),
    *("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ"),
    *("%Y%m%d %H:%M", "%Y%m%d %H:%M:%S"),
    *_WORDS,
    *(
        date + clock
        for date in _WORDS
        for clock in (" %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
    ),
    *("%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y"),
    *("%a, %d %b %Y", "%A, %B %d, %Y"),
)
"""Formats whose parts cannot be confused: the year first, a name of the month, or no day."""
_DAY_FIRST = tuple(f"%d{sign}%m{sign}{year}" for year in ("%Y", "%y") for sign in "/.-")
_MORE_CLOCKS = ("", *_CLOCKS, " %I:%M %p", ", %H:%M", ", %H:%M:%S")
DAY_FIRST = tuple(date + clock for date in _DAY_FIRST for clock in _MORE_CLOCKS)
"""Formats with the day before the month; each has a twin with the month before the day."""
_UNITS = {10: "unix", 13: "unix-ms", 16: "unix-us", 19: "unix-ns"}
"""Digits of a time since 1970 -> its format, from 2001-09-09 to 2286-11-20."""
_EXCEL_DAYS = (10_000, 80_000)
"""Day numbers of Excel from 1927 to 2119."""
_SHARE = 0.9
"""Share of the values that a proposed format must read."""


def time_hint(con: duckdb.DuckDBPyConnection, values: Sequence[str]) -> str | None:
    """Return what to try for refused times; None without any.

    Parameters
    ----------
    con
        Any connection; formats are tried by its ``strptime``, which reads the log.
    values
        Refused texts of times, in the order of their rows. A form is proposed that fits nearly all
        of them, else one that fits the first. Where none does, it is said how a form is declared.

    >>> con = duckdb.connect()
    >>> time_hint(con, ["1691996191"])
    "'1691996191' is read by --time-format unix (seconds since 1970)"
    >>> time_hint(con, ["2016-2-01", "2016-11-01"])
    "'2016-2-01' is read by --time-format '%Y-%m-%d'"
    """
    texts = list(dict.fromkeys(value.strip() for value in values if value.strip()))
    if not texts:
        return None
    return (
        _hint_for(con, texts)
        or abbreviation_hint(texts, lambda times: _certain_format(con, times))
        or (_hint_for(con, texts[:1]) if len(texts) > 1 else None)
        or _no_form_hint(texts[0])
    )


def _certain_format(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> str | None:
    """Return the only format that reads the texts, also of ISO 8601; else None."""
    certain = _best_format(con, CERTAIN, texts)
    if certain is not None:
        return certain
    form = time_format_of(con, texts)
    return form[0] if form is not None and form[0] and form[1] else None


def _hint_for(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> str | None:
    first = texts[0]
    iso = [text for text in texts if any(re.fullmatch(form, text) for form in ISO_PATTERNS)]
    if len(iso) >= _SHARE * len(texts):
        if not any(_exists(con, iso)):
            return f"{first!r} has the form of ISO 8601, and there is no such day or time of day"
        return f"{first!r} has the form of ISO 8601, which is read without --time-format"
    units = unit_hint(texts)
    if units is not None:
        return units
    certain = _best_format(con, CERTAIN, texts)
    if certain is not None:
        return f"{first!r} is read by --time-format '{certain}'"
    return _ambiguous_hint(con, texts)


def unit_of(values: Sequence[str]) -> str | None:
    """Return the ``--time-format`` of times that are numbers; None where they are of no known unit.

    >>> unit_of(["1691996191000", "1691996192000"])
    'unix-ms'
    """
    number_format = _number_format(values) if values else None
    return None if number_format is None else re.split(r"[ ,]", number_format)[0]


def unit_hint(values: Sequence[str]) -> str | None:
    """Return what to try for times that are numbers; None where they are of no known unit.

    >>> unit_hint(["1691996191000"])
    "'1691996191000' is read by --time-format unix-ms (milliseconds since 1970)"
    """
    texts = [value.strip() for value in values if value.strip()]
    number_format = _number_format(texts) if texts else None
    if number_format is None:
        return None
    return f"{texts[0]!r} is read by --time-format {number_format}"


def _number_format(texts: Sequence[str]) -> str | None:
    """Return the format of numbers that have one length or lie among Excel's days, and its unit."""
    wholes = [re.fullmatch(r"(\d+)(\.\d*)?", text) for text in texts]
    digits = [len(whole[1]) for whole in wholes if whole is not None]
    meanings = {
        "unix": "seconds",
        "unix-ms": "milliseconds",
        "unix-us": "microseconds",
        "unix-ns": "nanoseconds",
    }
    for length, name in _UNITS.items():
        if digits.count(length) >= _SHARE * len(texts):
            return f"{name} ({meanings[name]} since 1970)"
    low, high = _EXCEL_DAYS
    excel = sum(whole is not None and low <= float(whole[0]) < high for whole in wholes)
    if excel >= _SHARE * len(texts):
        return "excel (day numbers), or excel-1904 of old workbooks of a Mac"
    return None


def calendar_hint(values: Sequence[str]) -> str | None:
    """Return what to try for dates of another calendar; None where the first is of none.

    >>> str(calendar_hint(["1402/05/17"]))[:74]
    "'1402/05/17' has the year 1402: is it a date of another calendar, such as "
    """
    text = next((value.strip() for value in values if value.strip()), "")
    year = re.match(r"(1[34]\d\d|25\d\d)[/.-]\d{1,2}[/.-]\d{1,2}\b", text)
    if year is None:
        return None
    calendar = "Persian or the Islamic one" if year[1].startswith("1") else "Buddhist one"
    return (
        f"{text!r} has the year {year[1]}: is it a date of another calendar, such as the "
        f"{calendar}? Times are read by the Gregorian calendar: convert them before"
    )


def _no_form_hint(text: str) -> str:
    return calendar_hint([text]) or (
        f"{text!r} has no form that is known here: say how it is written with --time-format, such "
        "as '%d/%m/%Y %H:%M' (strptime), or mend the values"
    )


def _exists(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> list[bool]:
    with con.cursor() as cursor:
        rows = cursor.execute(
            """SELECT TRY_CAST(replace(replace(text, ' +', '+'), ' -', '-') AS TIMESTAMPTZ) IS NOT
            NULL FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS text)""",
            [list(texts)],
        ).fetchall()
    return [bool(exists) for (exists,) in rows]


def _best_format(
    con: duckdb.DuckDBPyConnection, formats: Sequence[str], texts: Sequence[str]
) -> str | None:
    """Return the first format that reads most texts; None if it reads less than its share."""
    readable = {form: _readable(con, form, texts) for form in formats}
    best = max(readable, key=lambda form: sum(readable[form]))
    return best if sum(readable[best]) >= _SHARE * len(texts) else None


def _readable(con: duckdb.DuckDBPyConnection, form: str, texts: Sequence[str]) -> list[bool]:
    """Return of each text whether the format reads a year that a log may have."""
    if not any(may_read(form, text) for text in texts):
        return [False] * len(texts)  # most formats, each of which would be a query
    parsed, values = "CAST(try_strptime(text, ?) AS TIMESTAMP)", [form]
    if "%Z" in form:
        parsed, values = named_zone_time("text", form), []
    with con.cursor() as cursor:
        rows = cursor.execute(
            f"""SELECT coalesce(year({parsed}) BETWEEN ? AND ?, false)
            FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS text)""",
            [*values, FIRST_YEAR, LAST_YEAR, list(texts)],
        ).fetchall()
    return [bool(fits) for (fits,) in rows]


def time_format_of(
    con: duckdb.DuckDBPyConnection, values: Sequence[str]
) -> tuple[str, bool] | None:
    """Return the format of texts that may be times, and whether no other reads them.

    An empty text means ISO 8601, which needs no format; None: nearly all must be times, and are
    not. Where either number may be the day, it is the format with the day first, and not certain.

    >>> con = duckdb.connect()
    >>> time_format_of(con, ["2025-02-01"]), time_format_of(con, ["01/02/2025"])
    (('', True), ('%d/%m/%Y', False))
    """
    texts = list(dict.fromkeys(value.strip() for value in values if value.strip()))
    if not texts:
        return None
    iso = [text for text in texts if any(re.fullmatch(form, text) for form in ISO_PATTERNS)]
    if len(iso) >= _SHARE * len(texts):
        return ("", True) if any(_exists(con, iso)) else None
    number_format = _number_format(texts)
    if number_format is not None:
        return number_format.split()[0], True
    certain = _best_format(con, CERTAIN, texts)
    if certain is not None:
        return certain, True
    orders = _orders(con, texts)
    if orders is None or (orders.only_day and orders.only_month):
        return None
    is_certain = bool(orders.only_day or orders.only_month)
    return (orders.month_first if orders.only_month else orders.day_first), is_certain


@dataclass(frozen=True)
class _Orders:
    """Two formats, with the day and with the month first, and the texts that one alone reads."""

    day_first: str
    month_first: str
    only_day: list[str]
    only_month: list[str]


def _orders(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> _Orders | None:
    """Return the formats of two numbers and a year that read nearly all texts; else None."""
    pairs = [(form, _month_first(form)) for form in DAY_FIRST]
    read = {form: _readable(con, form, texts) for pair in pairs for form in pair}

    def read_by_either(pair: tuple[str, str]) -> int:
        return sum(d or m for d, m in zip(read[pair[0]], read[pair[1]], strict=True))

    best = max(pairs, key=read_by_either)
    if read_by_either(best) < _SHARE * len(texts):
        return None
    by_day, by_month = read[best[0]], read[best[1]]
    return _Orders(
        *best,
        [text for text, d, m in zip(texts, by_day, by_month, strict=True) if d and not m],
        [text for text, d, m in zip(texts, by_day, by_month, strict=True) if m and not d],
    )


def _ambiguous_hint(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> str | None:
    """Return a hint for dates of two numbers and a year, where the day or the month is first."""
    orders = _orders(con, texts)
    if orders is None:
        return None
    only_day, only_month = orders.only_day, orders.only_month
    if only_day and only_month:
        return (
            f"{only_day[0]!r} has the day first and {only_month[0]!r} the month: one "
            "--time-format cannot read both. Day and month are swapped in part of the rows; mend "
            "the export"
        )
    if only_day:
        return f"{only_day[0]!r} has the day first: --time-format '{orders.day_first}'"
    if only_month:
        return f"{only_month[0]!r} has the month first: --time-format '{orders.month_first}'"
    return (
        f"{texts[0]!r} is read by --time-format '{orders.day_first}' and by "
        f"'{orders.month_first}'; no value here decides, so only you know which number is the day"
    )


def _month_first(form: str) -> str:
    return form.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")

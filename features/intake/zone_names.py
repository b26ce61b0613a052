"""Zones by name in times: which ``%Z`` reads, and what to try for abbreviations such as CEST.

No two systems read abbreviations alike: DuckDB's ``%Z`` knows neither CEST nor MSK, takes BST for
the time of Bangladesh, AST for that of Alaska, and CET in July for summer time. So ``%Z`` reads
names of regions, UTC and GMT, and an abbreviation where DuckDB reads the offset that it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_ABBREVIATIONS = {
    "CEST": ("+02:00", "Europe/Berlin"),
    "MESZ": ("+02:00", "Europe/Berlin"),
    "MEZ": ("+01:00", "Europe/Berlin"),
    "EEST": ("+03:00", "Europe/Athens"),
    "WEST": ("+01:00", "Europe/Lisbon"),
    "BST": ("+01:00", "Europe/London"),
    "MSK": ("+03:00", "Europe/Moscow"),
    "TRT": ("+03:00", "Europe/Istanbul"),
    "IRST": ("+03:30", "Asia/Tehran"),
    "GST": ("+04:00", "Asia/Dubai"),
    "PKT": ("+05:00", "Asia/Karachi"),
    "WIB": ("+07:00", "Asia/Jakarta"),
    "HKT": ("+08:00", "Asia/Hong_Kong"),
    "SGT": ("+08:00", "Asia/Singapore"),
    "KST": ("+09:00", "Asia/Seoul"),
    "AEST": ("+10:00", "Australia/Sydney"),
    "AEDT": ("+11:00", "Australia/Sydney"),
    "NZST": ("+12:00", "Pacific/Auckland"),
    "NZDT": ("+13:00", "Pacific/Auckland"),
    "ADT": ("-03:00", "America/Halifax"),
    "BRT": ("-03:00", "America/Sao_Paulo"),
    "EDT": ("-04:00", "America/New_York"),
    "CDT": ("-05:00", "America/Chicago"),
    "MDT": ("-06:00", "America/Denver"),
    "PDT": ("-07:00", "America/Los_Angeles"),
    "AKDT": ("-08:00", "America/Anchorage"),
    "IST": ("+05:30", "Asia/Kolkata"),
    "AST": ("-04:00", "America/Halifax"),
    "NST": ("-03:30", "America/St_Johns"),
    "AKST": ("-09:00", "America/Anchorage"),
    "SAST": ("+02:00", "Africa/Johannesburg"),
    "WAT": ("+01:00", "Africa/Lagos"),
}
"""Abbreviation that ``%Z`` does not read -> its offset, and a zone that has it."""
_READ = {
    "WET": ("+00:00", "Europe/Lisbon"),
    "CET": ("+01:00", "Europe/Berlin"),
    "MET": ("+01:00", "Europe/Berlin"),
    "EET": ("+02:00", "Europe/Athens"),
    "CAT": ("+02:00", "Africa/Harare"),
    "EAT": ("+03:00", "Africa/Nairobi"),
    "JST": ("+09:00", "Asia/Tokyo"),
    "EST": ("-05:00", "America/New_York"),
    "CST": ("-06:00", "America/Chicago"),
    "MST": ("-07:00", "America/Denver"),
    "PST": ("-08:00", "America/Los_Angeles"),
    "HST": ("-10:00", "Pacific/Honolulu"),
}
"""Abbreviation that ``%Z`` reads where DuckDB reads this offset, and a zone that has it: those of
zones with summer time are read in winter.
"""
_BY_NAME = {**_ABBREVIATIONS, **_READ}
_NAME = re.compile(rf" ?\b({'|'.join(_BY_NAME)})\b")
_REGION = r"[A-Za-z_]{3,}/[A-Za-z_]{2,}"


def named_zone_time(text: str, time_format: str) -> str:
    """Return SQL of a time that names its zone, in UTC; NULL where the name is not sure.

    Parameters
    ----------
    text
        SQL of its text.
    time_format
        With ``%Z``.
    """
    form = _quoted(time_format)
    parsed = f"CAST(try_strptime({text}, {form}) AS TIMESTAMP)"
    whens = [f"WHEN regexp_matches({text}, '{_REGION}|\\b(UTC|GMT)\\b') THEN {parsed}"]
    for name, (offset, _) in _READ.items():
        # the same text in UTC is the time on the wall
        wall = f"regexp_replace({text}, '\\b{name}\\b', 'UTC')"
        hours = f"to_hours({int(offset[:3])})"
        whens.append(
            f"WHEN regexp_matches({text}, '\\b{name}\\b') THEN CASE WHEN {parsed} + {hours} = "
            f"CAST(try_strptime({wall}, {form}) AS TIMESTAMP) THEN {parsed} END"
        )
    return f"CASE {' '.join(whens)} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def abbreviation_hint(
    texts: Sequence[str], format_of: Callable[[Sequence[str]], str | None]
) -> str | None:
    """Return what to try for times with abbreviations of zones; None where no text has any.

    Parameters
    ----------
    texts
        Refused times.
    format_of
        Gives the format of times without a zone, or None.
    """
    named = [match for match in map(_NAME.search, texts) if match is not None]
    if not named:
        return None
    first = named[0]
    text, name = first.string, first[1]
    offset, zone = _BY_NAME[name]
    others = list(dict.fromkeys(match[1] for match in named if match[1] != name))[:2]
    offsets = "".join(f", {other} {_BY_NAME[other][0]}" for other in others)
    hint = (
        f"{text!r} names its zone by the abbreviation {name}, which has no fixed meaning: write "
        f"the offset in its place ({name} is {offset}{offsets})"
    )
    form = format_of([text[: first.start()]]) if first.end() == len(text) else None
    if form is None or others or len(named) < len(texts):
        return hint
    return f"{hint}; where every time names {name}: --time-format '{form}{first[0]}' --zone {zone}"

"""Abbreviations of zones in times, such as CEST and EDT: what to try for them.

No two systems read them alike: DuckDB's ``%Z`` knows neither CEST nor MSK, and takes BST for the
time of Bangladesh.
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
}
"""Abbreviation -> its offset, and a zone that has it."""
_NAME = re.compile(rf" ?\b({'|'.join(_ABBREVIATIONS)})\b")


def has_abbreviation(text: str) -> bool:
    """Return whether a time names its zone by an abbreviation that ``%Z`` does not read rightly.

    >>> has_abbreviation("2025-07-01 10:00 BST"), has_abbreviation("2025-07-01 10:00 GMT")
    (True, False)
    """
    return _NAME.search(text) is not None


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
    offset, zone = _ABBREVIATIONS[name]
    others = list(dict.fromkeys(match[1] for match in named if match[1] != name))[:2]
    offsets = "".join(f", {other} {_ABBREVIATIONS[other][0]}" for other in others)
    hint = (
        f"{text!r} names its zone by the abbreviation {name}, which has no fixed meaning: write "
        f"the offset in its place ({name} is {offset}{offsets})"
    )
    form = format_of([text[: first.start()]]) if first.end() == len(text) else None
    if form is None or others or len(named) < len(texts):
        return hint
    return f"{hint}; where every time names {name}: --time-format '{form}{first[0]}' --zone {zone}"

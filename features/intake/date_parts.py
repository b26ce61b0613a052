"""Dates whose year, month and day are columns of their own: how they are put together."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PARTS = {
    "day": re.compile(r"(.*?)[ _-]?(?:day[ _-]?of[ _-]?month|day|dom)", re.IGNORECASE),
    "month": re.compile(r"(.*?)[ _-]?(?:month|mon)", re.IGNORECASE),
    "year": re.compile(r"(.*?)[ _-]?(?:year|yr)", re.IGNORECASE),
}


def date_parts_hint(names: Sequence[str]) -> str:
    """Return how ``--time`` is put together from columns of year, month and day; else nothing.

    Parameters
    ----------
    names
        Names of the columns of a source.

    >>> "Year || '-' || Month || '-' || Day" in date_parts_hint(["id", "Year", "Month", "Day"])
    True
    >>> date_parts_hint(["customer_id", "Year", "Month"])
    ''
    """
    by_prefix: dict[str, dict[str, str]] = {}
    for name in names:
        for part, form in _PARTS.items():
            match = form.fullmatch(name)
            if match is not None:
                by_prefix.setdefault(match[1].lower(), {}).setdefault(part, name)
                break
    for columns in by_prefix.values():
        if len(columns) == len(_PARTS):
            expression = " || '-' || ".join(
                _in_expression(columns[part]) for part in ("year", "month", "day")
            )
            return (
                f'Year, month and day are columns of their own: --time "{expression}" '
                "--time-format '%Y-%m-%d' (%B in place of %m where months are names)"
            )
    return ""


def _in_expression(name: str) -> str:
    """Return a name as it is written in an expression between double quotes of a shell."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'\\"{name}\\"'

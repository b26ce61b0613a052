"""Which formats cannot read a text, judged by the signs between its numbers alone.

A format is tried by a query, and there are hundreds of them: ``01/02/2025`` is not worth a query
for a format with dots.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

_PART = re.compile(r"%-?[A-Za-z]")
_NOT_SIGNS = re.compile(r"[\w\s]+")
_ZONES = ("%z", "%Z")
"""Parts whose text has signs of its own, as in ``+02:00`` and ``America/New_York``."""
_DIGIT = re.compile("[0-9]")


def may_read(time_format: str, text: str) -> bool:
    """Return False only where a ``strptime`` format cannot read a text.

    Parameters
    ----------
    time_format
        A format of DuckDB's ``strptime``.
    text
        A time without blanks around it.

    >>> may_read("%d/%m/%Y", "1/2/2025"), may_read("%d.%m.%Y", "1/2/2025")
    (True, False)
    >>> may_read("%Y-%m-%d %H:%M %z", "2025-02-01 12:00 +02:00"), may_read("%Y", "soon")
    (True, False)
    """
    signs, zoned = _signs_of(time_format)
    actual = Counter(_NOT_SIGNS.sub("", text))
    fits = signs <= actual if zoned else signs == actual
    return fits and _DIGIT.search(text) is not None


@cache
def _signs_of(time_format: str) -> tuple[Counter[str], bool]:
    """Return the signs that every text of a format has, and whether its zone may bring others."""
    literal = _PART.sub("", time_format)
    return Counter(_NOT_SIGNS.sub("", literal)), any(part in time_format for part in _ZONES)

"""A caller's value in an error: short, printable, and never as large as what caused it."""

from __future__ import annotations

from typing import Any

QUOTED = 100


def quote(value: Any) -> str:
    """Return a caller's value as short, printable text.

    >>> quote("x" * 1000)[-4:], quote("\\ud800")
    ('xxx…', '\\\\ud800')
    """
    text = value[: QUOTED + 1] if isinstance(value, str) else repr(value)
    text = text if len(text) <= QUOTED else text[:QUOTED] + "…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

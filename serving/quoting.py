"""Values of callers in error messages: short, printable, of limited length."""

from __future__ import annotations

from typing import Any

QUOTE_LENGTH_MAX = 100


def quote(value: Any) -> str:
    """Return a caller's value as printable text of at most 100 characters and an ellipsis.

    Parameters
    ----------
    value
        The value; what is not text is shown by ``repr``.

    >>> quote("x" * 1000)[-4:], quote("\\ud800")
    ('xxx…', '\\\\ud800')
    """
    text = value[: QUOTE_LENGTH_MAX + 1] if isinstance(value, str) else repr(value)
    text = text if len(text) <= QUOTE_LENGTH_MAX else text[:QUOTE_LENGTH_MAX] + "…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

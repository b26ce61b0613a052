"""What is wrong with an expression that cannot be parsed, in words of the one who wrote it."""

from __future__ import annotations

import re

_OPEN, _CLOSED = "([{", ")]}"
_TOKEN = re.compile(r"""'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|.""", re.DOTALL)
_QUOTES = "'\""


def syntax_fault(text: str, error: Exception) -> str:
    """Return what is wrong with an expression, and at which character.

    Parameters
    ----------
    text
        The expression.
    error
        Of sqlglot, whose own message names its classes.

    Returns
    -------
    str
        Part of a sentence; characters of the text are counted from 1.
    """
    not_closed = _not_closed(text)
    if not_closed is not None:
        return not_closed
    for each in getattr(error, "errors", None) or ():
        token, line, column = each.get("highlight"), each.get("line"), each.get("col")
        if token and line and column:
            before = sum(len(part) + 1 for part in text.split("\n")[: line - 1])
            place = f"{token!r} at character {before + column - len(token) + 1}"
            if str(each.get("description")).startswith("Required keyword"):
                return f"something is missing at {place}"
            return f"something is missing or too much at {place}"
    return "it holds a sign that no expression has"


def _not_closed(text: str) -> str | None:
    """Return which quote or bracket has no partner; None where all have one."""
    pending: list[tuple[str, int]] = []
    for match in _TOKEN.finditer(text):
        token, place = match[0], f"at character {match.start() + 1}"
        if token[0] in _QUOTES and token.count(token[0]) % 2:
            return f"the quote {token[0]} {place} is not closed"
        if token in _OPEN:
            pending.append((token, match.start() + 1))
        elif token in _CLOSED:
            if not pending or _OPEN.index(pending[-1][0]) != _CLOSED.index(token):
                return f"the bracket {token} {place} closes none"
            pending.pop()
    if pending:
        bracket, start = pending[-1]
        return f"the bracket {bracket} at character {start} is not closed"
    return None

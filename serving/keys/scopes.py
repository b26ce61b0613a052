"""Scopes: what a key may do.

A scope contains no other: a key for the pages that also downloads lists has ``read`` and
``export``.
"""

from __future__ import annotations

from collections.abc import Iterable

from stagecast.features.errors import UsageError, did_you_mean

SCOPES = {
    "score": "score raw events",
    "read": "read published scores, plans and pages",
    "plan": "make, freeze, cancel and confirm plans",
    "export": "download lists of customers as files, and the lists of plans",
    "metrics": "read the counts of the server itself, for Prometheus",
    "admin": "erase customers, and what else changes the server",
}
"""Name -> what a key with it may do."""
ALL_SCOPES = frozenset(SCOPES)


def parse_scopes(text: str) -> tuple[str, ...]:
    """Return the scopes of a comma-separated list, in the order of :data:`SCOPES`.

    Parameters
    ----------
    text
        Names, such as ``score,read``.

    Raises
    ------
    UsageError
        A name is not a scope, or there is none.

    >>> parse_scopes("read, score")
    ('score', 'read')
    """
    names = [part.strip().lower() for part in text.split(",") if part.strip()]
    for name in names:
        if name not in SCOPES:
            raise UsageError(
                f"--scopes '{name}' is not a scope.{did_you_mean(name, list(SCOPES))} "
                f"The scopes are {', '.join(SCOPES)}"
            )
    if not names:
        raise UsageError(f"--scopes is empty; name one or more of {', '.join(SCOPES)}")
    return ordered(names)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Return scopes in the order of :data:`SCOPES`, each once."""
    wanted = set(names)
    return tuple(name for name in SCOPES if name in wanted)

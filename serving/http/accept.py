"""Which form of an answer a caller asks for: the header ``Accept`` with its q-values (RFC 9110)."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.serving.http.problems import ProblemError

PARTS_MAX = 50


def accepted(header: str, offered: Sequence[str]) -> str:
    """Return the media type that a caller prefers among those offered.

    Parameters
    ----------
    header
        ``Accept``; empty: anything.
    offered
        Media types; of those that are preferred alike the first is taken.

    Raises
    ------
    ProblemError
        406: the caller takes none of them.

    >>> accepted("text/csv;q=0.1, application/json", ["application/json", "text/csv"])
    'application/json'
    """
    ranges = [_range(part) for part in header.split(",")[:PARTS_MAX] if part.strip()]
    if not ranges:
        return offered[0]
    weights = [_weight(kind, ranges) for kind in offered]
    best = max(weights)
    if best <= 0:
        raise ProblemError(
            406,
            "not-acceptable",
            f"this can be had as {', '.join(offered)}; name one of them in the header Accept, or "
            "leave it out",
        )
    return offered[weights.index(best)]


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return kind, _quality(value.strip())
    return kind, 1.0


def _quality(text: str) -> float:
    """Return a q-value; what is none is no wish for the type."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0


def _weight(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the q-value of a type: that of the most exact range which it is in."""
    for exact in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        values = [value for name, value in ranges if name == exact]
        if values:
            return max(values)
    return 0.0

"""A table with a row per customer is no log of events, and what would be needed is said."""

from __future__ import annotations

FEWEST_ROWS = 20
"""Rows from which a log without a second event of anybody is no log that has just begun."""
NEEDED = (
    "a table with a row per customer cannot be learned from by itself. Needed is a row per event: "
    "who, when and, for values, how much. Such a table is read beside a log, as --customers FILE"
)


def not_a_log_warning(customers: int, events: int) -> list[str]:
    """Return the warning about a log in which nobody has a second event; empty for other logs.

    >>> not_a_log_warning(30, 31)
    []
    >>> not_a_log_warning(30, 30)[0][:56]
    'is this a log of events? Each of its 30 events is of ano'
    """
    if events < FEWEST_ROWS or customers < events:
        return []
    return [
        f"is this a log of events? Each of its {events:,} events is of another customer: {NEEDED}"
    ]

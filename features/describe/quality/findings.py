"""What a day that stands out is reported as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class OddDay:
    """A day (ISO date) to look at.

    ``kind`` is ``placeholder``, ``far``, ``high``, ``twice``, ``instant``, ``partial_day`` or
    ``partial_week``; ``why`` a sentence; ``figures`` what it rests on.
    """

    day: str
    kind: str
    why: str
    figures: Mapping[str, float | str]


Scored = tuple[float, OddDay]
"""How suspicious, in spreads of what is usual or the like, and the finding."""

# Where more of the days than this stand out in the same way, it is the shop's habit.
HABIT_SHARE, HABIT_DAYS = 0.01, 5


def habit(found: int, days: int) -> bool:
    """Say whether so many of so many days stand out that it is what the shop does, and no fault
    of the log.
    """
    return found > max(HABIT_DAYS, HABIT_SHARE * days)


def some(count: float) -> str:
    """Return ``1 event`` or ``1,200 events``."""
    return "1 event" if count == 1 else f"{count:,.0f} events"

"""Findings: days that stand out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stagecast.features.counted import counted


@dataclass(frozen=True)
class OddDay:
    """A day that stands out.

    Parameters
    ----------
    day
        ISO date.
    kind
        ``placeholder``, ``far``, ``high``, ``twice``, ``instant``, ``partial_day`` or
        ``partial_week``.
    why
        The finding as a sentence.
    figures
        Name -> number or text on which the finding rests.
    """

    day: str
    kind: str
    why: str
    figures: Mapping[str, float | str]


ScoredDay = tuple[float, OddDay]
"""A score that is larger for more suspicious days (distance in spreads), and the finding."""

# If more days than this stand out in the same way, that is normal for the shop.
HABIT_SHARE, HABIT_DAYS = 0.01, 5


def is_habit(odd_days: int, days: int) -> bool:
    """Return whether so many days stand out in the same way that it is normal for the shop."""
    return odd_days > max(HABIT_DAYS, HABIT_SHARE * days)


def event_count(count: float) -> str:
    """Return a number of events as text, ``1 event`` or ``1,200 events``."""
    return counted(count, "event")

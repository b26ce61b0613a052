"""Days that stand out: placeholder dates, imports, double deliveries, days loaded in part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stagecast.features.describe.quality.daily import Calendar, FarDay
from stagecast.features.describe.quality.ends import short_ends
from stagecast.features.describe.quality.findings import OddDay, ScoredDay, event_count, is_habit
from stagecast.features.describe.quality.high import high_days
from stagecast.features.describe.quality.times import Instant

MOST_DAYS = 10
# An instant is reported with at least this share of its day's events, this many customers, and this
# many times the usual share.
INSTANT_SHARE, INSTANT_CUSTOMERS, INSTANT_TIMES = 0.3, 10, 3.0
# Score of far days, which puts them before all others, whose scores are spreads.
FAR_SCORE = 1e9


def find_odd_days(
    calendar: Calendar, far_days: Sequence[FarDay], instants: Sequence[Instant]
) -> tuple[OddDay, ...]:
    """Return the most suspicious days, at most ``MOST_DAYS``, far days first.

    Where events are dated to their month or week, days are not compared with those around them.

    Parameters
    ----------
    calendar
        Events and customers of each day.
    far_days
        Days far from the calendar.
    instants
        Instants with many events of their day.
    """
    scored = _scored_far_days(far_days)
    if not calendar.by_period:
        scored += [*high_days(calendar), *_busy_instant_days(calendar, instants)]
        for at_end in (False, True):
            scored += short_ends(calendar, at_end=at_end)
    scored.sort(key=lambda finding: (-finding[0], finding[1].day, finding[1].kind))
    return tuple(day for _, day in scored[:MOST_DAYS])


def _scored_far_days(far_days: Sequence[FarDay]) -> list[ScoredDay]:
    """Return the findings for far days, scored by their events."""
    return [
        (
            FAR_SCORE + day.events,
            OddDay(
                day.day,
                "placeholder" if day.placeholder else "far",
                f"{event_count(day.events)}, far from all others"
                + (": a date that systems write where there is none" if day.placeholder else ""),
                {"events": day.events},
            ),
        )
        for day in far_days
    ]


def _busy_instant_days(calendar: Calendar, instants: Sequence[Instant]) -> list[ScoredDay]:
    """Return days on which one instant has a large share of the events, of many customers.

    None are returned where such days are usual.
    """
    shares = np.zeros(len(calendar))
    busiest: dict[int, Instant] = {}
    for instant in instants:
        k = instant.day - calendar.first
        if (
            0 <= k < len(calendar)
            and instant.customers >= INSTANT_CUSTOMERS
            and instant.events > shares[k]
        ):
            shares[k], busiest[k] = instant.events, instant
    open_days = calendar.events > 0
    shares[open_days] /= calendar.events[open_days]
    usual_share = float(np.quantile(shares[open_days], 0.9))
    positions = np.flatnonzero(shares >= max(INSTANT_SHARE, INSTANT_TIMES * usual_share)).tolist()
    if is_habit(len(positions), len(calendar)):
        return []
    return [
        (2.0 * float(np.sqrt(busiest[k].events)), _instant_finding(calendar, k, busiest[k]))
        for k in positions
    ]


def _instant_finding(calendar: Calendar, k: int, instant: Instant) -> OddDay:
    """Return the finding for an instant of the day at position ``k``."""
    events = float(calendar.events[k])
    why = (
        f"{instant.events:,} of {event_count(events)} stand at {instant.time} exactly, of about "
        f"{instant.customers:,} customers: "
        "the time of an import?"
    )
    figures: dict[str, float | str] = {
        "events": events,
        "at_one_time": instant.events,
        "time": instant.time,
        "customers": instant.customers,
    }
    return OddDay(calendar.date(k), "instant", why, figures)

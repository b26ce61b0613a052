"""Days that stand out, of all kinds: placeholder dates, imports and double deliveries,
half-loaded ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stagecast.features.describe.quality.daily import Calendar, FarDay
from stagecast.features.describe.quality.ends import short_ends
from stagecast.features.describe.quality.findings import OddDay, Scored, habit, some
from stagecast.features.describe.quality.high import high_days
from stagecast.features.describe.quality.times import Instant

MOST_DAYS = 10
# One instant is strange with this share of its day's events, so many customers, and so many times
# the usual share.
INSTANT_SHARE, INSTANT_CUSTOMERS, INSTANT_TIMES = 0.3, 10, 3.0
# Far days come before all others, whose scores are spreads.
FAR_SCORE = 1e9


def find_odd_days(
    calendar: Calendar, far: Sequence[FarDay], instants: Sequence[Instant]
) -> tuple[OddDay, ...]:
    """Return the most suspicious days, at most ``MOST_DAYS``: far ones first, then by how far
    they stand out.
    """
    scored = [*_far(far), *high_days(calendar), *_instants(calendar, instants)]
    for at_end in (False, True):
        scored += short_ends(calendar, at_end=at_end)
    scored.sort(key=lambda one: (-one[0], one[1].day, one[1].kind))
    return tuple(day for _, day in scored[:MOST_DAYS])


def _far(far: Sequence[FarDay]) -> list[Scored]:
    return [
        (
            FAR_SCORE + one.events,
            OddDay(
                one.day,
                "placeholder" if one.placeholder else "far",
                f"{some(one.events)}, far from all others"
                + (": a date that systems write where there is none" if one.placeholder else ""),
                {"events": one.events},
            ),
        )
        for one in far
    ]


def _instants(calendar: Calendar, instants: Sequence[Instant]) -> list[Scored]:
    """Return days of which one instant holds a large share, of many customers, where other days
    have no such thing.
    """
    shares = np.zeros(len(calendar))
    busiest: dict[int, Instant] = {}
    for one in instants:
        k = one.day - calendar.first
        if 0 <= k < len(calendar) and one.customers >= INSTANT_CUSTOMERS and one.events > shares[k]:
            shares[k], busiest[k] = one.events, one
    open_days = calendar.events > 0
    shares[open_days] /= calendar.events[open_days]
    usual = float(np.quantile(shares[open_days], 0.9))
    found = np.flatnonzero(shares >= max(INSTANT_SHARE, INSTANT_TIMES * usual)).tolist()
    if habit(len(found), len(calendar)):
        return []
    return [
        (2.0 * float(np.sqrt(busiest[k].events)), _instant(calendar, k, busiest[k])) for k in found
    ]


def _instant(calendar: Calendar, k: int, one: Instant) -> OddDay:
    events = float(calendar.events[k])
    why = (
        f"{one.events:,} of {some(events)} stand at {one.time} exactly, of about "
        f"{one.customers:,} customers: "
        "the time of an import?"
    )
    figures: dict[str, float | str] = {
        "events": events,
        "at_one_time": one.events,
        "time": one.time,
        "customers": one.customers,
    }
    return OddDay(calendar.date(k), "instant", why, figures)

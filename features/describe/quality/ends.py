"""A first or last day or week that was loaded only in part."""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.describe.quality.daily import WEEK, Calendar
from stagecast.features.describe.quality.findings import OddDay, ScoredDay, event_count
from stagecast.features.describe.quality.gaps import spread_of_days

# An end is short if it has at most this share of the events of a poor week beside it, and lies this
# many spreads below it.
SHORT_SHARE, SPREADS = 0.4, 3.0
WEEKS_BESIDE, FEWEST_WEEKS = 6, 4


def short_ends(calendar: Calendar, *, at_end: bool) -> list[ScoredDay]:
    """Return the first (or last) day and week if they have far fewer events than poor ones beside.

    They are compared with the second smallest of the weeks beside them, not with the median: a shop
    that grows, or closes on a holiday, has no short ends.

    Parameters
    ----------
    calendar
        Events of each day.
    at_end
        Whether to look at the last day and week, not at the first.
    """
    events = calendar.events[::-1] if at_end else calendar.events
    n_weeks = min(len(events) // WEEK, 1 + WEEKS_BESIDE)
    if n_weeks <= FEWEST_WEEKS:
        return []
    weeks = events[: n_weeks * WEEK].reshape(n_weeks, WEEK)
    spread = spread_of_days(calendar.events)
    day = _short("day", calendar, weeks[:, 0], spread, at_end)
    # the week is judged without its end day if that day is short itself
    return [
        *day,
        *_short("week", calendar, weeks[:, 1 if day else 0 :].sum(axis=1), spread, at_end),
    ]


def _short(
    span: str, calendar: Calendar, counts: Array, spread: float, at_end: bool
) -> list[ScoredDay]:
    """Return the finding where the first count is far below the second smallest of the others."""
    poor_count = float(np.sort(counts[1:])[1])
    spreads_below = float(np.sqrt(poor_count) - np.sqrt(counts[0])) / spread
    if counts[0] > SHORT_SHARE * poor_count or spreads_below < SPREADS:
        return []
    end = "last" if at_end else "first"
    why = (
        f"the {end} {span} holds {event_count(counts[0])}, a poor one beside it {poor_count:,.0f}: "
        "was all of it loaded?"
    )
    figures: dict[str, float | str] = {
        "events": float(counts[0]),
        "events_of_a_poor_one": poor_count,
    }
    return [
        (spreads_below, OddDay(calendar.date(-1 if at_end else 0), f"partial_{span}", why, figures))
    ]

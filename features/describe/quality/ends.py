"""A first or last day or week that was loaded in part."""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.describe.quality.daily import WEEK, Calendar
from stagecast.features.describe.quality.findings import OddDay, Scored, some
from stagecast.features.describe.quality.gaps import spread_of_days

# An end is short with at most this share of a poor one of the weeks beside it, and so many spreads
# below.
SHORT_SHARE, SPREADS = 0.4, 3.0
WEEKS_BESIDE, FEWEST_WEEKS = 6, 4


def short_ends(calendar: Calendar, *, at_end: bool) -> list[Scored]:
    """Return the first (or last) day, and week, if they hold far less than the poorer ones of the
    weeks beside.

    The poorer ones, not the middle ones: a shop that grows, or closes on a holiday, has no short
    ends.
    """
    inward = calendar.events[::-1] if at_end else calendar.events
    full = min(len(inward) // WEEK, 1 + WEEKS_BESIDE)
    if full <= FEWEST_WEEKS:
        return []
    weeks = inward[: full * WEEK].reshape(full, WEEK)
    spread = spread_of_days(calendar.events)
    day = _short("day", calendar, weeks[:, 0], spread, at_end)
    # a short day alone does not make a short week
    return [
        *day,
        *_short("week", calendar, weeks[:, 1 if day else 0 :].sum(axis=1), spread, at_end),
    ]


def _short(
    span: str, calendar: Calendar, counts: Array, spread: float, at_end: bool
) -> list[Scored]:
    """Return the finding where the first count is far below the second smallest of the others."""
    poor = float(np.sort(counts[1:])[1])
    below = float(np.sqrt(poor) - np.sqrt(counts[0])) / spread
    if counts[0] > SHORT_SHARE * poor or below < SPREADS:
        return []
    end = "last" if at_end else "first"
    why = (
        f"the {end} {span} holds {some(counts[0])}, a poor one beside it {poor:,.0f}: "
        "was all of it loaded?"
    )
    figures: dict[str, float | str] = {"events": float(counts[0]), "events_of_a_poor_one": poor}
    return [(below, OddDay(calendar.date(-1 if at_end else 0), f"partial_{span}", why, figures))]

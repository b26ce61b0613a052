"""Stretches of whole UTC days without any event, where by the weeks around many were to be
expected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.describe.quality.daily import WEEK, Calendar, around

# Weeks on either side that say how many were to be expected.
WEEKS_AROUND = 8
# Customers to be expected, in independent ones, from which silence is no chance: exp(-20) is two in
# a thousand million.
SURPRISING = 20.0
# As many must be known on either side; two lonely events say nothing of the year between them.
FEWEST_BESIDE = 20
# Same weekdays of a side that say more than all its days.
FEWEST_WEEKS = 3
MOST_GAPS = 5


@dataclass(frozen=True)
class Gap:
    """Days without any event; ISO dates, both included.

    ``events_expected`` is by the same weekdays of the weeks before and after; ``log10_chance`` is
    the decimal logarithm of the chance of such a silence.
    """

    first_day: str
    last_day: str
    days: int
    events_expected: float
    log10_chance: float

    def line(self) -> str:
        when = (
            self.first_day
            if self.days == 1
            else f"{self.first_day} to {self.last_day} ({self.days} days)"
        )
        return f"{when}: about {self.events_expected:,.0f} events were to be expected"


def find_gaps(calendar: Calendar) -> tuple[Gap, ...]:
    """Return the most surprising gaps, at most ``MOST_GAPS``.

    Customers of a day are taken as Poisson, each worth less than one where days stray more than
    that (:func:`spread_of_days`). A day's expectation is the median of the same weekday over the
    eight weeks before the gap or after it, whichever is lower: a shop that has not opened yet, or
    closes on Sundays, misses nobody.
    """
    discount = 4.0 * spread_of_days(calendar.customers) ** 2
    gaps = []
    for first, last in _silences(calendar.events):
        if min(side.sum() for side in _sides(calendar.customers, first, last)) < FEWEST_BESIDE:
            continue
        customers = _expected(calendar.customers, first, last) / discount
        if customers >= SURPRISING:
            events = _expected(calendar.events, first, last)
            chance = -customers / math.log(10)
            gaps.append(
                Gap(calendar.date(first), calendar.date(last), last - first + 1, events, chance)
            )
    gaps.sort(key=lambda gap: gap.log10_chance)
    return tuple(gaps[:MOST_GAPS])


def spread_of_days(counts: Array) -> float:
    """Return how far square roots of a day's count stray from those of the same weekday around; 0.5
    is Poisson's.

    Square roots of Poisson counts have a standard deviation of one half, whatever the mean. Never
    below that.
    """
    weeks = [WEEK * k for k in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if k]
    roots = np.sqrt(counts)
    (usual,), _ = around(roots, weeks, [0.5])
    strays = np.abs(roots - usual)[usual > 0]
    return max(0.5, 1.4826 * float(np.median(strays))) if len(strays) else 0.5


def _silences(events: Array) -> list[tuple[int, int]]:
    """Return first and last position of each run of days without events."""
    edges = np.diff(np.r_[0, events == 0, 0])
    return list(
        zip(
            np.flatnonzero(edges > 0).tolist(),
            (np.flatnonzero(edges < 0) - 1).tolist(),
            strict=True,
        )
    )


def _expected(counts: Array, first: int, last: int) -> float:
    """Return what was to be expected from ``first`` to ``last``, both included."""
    before, after = _sides(counts, first, last)
    total = 0.0
    for day in range(first, min(last + 1, first + WEEK)):
        weeks = (last - day) // WEEK + 1
        # days from the nearest end of each side to the first one of the same weekday
        sides = ((before, (first - 1 - day) % WEEK), (after, (day - last - 1) % WEEK))
        total += weeks * min(_usual(side, skip) for side, skip in sides)
    return total


def _sides(counts: Array, first: int, last: int) -> tuple[Array, Array]:
    """Return the eight weeks before and after, each from its nearest day on."""
    reach = WEEK * WEEKS_AROUND
    return counts[max(0, first - reach) : first][::-1], counts[last + 1 :][:reach]


def _usual(side: Array, skip: int) -> float:
    same = side[skip::WEEK]
    return float(np.median(same if len(same) >= FEWEST_WEEKS else side))

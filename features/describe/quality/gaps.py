"""Stretches of whole UTC days without any event, where the weeks around have many."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.describe.quality.daily import WEEK, Calendar, surrounding_quantiles

# Weeks on either side from which the expected number is estimated.
WEEKS_AROUND = 8
# Expected number of independent customers from which a silence is surprising: its probability is
# exp(-20), two in a thousand million.
SURPRISING = 20.0
# Customers that each side must have; two single events say nothing about the year between them.
FEWEST_BESIDE = 20
# Same weekdays that a side must have; with fewer, all its days are used.
FEWEST_WEEKS = 3
MOST_GAPS = 5


@dataclass(frozen=True)
class Gap:
    """Days without any event.

    Parameters
    ----------
    first_day, last_day
        ISO dates, both included.
    days
        Number of days.
    events_expected
        From the same weekdays of the weeks before and after.
    log10_chance
        Decimal logarithm of the probability of such a silence.
    """

    first_day: str
    last_day: str
    days: int
    events_expected: float
    log10_chance: float

    def line(self) -> str:
        """Return the gap as a line of text."""
        when = (
            self.first_day
            if self.days == 1
            else f"{self.first_day} to {self.last_day} ({self.days} days)"
        )
        return f"{when}: about {self.events_expected:,.0f} events were to be expected"


def find_gaps(calendar: Calendar) -> tuple[Gap, ...]:
    """Return the least likely gaps, at most ``MOST_GAPS``.

    Customers of a day are taken as Poisson, with a discount where days vary more than that
    (:func:`spread_of_days`). The expectation for a day is the median of the same weekday over the
    eight weeks before the gap or after it, whichever is lower: a shop that has not opened yet, or
    that closes on Sundays, has no gap.
    """
    discount = 4.0 * spread_of_days(calendar.customers) ** 2
    gaps = []
    for first, last in _empty_runs(calendar.events):
        if min(side.sum() for side in _sides(calendar.customers, first, last)) < FEWEST_BESIDE:
            continue
        expected_customers = _expected(calendar.customers, first, last) / discount
        if expected_customers >= SURPRISING:
            expected_events = _expected(calendar.events, first, last)
            chance = -expected_customers / math.log(10)
            gaps.append(
                Gap(
                    calendar.date(first),
                    calendar.date(last),
                    last - first + 1,
                    expected_events,
                    chance,
                )
            )
    gaps.sort(key=lambda gap: gap.log10_chance)
    return tuple(gaps[:MOST_GAPS])


def spread_of_days(counts: Array) -> float:
    """Return the spread of square roots of daily counts around those of the same weekday.

    Square roots of Poisson counts have a standard deviation of one half whatever the mean, and the
    result is never below that.

    Parameters
    ----------
    counts
        Of each day, shape (n_days,).
    """
    weeks = [WEEK * k for k in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if k]
    roots = np.sqrt(counts)
    (usual,), _ = surrounding_quantiles(roots, weeks, [0.5])
    deviations = np.abs(roots - usual)[usual > 0]
    return max(0.5, 1.4826 * float(np.median(deviations))) if len(deviations) else 0.5


def _empty_runs(events: Array) -> list[tuple[int, int]]:
    """Return the first and last position of each run of days without events."""
    edges = np.diff(np.r_[0, events == 0, 0])
    return list(
        zip(
            np.flatnonzero(edges > 0).tolist(),
            (np.flatnonzero(edges < 0) - 1).tolist(),
            strict=True,
        )
    )


def _expected(counts: Array, first: int, last: int) -> float:
    """Return the expected count from ``first`` to ``last``, both included."""
    before, after = _sides(counts, first, last)
    total = 0.0
    for day in range(first, min(last + 1, first + WEEK)):
        weeks = (last - day) // WEEK + 1
        # each side with the days from its near end to the first day of the same weekday
        sides = ((before, (first - 1 - day) % WEEK), (after, (day - last - 1) % WEEK))
        total += weeks * min(_usual(side, skip) for side, skip in sides)
    return total


def _sides(counts: Array, first: int, last: int) -> tuple[Array, Array]:
    """Return the eight weeks before and the eight weeks after, each from its nearest day on."""
    reach = WEEK * WEEKS_AROUND
    return counts[max(0, first - reach) : first][::-1], counts[last + 1 :][:reach]


def _usual(side: Array, skip: int) -> float:
    """Return the median of the same weekdays of a side; of all its days if there are too few."""
    same_weekdays = side[skip::WEEK]
    return float(np.median(same_weekdays if len(same_weekdays) >= FEWEST_WEEKS else side))

"""Days with far more events than the days around: bulk imports, and the same events delivered
twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.describe.quality.daily import WEEK, Calendar, around
from stagecast.features.describe.quality.findings import OddDay, Scored, habit, some
from stagecast.features.describe.quality.gaps import WEEKS_AROUND

# A day is high so many spreads above the usual, with so many events more and so many times as many
# ...
SPREADS, MORE_EVENTS, TIMES = 6.0, 50, 3.0
# ... or with so many times the events of each customer, as where a delivery came twice.
TWICE_SPREADS, TWICE_TIMES = 5.0, 1.7
# A few customers with hundreds of lines are no import.
FEWEST_CUSTOMERS = 10
# Same weekdays around that must be there to say what is usual.
FEWEST_WEEKS = 4
# Events per customer that stray less than this (in logs) stray by chance.
LEAST_SPREAD = 0.05

_WEEKS = [WEEK * k for k in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if k]
_BESIDE = [k for k in range(-WEEK, WEEK + 1) if k]
_AROUND = [k for k in range(-WEEK * WEEKS_AROUND, WEEK * WEEKS_AROUND + 1) if k]


def high_days(calendar: Calendar) -> list[Scored]:
    """Return days with far more events, or far more events of each customer, than the days around.

    All on square roots, whose spread does not depend on the count. Spreads are the larger of the
    median and the 95th percentile of what the eight weeks on either side stray, scaled to a
    standard deviation: where one day in ten is wild, wild days are no news. The day's customer with
    most events is left out: one large order is no news either.
    """
    events = calendar.events - calendar.largest
    usual, expected = _usual(events)
    with np.errstate(invalid="ignore", divide="ignore"):
        above = (np.sqrt(events) - usual) / spread_around(np.sqrt(events) - expected)
        times = events / usual**2
    enough = (events - usual**2 >= MORE_EVENTS) & (calendar.customers >= FEWEST_CUSTOMERS)
    high = _rare(enough & (above >= SPREADS) & (times >= TIMES), times)
    events_usual, customers_usual = (
        _usual(counts)[0] ** 2 for counts in (calendar.events, calendar.customers)
    )
    return _twice(calendar) + [
        (
            float(above[k]),
            _finding("high", calendar, k, float(events_usual[k]), float(customers_usual[k])),
        )
        for k in high.tolist()
    ]


def _twice(calendar: Calendar) -> list[Scored]:
    """Return days with about twice the events of each customer, however many customers came."""
    others = calendar.customers - 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.log((calendar.events - calendar.largest) / others)
    each[~np.isfinite(each)] = np.nan
    (usual,), known = around(each, _AROUND, [0.5])
    (came,), _ = around(np.where(others > 0, others, np.nan), _AROUND, [0.5])
    with np.errstate(invalid="ignore", divide="ignore"):
        # a day with fewer customers strays more
        fewer = np.sqrt(np.fmax(1.0, came / others))
        above = (each - usual) / (spread_around(each - usual, LEAST_SPREAD) * fewer)
        times = np.exp(each - usual)
    events = calendar.customers * np.exp(usual)
    enough = (calendar.events - events >= MORE_EVENTS) & (calendar.customers >= FEWEST_CUSTOMERS)
    enough &= known >= FEWEST_WEEKS * WEEK / 2
    found = _rare(enough & (above >= TWICE_SPREADS) & (times >= TWICE_TIMES), times)
    return [
        (
            float(above[k]),
            _finding("twice", calendar, k, float(events[k]), float(calendar.customers[k])),
        )
        for k in found.tolist()
    ]


def _rare(found: NDArray[np.bool_], times: Array) -> NDArray[np.int64]:
    """Return the positions found; where they are a habit, only those far beyond it."""
    days = np.flatnonzero(found)
    if habit(len(days), len(found)):
        days = days[times[days] >= TIMES * np.median(times[days])]
    return days


def _usual(counts: Array) -> tuple[Array, Array]:
    """Return square roots of what a day would have at the most in the ordinary way, and of what it
    would have.

    What the same weekday has in the weeks around, brought to the level of the seven days on either
    side, so that a season is not odd. At the most: not below the level of the weeks, nor below the
    days beside it, for a shop may open on a Sunday. NaN where there are too few weeks.
    """
    roots = np.sqrt(counts)
    (weekday,), weeks = around(roots, _WEEKS, [0.5])
    weekday[weeks < FEWEST_WEEKS] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(weekday > 0, roots / weekday, np.nan)
    level = np.nan_to_num(around(ratio, _BESIDE, [0.5])[0][0], nan=1.0)
    beside = np.nan_to_num(around(roots, _BESIDE, [0.5])[0][0])
    return np.maximum(weekday * np.maximum(1.0, level), beside), weekday * level


def spread_around(strays: Array, least: float = 0.5) -> Array:
    """Return the robust spread of the strays within eight weeks of each day; 0.5 is Poisson's,
    of square roots.
    """
    sizes = np.abs(np.where(np.isfinite(strays), strays, np.nan))
    (middle, wild), _ = around(sizes, _AROUND, [0.5, 0.95])
    return np.asarray(np.fmax(least, np.fmax(1.4826 * middle, wild / 1.96)))


def _finding(kind: str, calendar: Calendar, k: int, usual: float, came: float) -> OddDay:
    events, customers = float(calendar.events[k]), float(calendar.customers[k])
    if kind == "twice":
        why = (
            f"{some(events)} of {customers:,.0f} customers, of whom {usual:,.0f} are "
            "usual: delivered twice?"
        )
    else:
        why = (
            f"{some(events)} of {customers:,.0f} customers, usual are {usual:,.0f} of {came:,.0f}: "
            "a bulk import, or a sale?"
        )
    figures = {
        "events": events,
        "events_usual": usual,
        "customers": customers,
        "customers_usual": float(came),
    }
    return OddDay(calendar.date(k), kind, why, figures)

"""Days with far more events than the days around: bulk imports, and double deliveries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.describe.quality.daily import WEEK, Calendar, surrounding_quantiles
from stagecast.features.describe.quality.findings import OddDay, ScoredDay, event_count, is_habit
from stagecast.features.describe.quality.gaps import WEEKS_AROUND

# A day is high if it lies this many spreads above the usual, has this many events more, and this
# many times as many ...
SPREADS, MORE_EVENTS, TIMES = 6.0, 50, 3.0
# ... or this many times the events per customer, as if a delivery came twice.
TWICE_SPREADS, TWICE_TIMES = 5.0, 1.7
# Customers of such a day; a few with hundreds of events each are no import.
FEWEST_CUSTOMERS = 10
# Same weekdays around a day from which the usual count is estimated.
FEWEST_WEEKS = 4
# Days from one to the next of a monthly habit, and how many and which share of them it needs.
MONTH_GAPS, FEWEST_MONTHLY_GAPS, MONTHLY_SHARE = (26, 36), 2, 0.7
# Smallest spread of log events per customer; less is taken for chance.
LEAST_SPREAD = 0.05

_WEEKS = [WEEK * k for k in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if k]
_BESIDE = [k for k in range(-WEEK, WEEK + 1) if k]
_AROUND = [k for k in range(-WEEK * WEEKS_AROUND, WEEK * WEEKS_AROUND + 1) if k]


def high_days(calendar: Calendar) -> list[ScoredDay]:
    """Return days with far more events, or far more events per customer, than the days around.

    Counts are compared as square roots, whose spread does not depend on the mean. The spread is the
    larger of two estimates from the median and from the 95th percentile of the deviations in the
    eight weeks on either side, so that no day is reported where one in ten is as high. The customer
    with most events on a day is left out, so that one large order is not reported either.
    """
    events = calendar.events - calendar.largest
    usual_root, expected_root = _usual(events)
    with np.errstate(invalid="ignore", divide="ignore"):
        spreads_above = (np.sqrt(events) - usual_root) / spread_around(
            np.sqrt(events) - expected_root
        )
        times = events / usual_root**2
    is_large = (events - usual_root**2 >= MORE_EVENTS) & (calendar.customers >= FEWEST_CUSTOMERS)
    high = _rare(is_large & (spreads_above >= SPREADS) & (times >= TIMES), times, events)
    events_usual, customers_usual = (
        _usual(counts)[0] ** 2 for counts in (calendar.events, calendar.customers)
    )
    return _doubled_days(calendar) + [
        (
            float(spreads_above[k]),
            _finding("high", calendar, k, float(events_usual[k]), float(customers_usual[k])),
        )
        for k in high.tolist()
    ]


def _doubled_days(calendar: Calendar) -> list[ScoredDay]:
    """Return days with about twice the events per customer, whatever the number of customers."""
    other_customers = calendar.customers - 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        log_events_per_customer = np.log((calendar.events - calendar.largest) / other_customers)
    log_events_per_customer[~np.isfinite(log_events_per_customer)] = np.nan
    (usual,), counts = surrounding_quantiles(log_events_per_customer, _AROUND, [0.5])
    (usual_others,), _ = surrounding_quantiles(
        np.where(other_customers > 0, other_customers, np.nan), _AROUND, [0.5]
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        # a day with fewer customers deviates more
        wider = np.sqrt(np.fmax(1.0, usual_others / other_customers))
        spreads_above = (log_events_per_customer - usual) / (
            spread_around(log_events_per_customer - usual, LEAST_SPREAD) * wider
        )
        times = np.exp(log_events_per_customer - usual)
    usual_events = calendar.customers * np.exp(usual)
    is_large = (calendar.events - usual_events >= MORE_EVENTS) & (
        calendar.customers >= FEWEST_CUSTOMERS
    )
    is_large &= counts >= FEWEST_WEEKS * WEEK / 2
    is_doubled = is_large & (spreads_above >= TWICE_SPREADS) & (times >= TWICE_TIMES)
    doubled = _rare(is_doubled, times, calendar.events)
    return [
        (
            float(spreads_above[k]),
            _finding("twice", calendar, k, float(usual_events[k]), float(calendar.customers[k])),
        )
        for k in doubled.tolist()
    ]


def _rare(is_odd: NDArray[np.bool_], times: Array, events: Array) -> NDArray[np.int64]:
    """Return the positions that are set; if that is a habit, only those far beyond it.

    Parameters
    ----------
    is_odd
        Of each day, shape (n_days,).
    times
        How many times the usual count each day has; infinite where none is usual.
    events
        Events of each day, which are compared where nothing is usual.
    """
    days = np.flatnonzero(is_odd)
    if is_habit(len(days), len(is_odd)) or _is_monthly(days):
        level = times if np.isfinite(times[days]).all() else events
        days = days[level[days] >= TIMES * np.median(level[days])]
    return days


def _is_monthly(days: NDArray[np.int64]) -> bool:
    """Return whether days follow each other by a month, as bills and ends of months do."""
    gaps = np.diff(days)
    if len(gaps) < FEWEST_MONTHLY_GAPS:
        return False
    shortest, longest = MONTH_GAPS
    return bool(np.mean((gaps >= shortest) & (gaps <= longest)) >= MONTHLY_SHARE)


def _usual(counts: Array) -> tuple[Array, Array]:
    """Return square roots of the highest ordinary count of each day, and of its expected count.

    The expected count is the median of the same weekday in the weeks around, scaled to the level of
    the seven days on either side, so that a season does not stand out. The highest ordinary count
    is at least the median of the weekday and of the days beside, for a shop may open on a Sunday.
    Both are NaN where there are too few weeks.
    """
    roots = np.sqrt(counts)
    (weekday,), weeks = surrounding_quantiles(roots, _WEEKS, [0.5])
    weekday[weeks < FEWEST_WEEKS] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(weekday > 0, roots / weekday, np.nan)
    level = np.nan_to_num(surrounding_quantiles(ratio, _BESIDE, [0.5])[0][0], nan=1.0)
    beside = np.nan_to_num(surrounding_quantiles(roots, _BESIDE, [0.5])[0][0])
    return np.maximum(weekday * np.maximum(1.0, level), beside), weekday * level


def spread_around(deviations: Array, least: float = 0.5) -> Array:
    """Return for each day the robust spread of the deviations within eight weeks of it.

    Parameters
    ----------
    deviations
        Of each day, shape (n_days,); values that are not finite are ignored.
    least
        Smallest spread; 0.5 is that of square roots of Poisson counts.
    """
    sizes = np.abs(np.where(np.isfinite(deviations), deviations, np.nan))
    (median, high), _ = surrounding_quantiles(sizes, _AROUND, [0.5, 0.95])
    return np.asarray(np.fmax(least, np.fmax(1.4826 * median, high / 1.96)))


def _finding(kind: str, calendar: Calendar, k: int, usual: float, usual_customers: float) -> OddDay:
    """Return the finding for the day at position ``k``."""
    events, customers = float(calendar.events[k]), float(calendar.customers[k])
    if kind == "twice":
        why = (
            f"{event_count(events)} of {customers:,.0f} customers, of whom {usual:,.0f} are "
            "usual: delivered twice?"
        )
    else:
        why = (
            f"{event_count(events)} of {customers:,.0f} customers, "
            f"usual are {usual:,.0f} of {usual_customers:,.0f}: "
            "a bulk import, or a sale?"
        )
    figures = {
        "events": events,
        "events_usual": usual,
        "customers": customers,
        "customers_usual": float(usual_customers),
    }
    return OddDay(calendar.date(k), kind, why, figures)

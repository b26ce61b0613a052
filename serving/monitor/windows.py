"""Events of a log by day and type, in the windows that are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.feature import MARKETER_EVENTS
from stagecast.features.clock import day_number, from_day, iso, microseconds
from stagecast.features.events import EventLog
from stagecast.features.shop.events import KNOWN, events_of
from stagecast.training.monitoring.faults import TypeDays
from stagecast.training.monitoring.movement import AS_BEFORE, FAMILY_ALPHA, NEAR_SEASON
from stagecast.training.monitoring.rates import FEWEST_WEEKS, WEEK, RateChange, rate_change

YEAR = 364
"""Days to the same season and weekday a year ago."""
SMALL_FACTOR = 1.25
PURCHASE = "purchase"

EventReading = Literal["new", "gone", "quiet", "small", "season", "as before", "moved"]


@dataclass(frozen=True)
class EventDays:
    """Events of a log on the whole days from its first one to the as_of.

    Parameters
    ----------
    first
        Day number of the first day.
    training
        Position of the first day after the training.
    types
        Counts of each type; events of days before the training are those known at it.
    without_amount, of_zero
        Type -> events of each day without an amount, and with an amount of 0.
    buyers
        Customers with a purchase on each day.
    """

    first: int
    training: int
    types: tuple[TypeDays, ...]
    without_amount: dict[str, Array]
    of_zero: dict[str, Array]
    buyers: Array

    def __len__(self) -> int:
        return len(self.buyers)

    def date(self, position: int) -> str:
        """Return the ISO date of a position."""
        return iso(from_day(self.first + position))


@dataclass(frozen=True)
class Windows:
    """Whole weeks before the training and before the as_of, as positions of days.

    Parameters
    ----------
    before, now
        The windows; of equal length.
    lag
        Days between them.
    """

    before: slice
    now: slice
    lag: int

    @property
    def days(self) -> int:
        """Length of a window."""
        return int(self.now.stop - self.now.start)


@dataclass(frozen=True)
class EventRow:
    """Events of a type before the training and now.

    Parameters
    ----------
    name
        The type.
    change
        Events per day in the two windows, and their ratio.
    year_ago
        The same ratio a year ago; None: the log does not reach back.
    earlier
        The ratio between the window as long before the training, and the one before it; None: as
        above.
    reading
        ``new`` (no such event before the training), ``gone``, or as of
        :class:`~stagecast.training.monitoring.movement.Movement`.
    missing_before, missing
        Share of the events without an amount, in the two windows.
    zero_before, zero
        Share of the events with an amount of 0.
    """

    name: str
    change: RateChange
    year_ago: float | None
    earlier: float | None
    reading: EventReading
    missing_before: float | None
    missing: float | None
    zero_before: float | None
    zero: float | None


def event_days(log: EventLog, trained_as_of: datetime, as_of: datetime) -> EventDays:
    """Return the events of a log by day.

    Parameters
    ----------
    log
        The log.
    trained_as_of, as_of
        In shop time. Events at or after the as_of, or recorded then, are not looked at.
    """
    training = math.ceil(day_number(trained_as_of))
    end = math.floor(day_number(as_of))
    rows = log.con.execute(
        f"""select cast(timestamp as date) - date '1970-01-01' as day, event, count(*) as events,
        count(*) filter (amount is null) as missing, count(*) filter (amount = 0) as zero,
        count(distinct customer) as customers
        from {events_of(log.con)}
        where {_known(trained_as_of, as_of, training)} and day < {end} group by all order by 1"""
    ).fetchnumpy()
    days = np.asarray(rows["day"], dtype=np.int64)
    first = int(days[0]) if len(days) else training
    length = max(end - first, training - first, 0)
    names = np.asarray(rows["event"], dtype=object)

    def daily(of: NDArray[np.bool_], column: str) -> Array:
        weights = np.asarray(rows[column], dtype=np.float64)[of]
        counts = np.bincount(days[of] - first, weights=weights, minlength=length)
        return counts.astype(np.float64)

    types = sorted(set(names))
    masks = {name: np.asarray(names == name) for name in types}
    return EventDays(
        first,
        max(training - first, 0),
        tuple(
            TypeDays(name, daily(masks[name], "events"), name not in MARKETER_EVENTS)
            for name in types
        ),
        {name: daily(masks[name], "missing") for name in types},
        {name: daily(masks[name], "zero") for name in types},
        daily(masks[PURCHASE], "customers") if PURCHASE in masks else np.zeros(length),
    )


def windows_of(days: EventDays, horizon_days: int) -> Windows | None:
    """Return the windows to compare, at most a horizon long; None where either is too short."""
    lag = len(days) - days.training
    weeks = min(max(horizon_days, WEEK * FEWEST_WEEKS), lag, days.training) // WEEK
    if weeks < FEWEST_WEEKS:
        return None
    span = WEEK * weeks
    return Windows(
        slice(days.training - span, days.training), slice(len(days) - span, len(days)), lag
    )


def event_rows(days: EventDays, windows: Windows) -> tuple[EventRow, ...]:
    """Return what became of the rate of each type, the largest changes first."""
    present = [
        type_
        for type_ in days.types
        if type_.daily[windows.before].any() or type_.daily[windows.now].any()
    ]
    alpha = FAMILY_ALPHA / max(len(present), 1)
    rows = []
    for type_ in present:
        change = rate_change(type_.daily[windows.before], type_.daily[windows.now], alpha)
        if change is None:
            continue
        year_ago = _ratio(type_.daily, windows.before, windows.now, YEAR)
        earlier = _ratio(type_.daily, windows.before, windows.before, windows.lag, 0)
        shares = [
            _share(counts[type_.name], type_.daily, window)
            for counts in (days.without_amount, days.of_zero)
            for window in (windows.before, windows.now)
        ]
        is_new = not type_.daily[: days.training].any()
        reading = _reading(change, year_ago, earlier, is_new=is_new)
        rows.append(EventRow(type_.name, change, year_ago, earlier, reading, *shares))
    rows.sort(key=lambda row: -abs(math.log(row.change.factor)))
    return tuple(rows)


def unknown_share(days: EventDays, windows: Windows) -> float:
    """Return the share of the events of the current window whose type is new since the training."""
    total = sum(float(type_.daily[windows.now].sum()) for type_ in days.types)
    new = sum(
        float(type_.daily[windows.now].sum())
        for type_ in days.types
        if not type_.daily[: days.training].any()
    )
    return new / total if total else 0.0


def purchase_amounts(
    log: EventLog, trained_as_of: datetime, as_of: datetime, days: EventDays, begin: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Return position of the day, customer and amount of purchases from a day on.

    Parameters
    ----------
    log, trained_as_of, as_of
        As of :func:`event_days`.
    days
        What it returned.
    begin
        Position of the first day.
    """
    training, end = days.first + days.training, days.first + len(days)
    rows = log.con.execute(
        f"""select cast(timestamp as date) - date '1970-01-01' as day, customer,
        cast(amount as double) as amount from {events_of(log.con)}
        where {_known(trained_as_of, as_of, training)} and event = '{PURCHASE}'
        and amount is not null and day >= {days.first + begin} and day < {end}
        order by 1, 2, 3"""
    ).fetchnumpy()
    return (
        np.asarray(rows["day"], dtype=np.int64) - days.first,
        np.asarray(rows["customer"], dtype=np.int64),
        np.asarray(rows["amount"], dtype=np.float64),
    )


def orders_around(
    log: EventLog, as_of: datetime, days: EventDays, since: int, span: int
) -> tuple[Array, Array]:
    """Return of each customer with a purchase in the ``span`` days before a day: the purchase days
    that their rate of then lets expect since, and those that came.

    Parameters
    ----------
    log, as_of, days
        As of :func:`event_days`.
    since
        Position of the day.
    span
        Days before it.
    """
    at = days.first + since
    rows = log.con.execute(
        f"""select customer, count(distinct day) filter (day < {at}) as before,
        count(distinct day) filter (day >= {at}) as later
        from (select customer, cast(timestamp as date) - date '1970-01-01' as day
              from {events_of(log.con)}
              where event = '{PURCHASE}' and {KNOWN} < {microseconds(as_of)})
        where day >= {at - span} and day < {days.first + len(days)}
        group by customer having before > 0 order by customer"""
    ).fetchnumpy()
    before = np.asarray(rows["before"], dtype=np.float64)
    return before * (len(days) - since) / span, np.asarray(rows["later"], dtype=np.float64)


def _known(trained_as_of: datetime, as_of: datetime, training_day: int) -> str:
    """Return the condition that an event was known at the end of its window.

    The days before the training are as it knew them, so that late records make both ends alike.
    """
    return (
        f"{KNOWN} < case when cast(timestamp as date) - date '1970-01-01' < {training_day} "
        f"then {microseconds(trained_as_of)} else {microseconds(as_of)} end"
    )


def _reading(
    change: RateChange, year_ago: float | None, earlier: float | None, *, is_new: bool
) -> EventReading:
    if is_new:
        return "new"
    if not change.now and change.beyond_chance:
        return "gone"
    if not change.beyond_chance:
        return "quiet"
    size = math.log(change.factor)
    if abs(size) < math.log(SMALL_FACTOR):
        return "small"
    if year_ago is not None and abs(size - math.log(year_ago)) < NEAR_SEASON * abs(size):
        return "season"
    if earlier is not None and math.log(earlier) / size >= AS_BEFORE:
        return "as before"
    return "moved"


def _ratio(
    daily: Array, first: slice, second: slice, back: int, second_back: int | None = None
) -> float | None:
    """Return the ratio of two windows that lie some days further back; None where they are not in
    the log, or the first is empty.
    """
    second_back = back if second_back is None else second_back
    if first.start - back < 0 or second.start - second_back < 0:
        return None
    before = daily[first.start - back : first.stop - back].sum()
    after = daily[second.start - second_back : second.stop - second_back].sum()
    return float((after + 0.5) / (before + 0.5)) if before else None


def _share(part: Array, whole: Array, window: slice) -> float | None:
    total = whole[window].sum()
    return float(part[window].sum() / total) if total else None

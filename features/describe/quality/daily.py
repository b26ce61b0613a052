"""Events and customers of each UTC day, and the days that lie far from all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import day_number, from_day, iso, to_utc
from stagecast.features.shop.events import events_of

WEEK = 7
# Days whose surroundings are computed at once; memory grows with this number.
BLOCK_DAYS = 4_096
# A gap of this many days separates stretches of days that may not belong together.
FAR_DAYS = 365
# A stretch of days with less than this share of the events can be called far from the rest.
FAR_SHARE = 0.01
# With this share of the events on the same day of the month or the week, on this many days or more,
# events are dated to their month or week.
PERIOD_SHARE, FEWEST_PERIODS = 0.99, 3
# Dates that systems write where there is none: day zero of Excel, Unix and DOS, turns of a century,
# largest dates.
PLACEHOLDERS = (
    date(1900, 1, 1),
    date(1901, 1, 1),
    date(1904, 1, 1),
    date(1969, 12, 31),
    date(1970, 1, 1),
    date(1980, 1, 1),
    date(1999, 12, 31),
    date(2000, 1, 1),
    date(2099, 12, 31),
    date(2100, 1, 1),
)
# Days since 1970 at which times of another unit land: seconds that are read as milliseconds.
EPOCH_DAYS = (-1, 60)
_PLACEHOLDER_DAYS = [int(day_number(to_utc(day))) for day in PLACEHOLDERS]


@dataclass(frozen=True)
class Calendar:
    """Events and customers of consecutive UTC days; a day without events has 0 of each.

    Parameters
    ----------
    first
        Day number (days since 1970, UTC) of the first day.
    events
        Events of each day, shape (n_days,).
    customers
        Customers with an event on each day, shape (n_days,).
    largest
        Events of the customer with most events on each day, shape (n_days,).
    """

    first: int
    events: Array
    customers: Array
    largest: Array

    def __len__(self) -> int:
        return len(self.events)

    def date(self, index: int) -> str:
        """Return the ISO date of a position; -1 is the last."""
        return iso(from_day(self.first + index % len(self)))

    @property
    def by_period(self) -> bool:
        """Whether events are dated to a period: nearly all on one day of the month or the week.

        The count of such a day is that of a month or a week, and its neighbours say nothing of it.
        """
        open_days = np.flatnonzero(self.events)
        if len(open_days) < FEWEST_PERIODS:
            return False
        days = (self.first + open_days).astype("datetime64[D]")
        of_month = (days - days.astype("datetime64[M]")).astype(np.int64)
        of_week = (self.first + open_days) % WEEK
        return any(
            np.bincount(position, weights=self.events[open_days]).max()
            >= PERIOD_SHARE * self.events.sum()
            for position in (of_month, of_week)
        )

    def until(self, day: int) -> Calendar:
        """Return the days up to a day number, included; at least the first day."""
        days = max(day - self.first + 1, 1)
        return Calendar(self.first, self.events[:days], self.customers[:days], self.largest[:days])

    @property
    def median_events(self) -> float:
        """Median of events per day."""
        return float(np.median(self.events))

    @property
    def empty_share(self) -> float:
        """Share of days without events, 0 to 1."""
        return float((self.events == 0).mean())


@dataclass(frozen=True)
class FarDay:
    """A day (ISO date) with events, at least :data:`FAR_DAYS` from the calendar."""

    day: str
    events: int
    placeholder: bool


def count_customer_days(con: duckdb.DuckDBPyConnection) -> int:
    """Create the temporary table ``customer_days`` and return its number of rows.

    One row per customer and day (of the shop) with any event: ``customer`` (a 64-bit hash of the
    id, so that rows are small; the chance that two of ten million ids share one is below one in a
    hundred thousand), ``day`` (days since 1970), ``events``, ``purchases``.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE customer_days AS SELECT hash(customer_id) AS customer,
        CAST("timestamp" AS DATE) - DATE '1970-01-01' AS day, CAST(count(*) AS INTEGER) AS events,
        CAST(count(*) FILTER (event = 'purchase') AS INTEGER) AS purchases
        FROM {events_of(con)} GROUP BY ALL"""
    )
    return int(con.execute("SELECT count(*) FROM customer_days").fetchall()[0][0])


def last_recorded_day(con: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the last day (of the shop) on which an event was recorded.

    An event without ``recorded_at`` was recorded when it happened. Later days hold only what was
    known in advance, such as ends of contracts that are cancelled already.
    """
    row = con.execute(
        """SELECT max(CAST(coalesce(recorded_at, "timestamp") AS DATE) - DATE '1970-01-01')
        FROM """
        + events_of(con)
    ).fetchall()[0]
    return int(row[0])


def split_far_days(con: duckdb.DuckDBPyConnection) -> tuple[Calendar, list[FarDay]]:
    """Return the calendar of ``customer_days`` without the days far from it, and those days."""
    rows = con.execute(
        "SELECT day, sum(events), count(*), max(events) FROM customer_days GROUP BY day "
        "ORDER BY day"
    ).fetchall()
    return split_days(np.array(rows, dtype=np.int64).T)


def split_days(columns: NDArray[np.int64]) -> tuple[Calendar, list[FarDay]]:
    """Return the calendar of days with events, and the days far from it.

    Parameters
    ----------
    columns
        Day number (days since 1970, ascending), events, customers, and events of the customer with
        most, of each day with events; shape (4, n_days).
    """
    day, events, *_ = columns
    is_far = _is_far(day, events)
    calendar_days = day[~is_far]
    counts = np.zeros((3, int(calendar_days[-1] - calendar_days[0]) + 1))
    counts[:, calendar_days - calendar_days[0]] = columns[1:, ~is_far]
    calendar = Calendar(int(calendar_days[0]), *counts)
    return calendar, [
        FarDay(iso(from_day(far_day)), int(count), far_day in _PLACEHOLDER_DAYS)
        for far_day, count in zip(day[is_far].tolist(), events[is_far].tolist(), strict=True)
    ]


def _is_far(day: NDArray[np.int64], events: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which days with events lie far before or after the others.

    Parameters
    ----------
    day
        Day numbers, ascending, shape (n_days,).
    events
        Events of each of them, shape (n_days,).
    """
    block = np.cumsum(np.r_[True, np.diff(day) >= FAR_DAYS]) - 1
    block_events = np.bincount(block, weights=events)
    is_placeholder = np.bincount(block, weights=np.isin(day, _PLACEHOLDER_DAYS)) == np.bincount(
        block
    )
    is_epoch = np.array(
        [
            day[block == k].min() >= EPOCH_DAYS[0] and day[block == k].max() <= EPOCH_DAYS[1]
            for k in range(block[-1] + 1)
        ]
    )
    suspicious = (block_events < FAR_SHARE * block_events.sum()) | is_placeholder | is_epoch
    suspicious[np.argmax(block_events)] = False
    # stretches between the first and the last one that is not suspicious belong to the calendar
    first, last = np.flatnonzero(~suspicious)[[0, -1]]
    return np.asarray((block < first) | (block > last))


def surrounding_quantiles(
    values: Array, steps: Sequence[int], shares: Sequence[float]
) -> tuple[Array, NDArray[np.int64]]:
    """Return for each day quantiles of the values at some days before and after it.

    Parameters
    ----------
    values
        One per day, shape (n_days,); NaN is ignored, and so is what lies beyond the ends.
    steps
        Distances in days; negative ones lie before the day.
    shares
        Of the quantiles, 0 to 1; they are interpolated linearly between ranks.

    Returns
    -------
    quantiles
        Shape (n_shares, n_days); NaN where all values are missing.
    counts
        Number of values that are not missing, shape (n_days,).

    >>> quantiles, counts = surrounding_quantiles(np.array([1.0, 2.0, 4.0]), [-1, 1], [0.5])
    >>> quantiles.tolist(), counts.tolist()
    ([[2.0, 2.5, 2.0]], [1, 2, 1])
    """
    days, reach = len(values), max(abs(step) for step in steps)
    padded = np.r_[np.full(reach, np.nan), values, np.full(reach, np.nan)]
    quantiles, counts = np.empty((len(shares), days)), np.empty(days, dtype=np.int64)
    for start in range(0, days, BLOCK_DAYS):
        end = min(start + BLOCK_DAYS, days)
        ordered = np.sort(
            [padded[reach + step + start : reach + step + end] for step in steps], axis=0
        )  # NaN last
        counts[start:end] = (~np.isnan(ordered)).sum(axis=0)
        column = np.arange(end - start)
        for row, share in zip(quantiles, shares, strict=True):
            rank = share * np.maximum(counts[start:end] - 1, 0)
            below = np.floor(rank).astype(np.int64)
            low, high = ordered[below, column], ordered[np.ceil(rank).astype(np.int64), column]
            row[start:end] = low + (rank - below) * (high - low)
    return quantiles, counts

"""Times of day, instants that many events share, and the delay until events are recorded."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.quality.histograms import quantile
from stagecast.features.shop.events import events_of

HOUR_MICROSECONDS = DAY_MICROSECONDS // 24
# Number of whole hours at which dates of one time zone lie in UTC: winter and summer time.
ZONE_HOURS = 2
# Share of the events at these hours from which the log is taken to have dates without times.
DATES_SHARE = 0.99


@dataclass(frozen=True)
class TimeOfDay:
    """Where in the (UTC) day the events lie.

    Parameters
    ----------
    midnight
        Share of events at 00:00:00 exactly, 0 to 1.
    all_midnight
        Whether all of them are.
    shifted_dates
        Whether nearly all events lie at one or two whole hours other than midnight, as dates of
        another time zone do.
    """

    midnight: float
    all_midnight: bool
    shifted_dates: bool

    def lines(self) -> list[str]:
        """Return what is unusual as lines of text; none for a log with times of day."""
        if self.all_midnight:
            return [
                (
                    "no times of day: several purchases of a customer on one day, and their "
                    "order, cannot be told apart"
                )
            ]
        if self.shifted_dates:
            return [
                "nearly all events stand at the same whole hours: dates without times, "
                "moved by a time zone? "
                "Days would then be off by one"
            ]
        return (
            [f"{self.midnight:.1%} of the events stand at midnight exactly"]
            if self.midnight >= 0.01
            else []
        )


@dataclass(frozen=True)
class Instant:
    """An instant with many of its day's events.

    Parameters
    ----------
    day
        Day number (days since 1970, UTC).
    time
        Time of day, ``HH:MM:SS``.
    events
        Number of events at the instant.
    customers
        Approximate number of their customers.
    """

    day: int
    time: str
    events: int
    customers: int


@dataclass(frozen=True)
class Delay:
    """Days from an event to its record.

    Parameters
    ----------
    given
        Share of events with ``recorded_at``, 0 to 1.
    early
        Share of these that were recorded before they happened.
    median_days, days_99
        Median and 99th percentile of the delay in days.
    """

    given: float
    early: float
    median_days: float
    days_99: float

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        early = f"; {self.early:.1%} were recorded before they happened" if self.early > 0 else ""
        return [
            f"recorded {self.median_days:.2f} days after the event (median), 99 % within "
            f"{self.days_99:.2f} days"
            f"{'' if self.given == 1 else f', where given ({self.given:.1%})'}{early}"
        ]


def describe_times(con: duckdb.DuckDBPyConnection) -> TimeOfDay:
    """Return a description of the times of day in the table ``events``."""
    rows = con.execute(
        f"""SELECT CASE WHEN into_day % {HOUR_MICROSECONDS} = 0
            THEN into_day // {HOUR_MICROSECONDS} END AS hour,
        count(*) FROM (SELECT epoch_us("timestamp" - date_trunc('day', "timestamp")) AS into_day
        FROM {events_of(con)})
        GROUP BY hour"""
    ).fetchall()
    total = sum(count for _, count in rows)
    whole_hours = sorted((count for hour, count in rows if hour is not None), reverse=True)
    midnight = sum(count for hour, count in rows if hour == 0) / total
    has_dates = sum(whole_hours[:ZONE_HOURS]) >= DATES_SHARE * total
    return TimeOfDay(midnight, midnight == 1.0, has_dates and midnight < 0.5)


def busy_instants(con: duckdb.DuckDBPyConnection) -> list[Instant]:
    """Return the busiest instants of each day, at most three, with their exact counts."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE busy AS SELECT DISTINCT unnest(top) AS instant FROM (
        SELECT approx_top_k("timestamp", 3) AS top FROM {events_of(con)}
        GROUP BY CAST("timestamp" AS DATE))"""
    )
    rows = con.execute(
        f"""SELECT CAST(instant AS DATE) - DATE '1970-01-01', strftime(instant, '%H:%M:%S'),
            count(*) AS n,
        approx_count_distinct(customer_id) FROM {events_of(con)} JOIN busy ON "timestamp" = instant
        GROUP BY instant HAVING n > 1 ORDER BY instant"""
    ).fetchall()
    return [Instant(*row) for row in rows]


def describe_delay(con: duckdb.DuckDBPyConnection) -> Delay | None:
    """Return a description of ``recorded_at`` less ``timestamp``; None if it is always null."""
    rows = con.execute(
        f"""SELECT round((epoch_us(recorded_at) - epoch_us("timestamp")) / {DAY_MICROSECONDS}.0,
            2) AS late, count(*)
        FROM events GROUP BY late ORDER BY late"""
    ).fetchall()
    histogram = [(late, count) for late, count in rows if late is not None]
    if not histogram:
        return None
    recorded = sum(count for _, count in histogram)
    early = sum(count for late, count in histogram if late < 0)
    total = sum(count for _, count in rows)
    return Delay(
        recorded / total, early / recorded, quantile(histogram, 0.5), quantile(histogram, 0.99)
    )

"""Times within a day, instants that many events share, and how late events become known."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.quality.histograms import quantile

HOUR_MICROSECONDS = DAY_MICROSECONDS // 24
# Whole hours that a date can become by a time zone: winter's and summer's.
ZONE_HOURS = 2
# Share of the events at these hours from which the log has dates rather than times.
DATES_SHARE = 0.99


@dataclass(frozen=True)
class TimeOfDay:
    """Where in the (UTC) day the events stand.

    ``midnight`` is the share at 00:00:00 exactly; ``shifted_dates`` says that nearly all stand at
    one or two whole hours that are not midnight, as dates of another time zone do.
    """

    midnight: float
    all_midnight: bool
    shifted_dates: bool

    def lines(self) -> list[str]:
        """Return what is worth telling people; nothing for a log with times of day."""
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
    """An instant with many of its day's events; ``day`` is a day number, ``customers``
    approximate.
    """

    day: int
    time: str
    events: int
    customers: int


@dataclass(frozen=True)
class Delay:
    """Days from an event to its record, over the share of events that say; ``early`` is the
    share before the event.
    """

    given: float
    early: float
    median_days: float
    days_99: float

    def lines(self) -> list[str]:
        """Return the delay as lines for people."""
        early = f"; {self.early:.1%} were recorded before they happened" if self.early > 0 else ""
        return [
            f"recorded {self.median_days:.2f} days after the event (median), 99 % within "
            f"{self.days_99:.2f} days"
            f"{'' if self.given == 1 else f', where given ({self.given:.1%})'}{early}"
        ]


def describe_times(con: duckdb.DuckDBPyConnection) -> TimeOfDay:
    """Describe the times of day of the table ``events``."""
    rows = con.execute(
        f"""SELECT CASE WHEN into_day % {HOUR_MICROSECONDS} = 0
            THEN into_day // {HOUR_MICROSECONDS} END AS hour,
        count(*) FROM (SELECT epoch_us("timestamp" - date_trunc('day', "timestamp")) AS into_day
        FROM events)
        GROUP BY hour"""
    ).fetchall()
    total = sum(count for _, count in rows)
    whole = sorted((count for hour, count in rows if hour is not None), reverse=True)
    midnight = sum(count for hour, count in rows if hour == 0) / total
    dates = sum(whole[:ZONE_HOURS]) >= DATES_SHARE * total
    return TimeOfDay(midnight, midnight == 1.0, dates and midnight < 0.5)


def busy_instants(con: duckdb.DuckDBPyConnection) -> list[Instant]:
    """Return the exact counts of each day's busiest instants, found by a sketch (at most three a
    day).
    """
    con.execute(
        """CREATE OR REPLACE TEMP TABLE busy AS SELECT DISTINCT unnest(top) AS instant FROM (
        SELECT approx_top_k("timestamp", 3) AS top FROM events
        GROUP BY CAST("timestamp" AS DATE))"""
    )
    rows = con.execute(
        """SELECT CAST(instant AS DATE) - DATE '1970-01-01', strftime(instant, '%H:%M:%S'),
            count(*) AS n,
        approx_count_distinct(customer_id) FROM events JOIN busy ON "timestamp" = instant
        GROUP BY instant HAVING n > 1 ORDER BY instant"""
    ).fetchall()
    return [Instant(*row) for row in rows]


def describe_delay(con: duckdb.DuckDBPyConnection) -> Delay | None:
    """Describe ``recorded_at`` against ``timestamp``; None where it is never given."""
    rows = con.execute(
        f"""SELECT round((epoch_us(recorded_at) - epoch_us("timestamp")) / {DAY_MICROSECONDS}.0,
            2) AS late, count(*)
        FROM events GROUP BY late ORDER BY late"""
    ).fetchall()
    known = [(late, count) for late, count in rows if late is not None]
    if not known:
        return None
    given = sum(count for _, count in known)
    early = sum(count for late, count in known if late < 0)
    total = sum(count for _, count in rows)
    return Delay(given / total, early / given, quantile(known, 0.5), quantile(known, 0.99))

"""Events and customers of each UTC day, and which days lie too far from the others to belong to
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import day_number, from_day, iso, to_utc

WEEK = 7
# Days that are looked at in one go, with the weeks around each.
BLOCK_DAYS = 4_096
# Days that stand this far from all others belong to another log, or to none.
FAR_DAYS = 365
# A stretch of days that holds less than this share of the events can be called far from the rest.
FAR_SHARE = 0.01
# What systems write where there is no date: the zeros of Excel, Unix and DOS, turns of a century,
# ends of time.
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
_PLACEHOLDER_DAYS = [int(day_number(to_utc(one))) for one in PLACEHOLDERS]


@dataclass(frozen=True)
class Calendar:
    """Events, and customers with any, of each UTC day in a row; days without events are in it with
    0.

    ``first`` is the day number (days since 1970) of the first day; ``largest`` the events of the
    day's customer with most of them.
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
    def median_events(self) -> float:
        return float(np.median(self.events))

    @property
    def empty_share(self) -> float:
        return float((self.events == 0).mean())


@dataclass(frozen=True)
class FarDay:
    """A day with events that stands at least :data:`FAR_DAYS` from the bulk of the log; ISO
    date.
    """

    day: str
    events: int
    placeholder: bool


def count_customer_days(con: duckdb.DuckDBPyConnection) -> int:
    """Create the temporary table ``customer_days`` and return its rows.

    One row per customer and UTC day with any event: ``customer`` (a 64-bit hash of the id, so that
    rows are small; two ids of ten million share one with a chance below one in a hundred thousand),
    ``day``, ``events``, ``purchases``.
    """
    con.execute(
        """CREATE OR REPLACE TEMP TABLE customer_days AS SELECT hash(customer_id) AS customer,
        CAST("timestamp" AS DATE) - DATE '1970-01-01' AS day, CAST(count(*) AS INTEGER) AS events,
        CAST(count(*) FILTER (event = 'purchase') AS INTEGER) AS purchases
        FROM events GROUP BY ALL"""
    )
    return int(con.execute("SELECT count(*) FROM customer_days").fetchall()[0][0])


def bulk_of(con: duckdb.DuckDBPyConnection) -> tuple[Calendar, list[FarDay]]:
    """Return the days of ``customer_days`` that belong together, and those far from them."""
    rows = con.execute(
        "SELECT day, sum(events), count(*), max(events) FROM customer_days GROUP BY day "
        "ORDER BY day"
    ).fetchall()
    day, events, *_ = columns = np.array(rows, dtype=np.int64).T
    far = _far(day, events)
    kept = day[~far]
    counts = np.zeros((3, int(kept[-1] - kept[0]) + 1))
    counts[:, kept - kept[0]] = columns[1:, ~far]
    calendar = Calendar(int(kept[0]), *counts)
    return calendar, [
        FarDay(iso(from_day(d)), int(n), d in _PLACEHOLDER_DAYS)
        for d, n in zip(day[far].tolist(), events[far].tolist(), strict=True)
    ]


def _far(day: NDArray[np.int64], events: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which days with events lie far before or after the others; ``day`` ascends."""
    block = np.cumsum(np.r_[True, np.diff(day) >= FAR_DAYS]) - 1
    held = np.bincount(block, weights=events)
    named = np.bincount(block, weights=np.isin(day, _PLACEHOLDER_DAYS)) == np.bincount(block)
    strange = (held < FAR_SHARE * held.sum()) | named
    strange[np.argmax(held)] = False
    # the bulk reaches from the first to the last stretch that is not strange, whatever stands
    # between
    first, last = np.flatnonzero(~strange)[[0, -1]]
    return np.asarray((block < first) | (block > last))


def around(
    values: Array, steps: Sequence[int], shares: Sequence[float]
) -> tuple[Array, NDArray[np.int64]]:
    """Return quantiles of what stands so many days before and after each day, and how many of these
    are numbers.

    Parameters
    ----------
    values
        One per day; NaN is left out, as is what lies beyond the ends.
    steps
        Days from each day.
    shares
        Of the quantiles, which are linear between ranks.

    Returns
    -------
    tuple
        Quantiles of shape (shares, days), NaN where there are no numbers; counts of shape (days,).

    >>> quantiles, known = around(np.array([1.0, 2.0, 4.0]), [-1, 1], [0.5])
    >>> quantiles.tolist(), known.tolist()
    ([[2.0, 2.5, 2.0]], [1, 2, 1])
    """
    days, reach = len(values), max(abs(step) for step in steps)
    padded = np.r_[np.full(reach, np.nan), values, np.full(reach, np.nan)]
    quantiles, known = np.empty((len(shares), days)), np.empty(days, dtype=np.int64)
    for start in range(0, days, BLOCK_DAYS):
        end = min(start + BLOCK_DAYS, days)
        ordered = np.sort(
            [padded[reach + step + start : reach + step + end] for step in steps], axis=0
        )  # NaN last
        known[start:end] = (~np.isnan(ordered)).sum(axis=0)
        column = np.arange(end - start)
        for row, share in zip(quantiles, shares, strict=True):
            rank = share * np.maximum(known[start:end] - 1, 0)
            below = np.floor(rank).astype(np.int64)
            low, high = ordered[below, column], ordered[np.ceil(rank).astype(np.int64), column]
            row[start:end] = low + (rank - below) * (high - low)
    return quantiles, known

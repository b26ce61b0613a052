"""The money of a log: sum, usual and largest purchase, and who weighs most in it.

A wrong amount changes every value that is predicted, and no row looks wrong by itself: what stands
out is named in :mod:`stagecast.features.describe.quality.odd_amounts`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from stagecast.features.clock import iso, to_utc
from stagecast.features.intake.counted import counted
from stagecast.features.shop.clock import ShopClock
from stagecast.features.shop.events import clock_of

MOST = 3
"""Customers and purchases that are listed."""
_IS_PURCHASE = "event = 'purchase' AND amount IS NOT NULL"


@dataclass(frozen=True)
class HeavyBuyer:
    """A customer with much of the money; ``spend`` is net of refunds, ``share`` is of all spend."""

    customer_id: str
    spend: float
    share: float
    purchases: int


@dataclass(frozen=True)
class HeavyPurchase:
    """A purchase with much of the money; ``share`` is of all that was bought.

    ``timestamp`` is an instant in UTC, ``day`` its day on the clock of the shop.
    """

    customer_id: str
    timestamp: str
    day: str
    amount: float
    share: float


@dataclass(frozen=True)
class Amounts:
    """The money of a log, in its currency.

    Parameters
    ----------
    purchases
        Number of purchases with an amount.
    total
        Sum of their amounts.
    median, largest
        Usual and largest amount of a purchase.
    low, high
        5th and 95th percentile of the amounts.
    refunded
        Sum of the amounts of refunds.
    customers
        Those with most spend net of refunds, at most three, the most first.
    events
        Purchases with the largest amounts, at most three, the largest first.
    """

    purchases: int
    total: float
    median: float
    largest: float
    low: float
    high: float
    refunded: float
    customers: tuple[HeavyBuyer, ...]
    events: tuple[HeavyPurchase, ...]

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        refunds = f", of which {self.refunded:,.2f} was refunded" if self.refunded else ""
        sizes = f"; {self._sizes()}" if self.purchases > 1 else ""
        lines = [
            f"{counted(self.purchases, 'purchase')} of {self.total:,.2f} in all{refunds}{sizes}"
        ]
        if self.total > 0:
            buyers = ", ".join(
                f"{buyer.customer_id} {buyer.spend:,.2f} ({buyer.share:.1%})"
                for buyer in self.customers
            )
            purchases = ", ".join(
                f"{event.amount:,.2f} of {event.customer_id} on {event.day}"
                for event in self.events
            )
            lines.append(f"customers who weigh most: {buyers}")
            if not self._are_alike:
                lines.append(f"largest purchases: {purchases}")
        return lines

    @property
    def _are_alike(self) -> bool:
        """Whether nearly all purchases have one amount, and none has more."""
        return self.low == self.median == self.largest

    def _sizes(self) -> str:
        if self._are_alike:
            return f"nearly all of {self.median:,.2f}, and none of more"
        return (
            f"the median purchase is {self.median:,.2f}, 90 % lie from {self.low:,.2f} to "
            f"{self.high:,.2f}, the largest is {self.largest:,.2f}"
        )


def describe_amounts(con: duckdb.DuckDBPyConnection) -> Amounts | None:
    """Return a description of the amounts in the table ``events``; None if no purchase has one.

    Creates the temporary table ``amount_counts``: ``amount`` and ``n``, its number of purchases.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE amount_counts AS SELECT amount, count(*) AS n
        FROM events WHERE {_IS_PURCHASE} GROUP BY amount"""
    )
    ((purchases, total, largest, refunded),) = con.execute(
        """SELECT count(amount) FILTER (event = 'purchase'), sum(amount) FILTER (event =
            'purchase'), max(amount) FILTER (event = 'purchase'),
        coalesce(sum(amount) FILTER (event = 'refund'), 0) FROM events"""
    ).fetchall()
    if not purchases:
        return None
    # the outer ranks are rounded outwards, so that at least 90 % lie between them
    last = purchases - 1
    ranks = math.floor(0.05 * last), last // 2, math.ceil(0.95 * last)
    low, median, high = _of_rank(con, ranks)
    return Amounts(
        purchases,
        float(total),
        median,
        float(largest),
        low,
        high,
        float(refunded),
        _customers(con),
        _events(con, float(total)),
    )


def _of_rank(con: duckdb.DuckDBPyConnection, ranks: Sequence[int]) -> list[float]:
    """Return the amounts of some ranks, from 0.

    They are found by running sums, which DuckDB can spill to disk, as it cannot a median.
    """
    columns = ", ".join(f"min(amount) FILTER (up_to > {rank})" for rank in ranks)
    rows = con.execute(
        f"""SELECT {columns} FROM (SELECT amount, sum(n) OVER (ORDER BY amount) AS up_to
        FROM amount_counts)"""
    ).fetchall()
    return [float(amount) for amount in rows[0]]


def _customers(con: duckdb.DuckDBPyConnection) -> tuple[HeavyBuyer, ...]:
    # a customer with more refunds than purchases in the log has no spend, not one below 0
    ((net, rows),) = con.execute(
        f"""SELECT sum(spend), max(row(spend, -customer, purchases), {MOST})
        FROM (SELECT customer, sum(CASE event WHEN 'purchase' THEN amount WHEN 'refund' THEN
            -amount END) AS spend, count(*) FILTER (event = 'purchase') AS purchases
        FROM events GROUP BY customer HAVING spend > 0)"""
    ).fetchall()
    buyers = []
    for spend, minus_customer, purchases in rows or ():
        ((customer_id,),) = con.execute(
            "SELECT customer_id FROM events WHERE customer = ? LIMIT 1", [-minus_customer]
        ).fetchall()
        share = float(spend) / float(net)
        buyers.append(HeavyBuyer(customer_id, float(spend), share, purchases))
    return tuple(buyers)


def _events(con: duckdb.DuckDBPyConnection, total: float) -> tuple[HeavyPurchase, ...]:
    rows = con.execute(
        f"""SELECT customer_id, "timestamp", amount FROM events WHERE {_IS_PURCHASE} AND amount > 0
        ORDER BY amount DESC, customer, "timestamp" LIMIT {MOST}"""
    ).fetchall()
    clock = clock_of(con)
    return tuple(
        heavy_purchase(clock, customer_id, timestamp, float(amount), total)
        for customer_id, timestamp, amount in rows
    )


def heavy_purchase(
    clock: ShopClock, customer_id: str, timestamp: datetime, amount: float, total: float
) -> HeavyPurchase:
    """Return a purchase of a log.

    Parameters
    ----------
    clock
        Clock of the shop.
    timestamp
        When it was; UTC, also without a zone.
    amount, total
        Its amount, and the sum of all.
    """
    instant = to_utc(timestamp)
    day = clock.shop(instant).date().isoformat()
    return HeavyPurchase(customer_id, iso(instant), day, amount, amount / total)

"""Purchase days as known at past dates, from the money of each day held in memory.

A training asks for the purchase days of some dozen past dates. With refunds or late records they
may differ at each, and on a log of some thousand events the query of
:func:`stagecast.features.engines.sql.purchase_day_steps` takes many times as long as its arithmetic
in NumPy. Amounts are whole millionths, so that both give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.features.catalog.feature import MILLION
from stagecast.features.record import PurchaseDays

MOST_ROWS = 200_000
"""Rows of money that are held in memory, 11 MB; more of them are read by a query for each date."""
QUERY = """
    select customer, day, cast(known as bigint) as known, cast(purchases as bigint) as purchases,
        cast(gross_spend as bigint) as gross_spend, cast(refund as bigint) as refund,
        coalesce(first_purchase, 9223372036854775807) as first_purchase
    from daily where purchases > 0 or refund > 0 order by 1, 2
"""
"""The rows that :class:`KnownDays` takes, in DuckDB's dialect."""


@dataclass(frozen=True)
class KnownDays:
    """Purchases and refunds by customer, day and day of record; arrays have shape (n_rows,).

    Rows are ordered by customer and day.

    Parameters
    ----------
    customer
        Row of :attr:`DailyTable.customers`.
    day
        Days since 1970, UTC.
    known
        Day from which the row is known, as days after the anchor (negative before it).
    purchases
        Number of purchases.
    gross_spend, refund
        Money in millionths; the sums of a customer must be below 2^53.
    first_purchase
        Time of the first purchase, microseconds since 1970, UTC; the largest integer without one.
    """

    customer: Integers
    day: Integers
    known: Integers
    purchases: Integers
    gross_spend: Integers
    refund: Integers
    first_purchase: Integers

    def before(self, back: int) -> PurchaseDays:
        """Return the purchase days known ``back`` days before the anchor, net of refunds.

        :func:`stagecast.features.engines.sql.net_day_steps` says how refunds are handled.
        """
        rows = self._of(self.known < -back)
        if not len(rows.day):
            none = rows.day
            return PurchaseDays(none, none, none.astype(np.float64), none)
        is_new_customer = np.r_[True, rows.customer[1:] != rows.customer[:-1]]
        starts = np.flatnonzero(is_new_customer | np.r_[True, rows.day[1:] != rows.day[:-1]])
        gross, refund, purchases = (
            np.add.reduceat(values, starts)
            for values in (rows.gross_spend, rows.refund, rows.purchases)
        )
        net = _net_spend(np.cumsum(is_new_customer)[starts], gross, refund)
        is_purchase_day = (purchases > 0) & ((net > 0) | (gross == 0))
        first_purchase = np.minimum.reduceat(rows.first_purchase, starts)
        of_days = starts[is_purchase_day]
        return PurchaseDays(
            rows.customer[of_days],
            rows.day[of_days],
            net[is_purchase_day] / MILLION,
            first_purchase[is_purchase_day],
        )

    def _of(self, chosen: NDArray[np.bool_]) -> KnownDays:
        return KnownDays(*(getattr(self, field.name)[chosen] for field in fields(self)))


def _net_spend(customer: Integers, gross: Integers, refund: Integers) -> Integers:
    """Return the part of each day's purchases that is not refunded, in millionths.

    Days of a customer are next to each other and in order.
    """
    through = np.cumsum(gross - refund)
    starts = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
    before = np.r_[0, through][starts]
    balance = through - np.repeat(before, np.diff(np.r_[starts, len(customer)]))
    # ranks instead of amounts: each customer's are above those of the customer before, so that one
    # pass from the last day to the first finds the lowest balance from each day on
    ordered, rank = np.unique(balance, return_inverse=True)
    key = customer * len(ordered) + rank
    lowest = ordered[np.minimum.accumulate(key[::-1])[::-1] % len(ordered)]
    net: Integers = np.maximum(np.minimum(gross, lowest - (balance - gross + refund)), 0)
    return net

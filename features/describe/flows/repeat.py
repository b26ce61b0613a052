"""Share of customers who order again after their first, second, third order, and how soon."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import position_within
from stagecast.features.clock import DAY_MICROSECONDS, YEAR_DAYS
from stagecast.features.describe.flows.columns import counts, numbers
from stagecast.features.describe.flows.past import purchases_before
from stagecast.features.describe.flows.survival import product_limit
from stagecast.features.record import PurchaseDays

Ints = NDArray[np.int64]

MOST_ORDERS = 20
FEWEST_CUSTOMERS = 30


def repeat_orders(
    days: PurchaseDays,
    as_of: int,
    min_customers: int = FEWEST_CUSTOMERS,
    max_orders: int = MOST_ORDERS,
) -> pa.Table:
    """Return the share of customers who go on from each order to the next.

    Parameters
    ----------
    days
        Purchase days; each is an order. A gap is the number of whole days between two. Those from
        the as_of on do not enter.
    as_of
        Microseconds since 1970, UTC.
    min_customers
        The table ends before the first order that fewer customers made.
    max_orders
        The table ends after this order.

    Returns
    -------
    pa.Table
        ``order`` (1, 2, 3, ...); ``customers`` who made it; ``went_on``, those who made another by
        the as_of; ``share_went_on``, their share, which is too low where many ordered only lately;
        ``share_within_365d``, the probability of another order within 365 days after this one
        (product-limit estimate; customers who have not ordered again are censored at the as_of),
        with ``share_within_365d_low`` and ``share_within_365d_high``, its 95 % confidence interval
        (null where the share is 0 or 1, for which the formula has none); ``median_days_to_next`` by
        which half of *all* who made the order have made another (null if fewer than half do).

    The share within 365 days is null if the log is too short for it: nobody made the order 365 days
    before the last day, or the longest wait is shorter while some still wait. The curve would then
    end before 365 days, at certainty if the last customer at risk went on.
    """
    days = purchases_before(days, as_of)
    # the last observed day; a gap that would end later is still open
    last_day = (as_of - 1) // DAY_MICROSECONDS
    nth = position_within(days.customer)
    has_next = np.zeros(len(nth), dtype=bool)
    has_next[:-1] = nth[1:] > 0
    next_day = np.r_[days.day[1:], 0][: len(nth)]
    gap = np.where(has_next, next_day, last_day) - days.day
    rows = []
    for order in range(1, max_orders + 1):
        order_rows = np.flatnonzero(nth == order - 1)
        if len(order_rows) < max(min_customers, 1):
            break
        went_on = has_next[order_rows]
        curve = product_limit(gap[order_rows[went_on]], gap[order_rows[~went_on]])
        within_year: tuple[float | None, float | None, float | None] = (None, None, None)
        if last_day - days.day[order_rows].min() >= YEAR_DAYS and (
            gap[order_rows].max() >= YEAR_DAYS or went_on.all()
        ):
            waiting, low, high = curve.at(YEAR_DAYS)
            within_year = (
                (1 - waiting, 1 - high, 1 - low) if 0 < waiting < 1 else (1 - waiting, None, None)
            )
        rows.append((order, len(order_rows), int(went_on.sum()), *within_year, curve.quantile(0.5)))
    orders, customer_counts, went_on_counts, shares, lows, highs, medians = (
        zip(*rows, strict=True) if rows else [()] * 7
    )
    return pa.table(
        {
            "order": counts(orders),
            "customers": counts(customer_counts),
            "went_on": counts(went_on_counts),
            "share_went_on": numbers(
                np.array(went_on_counts, dtype=np.float64)
                / np.array(customer_counts, dtype=np.float64)
            ),
            "share_within_365d": numbers(shares),
            "share_within_365d_low": numbers(lows),
            "share_within_365d_high": numbers(highs),
            "median_days_to_next": numbers(medians),
        }
    )

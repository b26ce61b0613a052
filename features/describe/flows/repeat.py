"""How many customers come back after their first, second, third order, and how soon."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import position_within
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.flows.columns import counts, numbers
from stagecast.features.describe.flows.past import bought_before
from stagecast.features.describe.flows.survival import product_limit
from stagecast.features.record import PurchaseDays

Ints = NDArray[np.int64]

YEAR_DAYS = 365
MOST_ORDERS = 20
FEWEST_CUSTOMERS = 30


def repeat(
    days: PurchaseDays, as_of: int, fewest: int = FEWEST_CUSTOMERS, most: int = MOST_ORDERS
) -> pa.Table:
    """Return which share of customers goes on from each order to the next.

    Parameters
    ----------
    days
        An order is a purchase day, a gap the whole days between two. What was bought from the as_of
        on does not enter.
    as_of
        Microseconds since 1970 UTC.
    fewest
        The table ends at the first order that fewer customers made.
    most
        The table ends after this order.

    Returns
    -------
    pa.Table
        ``order`` (1, 2, 3, ...); ``customers`` who made it; ``went_on``, those who made another by
        the as_of; ``share_went_on``, their share, which is too low where many ordered only lately;
        ``share_within_365d``, the chance of another order within 365 days after this one
        (product-limit estimate: who ordered lately is censored at the as_of), with
        ``share_within_365d_low`` and ``share_within_365d_high``, its 95 % confidence interval (null
        where the share is 0 or 1, of which the formula says nothing); ``median_days_to_next`` by
        which half of *all* who made the order have made another (null where fewer than half do).

    The share within 365 days is null where the log does not see that far: nobody made the order 365
    days before the last day, or the longest wait is shorter while some still wait. The curve would
    then end before 365 days, and where the last one at risk went on it would end at certainty.
    """
    days = bought_before(days, as_of)
    # the last day of which anything was seen; a gap that would have ended later is still open
    last = (as_of - 1) // DAY_MICROSECONDS
    nth = position_within(days.customer)
    goes_on = np.zeros(len(nth), dtype=bool)
    goes_on[:-1] = nth[1:] > 0
    following = np.r_[days.day[1:], 0][: len(nth)]
    gap = np.where(goes_on, following, last) - days.day
    rows = []
    for order in range(1, most + 1):
        made = np.flatnonzero(nth == order - 1)
        if len(made) < max(fewest, 1):
            break
        went_on = goes_on[made]
        curve = product_limit(gap[made[went_on]], gap[made[~went_on]])
        within: tuple[float | None, float | None, float | None] = (None, None, None)
        if last - days.day[made].min() >= YEAR_DAYS and (
            gap[made].max() >= YEAR_DAYS or went_on.all()
        ):
            alive, low, high = curve.at(YEAR_DAYS)
            within = (1 - alive, 1 - high, 1 - low) if 0 < alive < 1 else (1 - alive, None, None)
        rows.append((order, len(made), int(went_on.sum()), *within, curve.quantile(0.5)))
    order_, customers, went, share, low_, high_, median = (
        zip(*rows, strict=True) if rows else [()] * 7
    )
    return pa.table(
        {
            "order": counts(order_),
            "customers": counts(customers),
            "went_on": counts(went),
            "share_went_on": numbers(
                np.array(went, dtype=np.float64) / np.array(customers, dtype=np.float64)
            ),
            "share_within_365d": numbers(share),
            "share_within_365d_low": numbers(low_),
            "share_within_365d_high": numbers(high_),
            "median_days_to_next": numbers(median),
        }
    )

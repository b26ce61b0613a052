"""Share of the value that the best customers bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.describe.flows.columns import money, numbers, share
from stagecast.features.describe.flows.past import purchases_before
from stagecast.features.record import PurchaseDays

Floats = NDArray[np.float64]

POINTS = 101


@dataclass(frozen=True)
class Concentration:
    """How unevenly value is distributed over the buyers.

    Parameters
    ----------
    of
        What value is: ``spend``, or ``orders`` (purchase days) where the log has no amounts.
    buyers
        Number of customers with a purchase.
    total
        Sum of their value.
    buyers_for_80
        Smallest number of buyers with 80 % of the value; None if the total is 0.
    share_for_80
        Their share of the buyers, 0 to 1; None if the total is 0.
    value_of_best_20
        Share of the value of the best 20 % of buyers, 0 to 1, with interpolation between buyers;
        None if the total is 0.
    """

    of: str
    buyers: int
    total: float
    buyers_for_80: int | None
    share_for_80: float | None
    value_of_best_20: float | None


def pareto(
    days: PurchaseDays, as_of: int, has_amounts: bool = True
) -> tuple[pa.Table, Concentration]:
    """Return the curve of value over buyers, best first, and its two best known points.

    Parameters
    ----------
    days
        Purchase days; those from the as_of on do not enter.
    as_of
        Microseconds since 1970, UTC.
    has_amounts
        Whether the log has amounts; if not, the value of a buyer is the number of orders.

    Returns
    -------
    table
        ``share_of_customers`` 0, 0.01, ..., 1 of the buyers and ``share_of_value`` of them, linear
        between two buyers; null if the total value is 0; no rows without buyers.
    concentration
        See :class:`Concentration`.
    """
    days = purchases_before(days, as_of)
    buyers, buyer = np.unique(days.customer, return_inverse=True)
    n_buyers = len(buyers)
    of = "spend" if has_amounts else "orders"
    day_value = days.spend if has_amounts else np.ones(len(days.day))
    # in whole millionths, whose sums are exact
    value = np.rint(np.sort(money(buyer, day_value, n_buyers))[::-1] * 1e6)
    cumulative = np.r_[0.0, np.cumsum(value)]
    total = cumulative[-1]
    points = np.arange(POINTS) / (POINTS - 1)
    curve = np.interp(
        np.arange(POINTS) * n_buyers / (POINTS - 1), np.arange(n_buyers + 1), cumulative
    )
    curve = share(curve, np.full(POINTS, total))
    n_points = POINTS if n_buyers else 0
    table = pa.table(
        {
            "share_of_customers": numbers(points[:n_points]),
            "share_of_value": numbers(curve[:n_points]),
        }
    )
    if total <= 0:
        return table, Concentration(of, n_buyers, 0.0, None, None, None)
    # in whole numbers: a product with 0.8 may be rounded past the buyer who reaches it exactly
    for_80 = int(np.flatnonzero(5 * cumulative >= 4 * total)[0])
    return table, Concentration(
        of, n_buyers, float(total / 1e6), for_80, for_80 / n_buyers, float(curve[20])
    )

"""How much of the value the best customers bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.describe.flows.columns import money, numbers, share
from stagecast.features.describe.flows.past import bought_before
from stagecast.features.record import PurchaseDays

Floats = NDArray[np.float64]

POINTS = 101


@dataclass(frozen=True)
class Concentration:
    """How unevenly value is spread over the buyers.

    Parameters
    ----------
    of
        What value is: ``spend``, or ``orders`` (purchase days) where the log has no amounts.
    buyers
        Customers with a purchase.
    total
        Their value together.
    buyers_for_80
        The fewest buyers who bring 80 % of it; None where there is no value at all.
    share_for_80
        Their share of the buyers, 0 to 1.
    value_of_best_20
        Share of the value that the best 20 % of buyers bring, 0 to 1; a fraction of a buyer brings
        that fraction.
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
    """Return the curve of value over buyers, the best first, and its two best known points.

    Parameters
    ----------
    days
        What was bought from the as_of on does not enter.
    as_of
        Microseconds since 1970 UTC.
    has_amounts
        Whether the log says what was paid; without, an order stands for its value.

    Returns
    -------
    table
        ``share_of_customers`` 0, 0.01, ..., 1 of the buyers and ``share_of_value`` that they bring;
        null where all they bought was free; no rows where nobody bought. Between two buyers the
        curve is straight.
    concentration
        See :class:`Concentration`.
    """
    days = bought_before(days, as_of)
    bought, buyer = np.unique(days.customer, return_inverse=True)
    n = len(bought)
    of = "spend" if has_amounts else "orders"
    worth = days.spend if has_amounts else np.ones(len(days.day))
    # whole millionths, in which sums are exact
    value = np.rint(np.sort(money(buyer, worth, n))[::-1] * 1e6)
    brought = np.r_[0.0, np.cumsum(value)]
    total = brought[-1]
    points = np.arange(POINTS) / (POINTS - 1)
    curve = np.interp(np.arange(POINTS) * n / (POINTS - 1), np.arange(n + 1), brought)
    curve = share(curve, np.full(POINTS, total))
    kept = POINTS if n else 0
    table = pa.table(
        {"share_of_customers": numbers(points[:kept]), "share_of_value": numbers(curve[:kept])}
    )
    if total <= 0:
        return table, Concentration(of, n, 0.0, None, None, None)
    # in whole numbers, as a product with 0.8 might round past the buyer who meets it
    for_80 = int(np.flatnonzero(5 * brought >= 4 * total)[0])
    return table, Concentration(of, n, float(total / 1e6), for_80, for_80 / n, float(curve[20]))

"""Orders and spend of customers in the horizon of their first purchase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.panel import Frame


def after_conversion(
    prospects: Sequence[Frame], first_orders: Array, first_spend: Array
) -> tuple[float, float]:
    """Return the mean orders and spend within the horizon of the prospects who bought in it.

    Parameters
    ----------
    prospects
        Frames of customers who had not bought yet.
    first_orders, first_spend
        Orders and spend of new customers in their first horizon, used where no prospect has
        converted yet; may be empty.
    """
    empty = np.zeros(0)
    orders = np.concatenate([empty, *(frame.orders[~frame.inactive] for frame in prospects)])
    spend = np.concatenate([empty, *(frame.spend[~frame.inactive] for frame in prospects)])
    if len(orders):
        return float(orders.mean()), float(spend.mean())
    return (
        float(first_orders.mean()) if len(first_orders) else 1.0,
        float(first_spend.mean()) if len(first_spend) else 0.0,
    )

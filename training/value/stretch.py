"""From the horizon to the value horizon, and on beyond it: how many times the orders of the one
come in the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase

# Beyond this many days from the as_of no value is reckoned.
FURTHEST_DAYS = 3650
# Orders below these are none.
_NEVER = 1e-9


def stretched(
    config: TrainConfig, base: CustomerBase | None, columns: Mapping[str, Array]
) -> tuple[Array, Array]:
    """Return discounted orders in the value horizon over orders in the horizon, and those after it
    over the former.

    Both by the customer base; without one the second is null.
    """
    if base is None:
        flat = np.full(len(columns["orders"]), _flat_stretch(config))
        return flat, np.full(len(flat), np.nan)
    ahead = np.maximum(
        base.discounted_orders(config.value_horizon_days, columns, config.annual_discount), _NEVER
    )
    whole = ahead
    if config.value_horizon_days < FURTHEST_DAYS:
        whole = np.maximum(
            base.discounted_orders(FURTHEST_DAYS, columns, config.annual_discount), ahead
        )
    return ahead / np.maximum(columns["btyd_orders"], _NEVER), whole / ahead - 1.0


def _flat_stretch(config: TrainConfig) -> float:
    """Return the same for orders that come at a constant rate."""
    years = config.value_horizon_days / 365.0
    rate = np.log1p(config.annual_discount)
    discounted = years if rate == 0 else float(-np.expm1(-rate * years) / rate)
    return discounted * 365.0 / config.horizon_days


def stretched_of_new(config: TrainConfig, base: CustomerBase | None) -> tuple[float, float]:
    """Return the same for customers whose first order lies in the horizon."""
    if base is None:
        return 1.0, np.nan
    model = base.models[0]
    ahead, near = model.expected_orders_new(
        np.array([config.value_horizon_days, config.horizon_days], dtype=np.float64)
    )
    middle = (1.0 + config.annual_discount) ** (-0.5 * config.value_horizon_days / 365.0)
    within, whole = (
        float(model.expected_orders_discounted(span, 0.0, 0.0, 0.0, config.annual_discount))
        for span in (config.value_horizon_days, max(config.value_horizon_days, FURTHEST_DAYS))
    )
    return float((1.0 + ahead * middle) / (1.0 + near)), (whole - within) / (1.0 + within)

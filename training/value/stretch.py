"""Ratios of the orders in the value horizon, and after it, to those in the horizon."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase

# Value later than this many days after the as_of is not counted.
MAX_VALUE_DAYS = 3650
# Least number of expected orders that is divided by.
_MIN_ORDERS = 1e-9


def horizon_ratios(
    config: TrainConfig, base: CustomerBase | None, columns: Mapping[str, Array]
) -> tuple[Array, Array]:
    """Return two ratios of expected orders by the customer base.

    Parameters
    ----------
    config
        Horizons and discount.
    base
        Customer-base models; None where they cannot be fitted.
    columns
        Columns of buyers, shape (n_buyers,) each.

    Returns
    -------
    value_ratio
        Discounted orders in the value horizon over orders in the horizon, shape (n_buyers,).
        Without a customer base, that of a constant rate of orders.
    residual_ratio
        Discounted orders after the value horizon over those in it; NaN without a customer base.
    """
    if base is None:
        value_ratio = np.full(len(columns["orders"]), _constant_rate_ratio(config))
        return value_ratio, np.full(len(value_ratio), np.nan)
    in_value_horizon = np.maximum(
        base.discounted_orders(config.value_horizon_days, columns, config.annual_discount),
        _MIN_ORDERS,
    )
    total = in_value_horizon
    if config.value_horizon_days < MAX_VALUE_DAYS:
        total = np.maximum(
            base.discounted_orders(MAX_VALUE_DAYS, columns, config.annual_discount),
            in_value_horizon,
        )
    value_ratio = in_value_horizon / np.maximum(columns["btyd_orders"], _MIN_ORDERS)
    return value_ratio, total / in_value_horizon - 1.0


def _constant_rate_ratio(config: TrainConfig) -> float:
    """Return the value ratio of orders at a constant rate."""
    years = config.value_horizon_days / 365.0
    rate = np.log1p(config.annual_discount)
    discounted = years if rate == 0 else float(-np.expm1(-rate * years) / rate)
    return discounted * 365.0 / config.horizon_days


def horizon_ratios_new(config: TrainConfig, base: CustomerBase | None) -> tuple[float, float]:
    """Return the ratios of :func:`horizon_ratios` for a first order within the horizon."""
    if base is None:
        return 1.0, np.nan
    model = base.models[0]
    in_value_horizon, in_horizon = model.expected_orders_new(
        np.array([config.value_horizon_days, config.horizon_days], dtype=np.float64)
    )
    mean_discount = (1.0 + config.annual_discount) ** (-0.5 * config.value_horizon_days / 365.0)
    discounted, total = (
        float(model.expected_orders_discounted(days, 0.0, 0.0, 0.0, config.annual_discount))
        for days in (config.value_horizon_days, max(config.value_horizon_days, MAX_VALUE_DAYS))
    )
    value_ratio = float((1.0 + in_value_horizon * mean_discount) / (1.0 + in_horizon))
    return value_ratio, (total - discounted) / (1.0 + discounted)

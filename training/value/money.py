"""Orders and money of rows: within the horizon, over the value horizon, and what leaving costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.contracts import Contracts
from stagecast.training.config import TrainConfig
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.learners.customer_base import CustomerBase, log_odds
from stagecast.training.value.kept import (
    ValueParts,
    parts_of_buyers,
    parts_of_contracts,
    still_customer,
)
from stagecast.training.value.model import MAX_VALUE_DAYS, ValueModel, discounted_days

YEARS = (365, 730, 1095, MAX_VALUE_DAYS)
"""Ends of the spans of ``clv_by_year``, in days after the as_of."""
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Money:
    """Orders and money of rows, shape (rows,) each; see :class:`training.models.Predictions`.

    ``clv_by_year`` has the shape (rows, 4).
    """

    expected_orders: Array
    orders_if_any: Array
    expected_spend: Array
    clv: Array
    value_p_none: Array
    value_orders_if_any: Array
    clv_by_year: Array
    clv_residual: Array
    value_at_risk: Array
    value_gone: Array

    @classmethod
    def nothing(cls, rows: int) -> Money:
        """Return null for so many rows."""
        by_year = np.full((rows, len(YEARS)), np.nan)
        return cls(
            **{
                f.name: by_year if f.name == "clv_by_year" else np.full(rows, np.nan)
                for f in fields(cls)
            }
        )

    def put(self, rows: NDArray[np.int64], values: Money) -> None:
        """Set these rows."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(values, f.name)


def money_of_buyers(
    model: ValueModel,
    base: CustomerBase | None,
    config: TrainConfig,
    columns: Mapping[str, Array],
    p_inactive: Array,
    season_log_odds: float,
    threads: int = 0,
    *,
    p_cancel: Array | None = None,
    contracts: Contracts | None = None,
) -> Money:
    """Return the orders and money of buyers.

    Parameters
    ----------
    model
        The value model.
    base
        The customer base; None where it cannot be fitted.
    config
        Horizons, discount and margin.
    columns
        Columns of the buyers, shape (rows,) each.
    p_inactive
        P(no purchase in the horizon), shape (rows,).
    season_log_odds
        Part of the log odds of ``p_inactive`` that is due to the season of the horizon.
    threads
        Threads of LightGBM; 0 uses all cores.
    p_cancel, contracts
        P(cancellation within the horizon), shape (rows,), and the contracts of the rows; None where
        churn is not cancellation.
    """
    rows, horizon, days = len(p_inactive), config.horizon_days, config.value_horizon_days
    if_any = model.orders_if_any(columns, threads)
    expected_orders = (1.0 - p_inactive) * if_any
    per_order = model.spend_per_order(columns, base, threads)
    money = Money.nothing(rows)
    money.expected_orders[:], money.orders_if_any[:] = expected_orders, if_any
    if per_order is None:
        return money
    near = _discounted_horizon(config) * expected_orders
    earned = per_order * config.margin
    rest = model.rest_orders(columns, base, config, expected_orders, threads)
    orders = near + rest
    p_none = p_inactive * np.exp(-rest / np.maximum(if_any, 1.0))
    parts = ValueParts(orders * earned, np.full(rows, np.nan), np.full(rows, np.nan))
    if base is not None:
        in_value_horizon = base.discounted_orders(days, columns, config.annual_discount)
        base_alive = np.maximum(columns["btyd_alive"], _SMALLEST)
        kept_orders = base.kept_orders(days, columns, config.annual_discount)
        without_season = 1.0 / (1.0 + np.exp(season_log_odds - log_odds(p_inactive)))
        alive = still_customer(without_season, columns["btyd_none"], base_alive)
        # the silent are gone, or buy in the rest of the value horizon at their own rate
        gone = np.minimum(1.0 - alive, p_inactive)
        later = kept_orders * (1.0 - _discounted_horizon(config) * horizon / days)
        p_none = gone + (p_inactive - gone) * np.exp(-np.maximum(later, 0.0))
        parts = parts_of_buyers(
            parts.clv,
            alive,
            in_value_horizon / base_alive,
            kept_orders,
            base.regained_orders(days, columns, config.annual_discount),
            earned,
        )
        if contracts is not None and p_cancel is not None and contracts.open.any():
            # with an open contract a customer is one, and stays one until it is cancelled
            going_on = parts_of_contracts(
                near * earned,
                np.maximum(kept_orders * earned, near * earned),
                np.nan_to_num(p_cancel),
                horizon,
                days,
                config.annual_discount,
            )
            parts = ValueParts(
                *(
                    np.where(contracts.open, of_contract, of_buyer)
                    for of_contract, of_buyer in zip(
                        (going_on.clv, going_on.at_risk, going_on.gone),
                        (parts.clv, parts.at_risk, parts.gone),
                        strict=True,
                    )
                )
            )
    # whoever orders does so at least once, so P(any) is no more than the expected orders
    p_none = np.clip(np.maximum(p_none, 1.0 - orders * _one_order(config)), 0.0, p_inactive)
    money.expected_spend[:] = expected_orders * per_order
    money.clv[:], money.value_p_none[:] = parts.clv, p_none
    money.value_orders_if_any[:] = np.maximum(orders / np.maximum(1.0 - p_none, _SMALLEST), 1.0)
    money.value_at_risk[:], money.value_gone[:] = parts.at_risk, parts.gone
    if base is not None and not model.is_far(days):
        by_year, residual = _later_years(base, columns, config, parts.clv)
        money.clv_by_year[:], money.clv_residual[:] = by_year, residual
    return money


def _discounted_horizon(config: TrainConfig) -> float:
    """Return the mean discount factor of an order within the horizon, or the value horizon."""
    days = np.array([min(config.horizon_days, config.value_horizon_days)], dtype=np.float64)
    return float(discounted_days(days, config.annual_discount)[0]) / config.horizon_days


def _one_order(config: TrainConfig) -> float:
    """Return orders per discounted order at the end of the value horizon."""
    return float((1.0 + config.annual_discount) ** (config.value_horizon_days / 365.0))


def _later_years(
    base: CustomerBase, columns: Mapping[str, Array], config: TrainConfig, clv: Array
) -> tuple[Array, Array]:
    """Return the clv by year, shape (rows, 4), and after the value horizon, shape (rows,).

    The customer base says how the value over ten years divides, the clv how much there is.
    """

    def until(days: int) -> Array:
        return base.discounted_orders(days, columns, config.annual_discount)

    in_value_horizon = np.maximum(until(config.value_horizon_days), _SMALLEST)
    totals = np.maximum.accumulate(np.column_stack([until(days) for days in YEARS]), axis=1)
    scale = (clv / in_value_horizon)[:, None]
    by_year = np.diff(totals, axis=1, prepend=0.0) * scale
    return by_year, np.maximum(totals[:, -1] * scale[:, 0] - clv, 0.0)


def money_of_prospects(
    model: ValueModel,
    base: CustomerBase | None,
    config: TrainConfig,
    conversion: LeadConversion,
    p_convert: Array,
) -> Money:
    """Return the orders and money of customers who have not bought yet, who have no risk.

    Parameters
    ----------
    model, base, config
        As in :func:`money_of_buyers`.
    conversion
        Orders and spend of prospects in the horizon of their first purchase.
    p_convert
        P(first purchase within the horizon), shape (rows,).
    """
    money = Money.nothing(len(p_convert))
    money.orders_if_any[:] = max(1.0, conversion.orders)
    money.expected_orders[:] = p_convert * money.orders_if_any
    if model.mean_spend is None:
        return money
    money.expected_spend[:] = p_convert * max(0.0, conversion.spend)
    ratio = _discounted_horizon(config)
    if base is not None:
        rest, after = _rest_of_new(base, config)
        ratio += rest * model.rest.level
        if not model.is_far(config.value_horizon_days):
            money.clv_residual[:] = money.expected_spend * config.margin * after
    money.clv[:] = money.expected_spend * ratio * config.margin
    money.value_p_none[:], money.value_orders_if_any[:] = 1.0 - p_convert, money.orders_if_any
    return money


def _rest_of_new(base: CustomerBase, config: TrainConfig) -> tuple[float, float]:
    """Return the discounted orders of a new customer for each order within the horizon.

    Those in the rest of the value horizon, and those after it up to ten years.
    """
    model, rate = base.models[0], config.annual_discount
    near, middle, far = (
        1.0 + float(model.expected_orders_discounted(days, 0.0, 0.0, 0.0, rate))
        for days in (
            min(config.horizon_days, config.value_horizon_days),
            config.value_horizon_days,
            max(config.value_horizon_days, MAX_VALUE_DAYS),
        )
    )
    return (middle - near) / near, (far - middle) / near

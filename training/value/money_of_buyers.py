"""Orders and money of buyers: within the horizon, in the value horizon, and what leaving costs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.billing.ahead import ContractsAhead
from stagecast.training.billing.price_list import LAST_PRICE
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import CustomerBase, log_odds
from stagecast.training.learners.leaving import LeavingOutlook, orders_if_alive
from stagecast.training.learners.plans import PlannedBase
from stagecast.training.value.ahead import OrdersAhead
from stagecast.training.value.contract_money import of_former, with_payments
from stagecast.training.value.kept import (
    parts_of_buyers,
    parts_of_contracts,
    range_of_contracts,
    still_customer,
    still_until_due,
)
from stagecast.training.value.model import ValueModel, discounted_days
from stagecast.training.value.money import YEARS, Money

_SMALLEST: Final = 1e-9


def money_of_buyers(
    model: ValueModel,
    base: CustomerBase | None,
    config: TrainConfig,
    columns: Mapping[str, Array],
    p_inactive: Array,
    season_log_odds: float,
    threads: int = 0,
    *,
    contracts: ContractsAhead | None = None,
    by_year: bool = True,
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
    contracts
        The contracts of the rows; None where churn is not cancellation.
    by_year
        Whether to work out ``clv_by_year`` and ``clv_residual``, which take most of the time.
    """
    rows, horizon, days = len(p_inactive), config.horizon_days, config.value_horizon_days
    # orders are days on which one buys, of which the horizon has no more than it has days
    if_any = np.minimum(model.orders_if_any(columns, p_inactive, threads), float(horizon))
    expected_orders = (1.0 - p_inactive) * if_any
    per_order = model.spend_per_order(columns, base, threads)
    if contracts is not None and per_order is not None:
        per_order = contracts.prices(per_order)
    of_value: Array | float = 1.0
    if contracts is None and isinstance(base, PlannedBase) and per_order is not None:
        per_order, of_days = base.prices(columns, per_order, (horizon, days))
        of_value = of_days / np.maximum(per_order, _SMALLEST)
    listed = None if contracts is not None else model.price_list
    if listed is not None and per_order is not None:
        prices_within = partial(listed.per_order, columns[LAST_PRICE], per_order)
        per_order = prices_within(horizon)
    money = Money.nothing(rows)
    money.expected_orders[:], money.orders_if_any[:] = expected_orders, if_any
    if per_order is None:
        if base is not None:
            ended = model.ended(base, columns)
            money.p_alive[:] = still_until_due(model.p_alive(columns), ended)
        if contracts is None:
            return money
        return with_payments(money, contracts, 1.0 - p_inactive, None, config.margin)
    ahead = OrdersAhead(model, base, config, columns, expected_orders, threads)
    tells_years = by_year and base is not None and not model.is_far(days)
    ahead.look_until((horizon, min(horizon, days), days, *(YEARS if tells_years else ())))
    near, orders = ahead.until(min(horizon, days)), ahead.until(days)
    of_horizon = per_order * config.margin
    earned = of_horizon * of_value
    clv = orders * earned

    def priced_until(end: int) -> Array:
        if listed is None:
            return ahead.priced_until(end)
        return ahead.until(end) * (prices_within(end) / np.maximum(per_order, _SMALLEST))

    if model.has_later_prices:
        clv = priced_until(days) * of_horizon * of_value
        # the parts of the value are at the prices of a customer's mean order in the value horizon
        earned = clv / np.maximum(orders, _SMALLEST)
    p_none = p_inactive * np.exp(-np.maximum(orders - near, 0.0) / np.maximum(if_any, 1.0))
    if base is not None:
        outlook = _outlook_of_leaving(model, base, config, columns, ahead)
        ended = model.ended(base, columns)
        # what ``ValueModel.p_alive`` would work out once more
        p_alive = outlook.alive if model.knows_season else model.p_alive(columns)
        money.p_alive[:] = still_until_due(p_alive, ended)
        span = float(discounted_days(np.array([float(days)]), config.annual_discount)[0])
        regained = model.reactivation.orders(outlook.regained_orders, span)
        if isinstance(base, PlannedBase):
            # what was lost is what was paid, and not what may have followed a trial
            paid = base.last_prices(columns) * config.margin
            share = np.minimum(paid / np.maximum(earned, _SMALLEST), 1.0)
            regained = regained * np.where(np.isnan(paid), 1.0, share)
        # models in the time of a season expect its level themselves
        of_season = 0.0 if model.knows_season else season_log_odds
        odds = log_odds(p_inactive) - of_season
        by_season = 0.0 if model.leaving is None else model.leaving.by_season
        if by_season:  # as far as it does better than the pool, it says who is a customer
            odds = odds + by_season * (outlook.none - odds)
        alive = still_customer(expit(odds), outlook.none, outlook.alive)
        if by_season:
            alive = np.maximum(alive, 1.0 - p_inactive)
        # the silent are gone, or buy in the rest of the value horizon at their own rate
        gone = np.minimum(1.0 - alive, p_inactive)
        kept_orders = outlook.kept_orders
        if_alive = outlook.orders_if_alive * ahead.share_of_all(days)
        later = kept_orders * max(0.0, 1.0 - horizon / days)
        p_none = gone + (p_inactive - gone) * np.exp(-later)
        on_dates = isinstance(ended, np.ndarray)
        parts = parts_of_buyers(
            clv, alive, if_alive, kept_orders, regained, earned, ended, on_dates
        )
        if contracts is not None:
            parts = of_former(parts, contracts, span, per_order, config.margin)
        if contracts is not None and len(contracts.rows):
            # with an open contract a customer is one, and stays one until it is cancelled
            going_on = parts_of_contracts(
                near * earned,
                np.maximum(kept_orders, near) * earned,
                np.nan_to_num(contracts.p_cancel),
                horizon,
                days,
                config.annual_discount,
                contracts.spans.unannounced,
            )
            is_open = contracts.contracts.open
            parts = going_on.where(is_open, parts)
            ends = range_of_contracts(going_on.clv, going_on.clv + going_on.at_risk, earned)
            for end, values in zip((money.known_low, money.known_high), ends, strict=True):
                end[is_open] = values[is_open]
        money.value_at_risk[:], money.value_gone[:] = parts.at_risk, parts.gone
        if tells_years:
            scale = (parts.clv / np.maximum(clv, _SMALLEST))[:, None]
            priced = np.column_stack([priced_until(end) for end in YEARS])
            until = priced * of_horizon[:, None] * scale
            money.clv_by_year[:] = np.diff(until, axis=1, prepend=0.0)
            money.clv_residual[:] = np.maximum(until[:, -1] - parts.clv, 0.0)
        clv = parts.clv
    # whoever orders does so at least once, so P(any) is no more than the expected orders
    p_any = orders * (1.0 + config.annual_discount) ** (days / 365.0)
    p_none = np.clip(np.maximum(p_none, 1.0 - p_any), 0.0, p_inactive)
    money.expected_spend[:] = expected_orders * per_order
    money.clv[:], money.value_p_none[:] = clv, p_none
    money.value_orders_if_any[:] = np.maximum(orders / np.maximum(1.0 - p_none, _SMALLEST), 1.0)
    if contracts is not None:
        return with_payments(money, contracts, 1.0 - p_inactive, per_order, config.margin)
    if model.payments is not None and base is not None:
        ends_of = partial(model.payments.ends, base, columns)
        value = ends_of(days, config.annual_discount, p_none, clv, earned, config.margin)
        money.known_low[:], money.known_high[:] = value.low, value.high
        spend = ends_of(horizon, 0.0, p_inactive, money.expected_spend, per_order)
        money.known_spend_low[:], money.known_spend_high[:] = spend.low, spend.high
    return money


def _outlook_of_leaving(
    model: ValueModel,
    base: CustomerBase,
    config: TrainConfig,
    columns: Mapping[str, Array],
    ahead: OrdersAhead,
) -> LeavingOutlook:
    """Return what leaving does to the orders, by models of its own or by the customer base."""
    days, rate, leaving = config.value_horizon_days, config.annual_discount, model.leaving
    if leaving is not None and leaving.has_models:
        return leaving.outlook(config.horizon_days, days, columns, rate)
    base_alive = columns["btyd_alive"]
    kept_orders = base.kept_orders(days, columns, rate, ahead.alive)
    return LeavingOutlook(
        base_alive,
        columns["btyd_none"],
        orders_if_alive(ahead.by_base(days), base_alive, kept_orders),
        kept_orders,
        base.regained_orders(days, columns, rate, ahead.alive)
        if leaving is None
        else leaving.regained_orders(base, days, columns, rate, ahead.alive),
    )

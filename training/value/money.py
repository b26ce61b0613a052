"""Orders and money of rows: within the horizon, over the value horizon, and what leaving costs."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.learners.customer_base import CustomerBase
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
    known_low: Array
    known_high: Array
    known_spend_low: Array
    known_spend_high: Array
    p_alive: Array

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

    def of(self, rows: NDArray[np.int64]) -> Money:
        """Return these rows."""
        return Money(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def put(self, rows: NDArray[np.int64], values: Money) -> None:
        """Set these rows."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(values, f.name)


@dataclass(frozen=True)
class AfterFirst:
    """Orders and money of a prospect who buys within the horizon, the same for all of them.

    Parameters
    ----------
    orders
        Purchase days within the horizon.
    spend
        Spend within the horizon; None in a log without amounts, where the rest is null.
    ratio
        Discounted spend within the value horizon over that within the horizon.
    beyond
        The same of the spend after the value horizon, up to ten years; NaN: not known.
    margin
        Share of the spend that is earned.
    """

    orders: float
    spend: float | None = None
    ratio: float = np.nan
    beyond: float = np.nan
    margin: float = np.nan

    @classmethod
    def of(
        cls,
        model: ValueModel,
        base: CustomerBase | None,
        config: TrainConfig,
        conversion: LeadConversion,
    ) -> AfterFirst:
        """Return what fitted models say; the parameters are those of :func:`money_of_prospects`."""
        orders = max(1.0, conversion.orders)
        if model.mean_spend is None:
            return cls(orders)
        within = float(min(config.horizon_days, config.value_horizon_days))
        ratio = float(discounted_days(np.array([within]), config.annual_discount)[0])
        ratio /= config.horizon_days
        beyond = np.nan
        if base is not None:
            rest, after = _rest_of_new(base, config)
            ratio += rest * model.rest.level
            if not model.is_far(config.value_horizon_days):
                beyond = after
        return cls(orders, max(0.0, conversion.spend), ratio, beyond, config.margin)


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
        As in :func:`stagecast.training.value.money_of_buyers.money_of_buyers`.
    conversion
        Orders and spend of prospects in the horizon of their first purchase.
    p_convert
        P(first purchase within the horizon), shape (rows,).
    """
    after = AfterFirst.of(model, base, config, conversion)
    money = Money.nothing(len(p_convert))
    money.orders_if_any[:] = after.orders
    money.expected_orders[:] = p_convert * after.orders
    if after.spend is None:
        return money
    money.expected_spend[:] = p_convert * after.spend
    money.clv_residual[:] = money.expected_spend * after.margin * after.beyond
    money.clv[:] = money.expected_spend * after.ratio * after.margin
    money.value_p_none[:], money.value_orders_if_any[:] = 1.0 - p_convert, after.orders
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

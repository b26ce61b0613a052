"""What the models say of one customer, as plain numbers; NaN is null."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stagecast.features.arrays import Array
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.money import YEARS

_NULL = math.nan


class MoneyOfOne(NamedTuple):
    """Orders and money of one customer, as :class:`stagecast.training.value.money.Money`."""

    expected_orders: float = _NULL
    orders_if_any: float = _NULL
    expected_spend: float = _NULL
    clv: float = _NULL
    value_p_none: float = _NULL
    value_orders_if_any: float = _NULL
    clv_by_year: tuple[float, ...] = (_NULL,) * len(YEARS)
    clv_residual: float = _NULL
    value_at_risk: float = _NULL
    value_gone: float = _NULL
    p_alive: float = _NULL
    known_low: float = _NULL
    known_high: float = _NULL
    known_spend_low: float = _NULL
    known_spend_high: float = _NULL


@dataclass(frozen=True)
class Outlook:
    """What one model of the customer base says of one history.

    Parameters
    ----------
    odds
        Log odds of having left.
    p_none, alive
        P(no purchase in the horizon), P(still a customer).
    until, undiscounted
        Orders within each span, discounted and not, shape (spans,).
    """

    odds: float
    p_none: float
    alive: float
    until: Array
    undiscounted: Array

    @property
    def orders(self) -> float:
        """Orders within the horizon, which is the first span."""
        return float(self.undiscounted[0])


@dataclass(frozen=True)
class BaseOutlook:
    """What the customer base says of one buyer.

    Parameters
    ----------
    base
        The customer base that was asked: where there are groups of customers, that of the buyer's.
    alive
        P(still a customer) by each of its models.
    first
        What the first model says; None where it is asked with arrays.
    history
        Frequency, day of the last order, and age.
    columns
        Columns that the other models read, by name.
    until
        Discounted orders within each span, the weighted mean of the models, shape (spans,).
    if_silent
        :meth:`stagecast.training.learners.customer_base.CustomerBase.rest_if_silent`; None where
        gaps are random.
    """

    base: CustomerBase
    alive: tuple[float, ...]
    first: Outlook | None
    history: tuple[float, float, float]
    columns: dict[str, float]
    until: Array
    if_silent: float | None = None


class PredictionsOfOne(NamedTuple):
    """Predictions for one customer, as :class:`stagecast.training.models.Predictions`.

    Parameters
    ----------
    p_silent, p_purchase
        P(no purchase in the horizon), and P(a purchase in it).
    p_alive, p_stage, days_to_order, money
        See there.
    base
        What the customer base says; None of a prospect.
    columns
        Features of a buyer with the columns of the customer base; empty of a prospect.
    designs
        Rows of the designs of the members of the churn model; none of a prospect.
    """

    p_silent: float
    p_purchase: float
    p_alive: float
    p_stage: list[float]
    days_to_order: float
    money: MoneyOfOne
    base: BaseOutlook | None
    columns: dict[str, float]
    designs: Sequence[Array]

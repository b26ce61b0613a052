"""Fitting of :class:`stagecast.training.value.payments.RegularPayments` on purchase days."""

from __future__ import annotations

from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.fit_periods import FEWEST, later_prices
from stagecast.training.billing.fit_price_list import fit_price_list
from stagecast.training.billing.payments import Payments, usual_gaps
from stagecast.training.billing.periods import Period
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.plans import PlannedBase
from stagecast.training.value.payments import NORMAL_TAIL, RegularPayments

LEAST_SPREAD: Final = 0.005
"""Least standard deviation of the days of a payment, over the gap: two days of a year."""
ONE_PRICE: Final = 0.1
"""Two thirds of the payments over the one before must lie within a range of this width, in logs, or
be no other or the usual rise: prices, that rise from year to year or once, and not amounts that a
customer chooses each time."""
_HALF_A_DAY: Final = 0.5


def fit_payments(
    days: PurchaseDays, base: CustomerBase | None, as_of_day: float
) -> RegularPayments | None:
    """Return what a log says of regular payments; None where they are not, or have no price.

    Parameters
    ----------
    days
        The purchase days of the log.
    base
        Its customer base; None where it has none.
    as_of_day
        The as_of as a day number.
    """
    model = None if base is None else base.regular_model
    if base is None or model is None:
        return None
    payments = Payments.of_customers(days.of(np.flatnonzero(days.spend > 0)))
    gap, usual = payments.gap_before, usual_gaps(payments)
    known = payments.number > 2
    if not len(payments.day) or known.sum() < FEWEST:
        return None
    of_model = 1.0 / np.sqrt(model.regularity)
    ratio = gap[known] / usual[known]
    low, high = np.quantile(ratio, (0.05, 0.95))
    days_of_gap = float(np.median(usual[known]))
    spread = max(float(high - low) / (2.0 * NORMAL_TAIL), _HALF_A_DAY / days_of_gap)
    every = np.ones(len(payments.day), dtype=np.bool_)
    later = np.flatnonzero(payments.number > 1)
    ratio = np.log(payments.spend[later] / payments.spend[later - 1])
    plans = _of_plans(base) if isinstance(base, PlannedBase) else ()
    are_prices = _are_prices(ratio)
    if not are_prices and not any(plan.has_prices for plan in plans):
        return None
    spread = float(np.clip(spread, LEAST_SPREAD, of_model))
    later_price = later_prices(payments, every, days_of_gap)
    price_list = None
    if not plans:  # who pays nothing so far may pay later
        price_list = fit_price_list(Payments.of_customers(days), as_of_day, days_of_gap)
    return RegularPayments(spread, later_price, plans, are_prices, price_list)


def _of_plans(base: PlannedBase) -> tuple[RegularPayments, ...]:
    """Return the payments of each plan."""
    # where other plans follow, neither the gap nor the price is that of the payments to come
    return tuple(
        _of_period(period, has_prices=period.has_fixed_prices and follow is None)
        for period, follow in zip(base.periods.periods, base.follows, strict=True)
    )


def _of_period(period: Period, *, has_prices: bool) -> RegularPayments:
    spread = max(period.spread_days / period.days, LEAST_SPREAD)
    return RegularPayments(spread, period.later_price, (), has_prices)


def _are_prices(ratio: Array) -> bool:
    """Return whether payments over the one before, in logs, are those of prices, see ONE_PRICE."""
    low, high = np.quantile(ratio, (1.0 / 6.0, 5.0 / 6.0))
    if high - low <= ONE_PRICE:
        return True
    rises = ratio[ratio > ONE_PRICE / 2.0]
    if not len(rises):
        return False
    is_usual = np.abs(ratio - np.median(rises)) <= ONE_PRICE / 2.0
    return bool(np.mean(is_usual | (np.abs(ratio) <= ONE_PRICE / 2.0)) >= 2.0 / 3.0)

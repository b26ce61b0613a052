"""Fitting of :class:`stagecast.training.learners.plans.PlannedBase` on the buyers of one date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Spells
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.fit_periods import HALF_A_YEAR, fit_periods
from stagecast.training.billing.payments import LATE, Payments, usual_gaps
from stagecast.training.billing.periods import COLUMNS, BillingPeriods, Period
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.rhythm import GRID, LARGEST
from stagecast.training.learners.customer_base import FEWEST_PHASES, CustomerBase
from stagecast.training.learners.fit_customer_base import (
    RANDOM_CUSTOMERS,
    RANDOM_SHARE,
    fit_customer_base,
)
from stagecast.training.learners.fit_dates import with_dates
from stagecast.training.learners.following import Following
from stagecast.training.learners.plan_runs import PlanRuns
from stagecast.training.learners.plans import PlannedBase
from stagecast.training.learners.random_customers import less_random

FEWEST_OF_PRICE, PRIOR_SAME = 5, 5.0
"""Payments after a price, below which it is taken to be paid again; and to how many such ones the
average is shrunk."""
REGULAR: Final = "mbg_nbd"
"""The model that may have regular gaps."""
FEWEST_CHANGES: Final = 5
"""Changes from a plan to others, below which nothing is known of what follows it."""
MOST: Final = 0.5
"""Share of the payments after one on a plan that are on others, above which they follow it."""
MAX_CUSTOMERS: Final = 20_000
"""About how many customers tell the billing periods of a log."""
PRIOR_LEFT, PRIOR_DUE = 1.0, 5.0
"""Customers who are supposed to have left, and payments due to them, beside those of the plan."""
COINS: Final = 10.0
"""How alike the customers of a plan with few payments are in leaving, as payments of theirs."""
ALIKE: Final = 900.0
"""The same of the pace of their payments."""


def with_plans(
    base: CustomerBase,
    features: Mapping[str, Array],
    customer: Integers,
    days: PurchaseDays,
    as_of: int,
    max_customers: int,
) -> CustomerBase:
    """Return the customer base with the plans of its customers; as it is where there is one.

    Parameters
    ----------
    base
        The models of all buyers.
    features
        Features of the buyers, shape (n_buyers,) each.
    customer
        Their numbers in ``days``, shape (n_buyers,).
    days
        The purchase days known at the date.
    as_of
        The date, microseconds since 1970, UTC.
    max_customers
        About how many customers the models of each plan are fitted on.
    """
    is_told = all(name in features for name in COLUMNS)
    if not is_told or all(model.name != REGULAR for model in base.models):
        return base
    few = _sample(days)
    periods = fit_periods(few, as_contracts(few, as_of))
    if len(periods.periods) < 2 or not periods.has_fixed_prices:
        return base
    last_plan = np.zeros(1 + int(max(few.customer.max(initial=0), customer.max())), dtype=np.int64)
    last_plan[customer] = periods.likeliest(features)
    silence = np.zeros(len(last_plan))
    silence[customer] = features["T_days"] - features["t_x_days"]
    is_known = np.isin(few.customer, customer)
    runs = PlanRuns.of(few.of(np.flatnonzero(is_known)), periods, last_plan)
    plans, later = [], []
    for k, period in enumerate(periods.periods):
        of_plan = runs.of_plan(k)
        of_period = _of_period(base, of_plan, silence, period, max_customers)
        if of_period is None:
            return base
        plans.append(of_period)
        later.append(later_prices(of_plan.own_days) if period.has_fixed_prices else ())
    following = tuple(following_plans(runs, k, periods) for k in range(len(plans)))
    return PlannedBase(
        base.models,
        base.spend,
        base.weights,
        periods=periods,
        plans=tuple(plans),
        later_prices=tuple(later),
        following=following,
    )


def following_plans(runs: PlanRuns, plan: int, periods: BillingPeriods) -> Following | None:
    """Return the plans that follow a plan, where most payments after one on it are on others."""
    payments, is_own = np.bincount(runs.days.customer), runs.plan == plan
    ends = np.flatnonzero(is_own & (runs.follows >= 0))
    if len(ends) < max(FEWEST_CHANGES, MOST * (payments[is_own] - 1).sum()):
        return None
    first_on_next = runs.days.spend[np.cumsum(payments)[ends] - 1]
    count, paid = (
        np.bincount(runs.follows[ends], weights, minlength=len(periods.periods))
        for weights in (None, first_on_next)
    )
    prices = paid / np.maximum(count, 1)
    return Following(
        tuple((count / count.sum()).tolist()),
        tuple(float(f"{price:.6g}") for price in prices),
        periods.periods[plan].days,
    )


def later_prices(days: PurchaseDays) -> tuple[tuple[float, float], ...]:
    """Return prices, and what payments half a year later are on average over them.

    Those of who pays less than twice a year are the next ones. Of a price with few such payments
    the factor is shrunk to 1, as if by ``PRIOR_SAME`` payments that are the same.

    Parameters
    ----------
    days
        The purchase days of the customers of a plan.
    """
    payments = Payments.of_customers(days.of(np.flatnonzero(days.spend > 0)))
    ahead = np.maximum(np.round(HALF_A_YEAR / np.nan_to_num(usual_gaps(payments), nan=1e9)), 1.0)
    later = np.arange(len(ahead)) + ahead.astype(np.int64)
    rows = np.flatnonzero(later < len(ahead))
    rows = rows[payments.contract[later[rows]] == payments.contract[rows]]
    price = np.round(payments.spend[rows], 2)
    factor = payments.spend[later[rows]] / payments.spend[rows]
    prices, number, count = np.unique(price, return_inverse=True, return_counts=True)
    total = np.bincount(number, factor, minlength=len(prices)) + PRIOR_SAME
    mean = total / (count + PRIOR_SAME)
    known = count >= FEWEST_OF_PRICE
    return tuple(
        (float(price), float(f"{factor:.4g}"))
        for price, factor in zip(prices[known], mean[known], strict=True)
    )


def _sample(days: PurchaseDays) -> PurchaseDays:
    """Return the purchase days of every k-th customer, so that about ``MAX_CUSTOMERS`` remain."""
    customers = 1 + int(days.customer.max(initial=-1))
    step = -(-customers // MAX_CUSTOMERS)
    return days if step <= 1 else days.of(np.flatnonzero(days.customer % step == 0))


def _of_period(
    base: CustomerBase, runs: PlanRuns, silence: Array, period: Period, max_customers: int
) -> CustomerBase | None:
    """Return the models of a period, of its runs; None where their gaps are not regular."""
    own = runs.histories(silence)
    gaps = LogGaps.of(runs.days.customer, runs.days.day, len(runs.plan))
    names = [model.name for model in base.models]
    try:
        fitted = fit_customer_base(own, None, max_customers, gaps, names)
    except FitError:
        fitted = _of_few(base, own, period)
    if fitted.regular_model is None or [model.name for model in fitted.models] != names:
        fitted = _of_few(base, own, period)
    fitted = less_random(with_dates(fitted, runs.days), runs.days)
    return None if fitted.regular_model is None else fitted


def _of_few(base: CustomerBase, histories: Mapping[str, Array], period: Period) -> CustomerBase:
    """Return the models of a plan with few payments: its gaps and renewals, counted.

    The model of random gaps is that of all buyers.
    """
    x, silence = histories["frequency"], histories["T_days"] - histories["t_x_days"]
    paid, left = float(x.sum()), float((silence > LATE * period.days).sum())
    leaves = (left + PRIOR_LEFT) / (paid + left + PRIOR_DUE)
    phases = min(LARGEST, (period.days / period.spread_days) ** 2)
    k = max(FEWEST_PHASES, *(k for k in GRID if k <= phases))
    regular = Model(
        REGULAR,
        (ALIKE, ALIKE * period.days / k, COINS * leaves, COINS * (1.0 - leaves)),
        0.0,
        len(x),
        k,
    )
    others = [model for model in base.models if model.name != REGULAR]
    share = RANDOM_SHARE * RANDOM_CUSTOMERS / (len(x) + RANDOM_CUSTOMERS) if others else 0.0
    weights = (1.0 - share, *(share / len(others) for _ in others))
    return CustomerBase((regular, *others), None, weights)


def as_contracts(days: PurchaseDays, as_of: int) -> Spells:
    """Return an open contract of each customer, which began with the first purchase.

    ``as_of`` is in microseconds since 1970, UTC.
    """
    first = np.flatnonzero(np.diff(days.customer, prepend=-1))
    start = days.day[first] * DAY_MICROSECONDS
    return Spells(
        as_of,
        np.zeros(0, dtype=np.object_),
        days.customer[first],
        start,
        np.full(len(first), NEVER, dtype=np.int64),
        start,
        np.zeros(len(first), dtype=np.int64),
        0,
    )

"""Learning of how contracts begin to pay: trials that turn into a plan, customers who come back."""

from __future__ import annotations

from typing import Final

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.beginnings import NO_BEGINNINGS, Beginnings, Returns, Trials
from stagecast.training.billing.fit_periods import ended, shares_of
from stagecast.training.billing.payments import Payments, usual_gaps
from stagecast.training.billing.periods import BillingPeriods
from stagecast.training.billing.waits import Wait, by_day, by_hazard

FEWEST: Final = 20
"""With fewer trials, or fewer contracts that are over, nothing is learned of them."""
BILLED: Final = 0.5
"""Share of the long trials that were billed for nothing twice, from which on all are."""
LEVEL_PRIOR: Final = 5.0
"""Returns, expected and come, that are supposed beside those of each period."""


def fit_beginnings(days: PurchaseDays, spells: Spells, periods: BillingPeriods) -> Beginnings:
    """Return what a log says of contracts that may begin to pay.

    Parameters
    ----------
    days
        Every purchase day known at the as_of.
    spells
        All contracts, as known at the as_of.
    periods
        Their billing periods; nothing is learned where there are none.
    """
    if periods.is_none:
        return NO_BEGINNINGS
    payments = Payments.of(days, spells)
    trials = _trials(spells, periods, payments, days)
    return Beginnings(trials, _returns(spells, periods, payments))


def _trials(
    spells: Spells, periods: BillingPeriods, payments: Payments, days: PurchaseDays
) -> Trials | None:
    if not len(payments.day):
        return None
    first = np.full(len(spells), -1, dtype=np.int64)
    first[payments.spell[payments.number == 1]] = np.flatnonzero(payments.number == 1)
    # contracts that did not pay on the day they began, whether or not a payment of 0 says so
    began = np.floor(spells.start / DAY_MICROSECONDS)
    spell = np.flatnonzero((first < 0) | (payments.day[first] > began))
    if len(spell) < FEWEST:
        return None
    paid = first[spell]
    has_paid = paid >= 0
    has_paid[has_paid] = payments.day[paid[has_paid]] < ended(spells, spell[has_paid]) + 1.0
    is_over = ~has_paid & ~spells.open[spell]
    since = spells.start[spell] / DAY_MICROSECONDS
    until = np.where(has_paid, payments.day[np.maximum(paid, 0)], ended(spells, spell))
    # payments are known by day, so a trial is as many days old as nights have passed
    wait = by_day(np.maximum(np.floor(until) - np.floor(since), 0.0), has_paid, is_over)
    turned = paid[has_paid]
    if len(turned) < FEWEST:
        return None
    # their period is that of the gap which follows
    since_last = ended(spells, payments.spell[turned]) - payments.day[turned]
    silence = np.where(payments.is_last[turned], since_last, 0.0)
    usual = usual_gaps(payments)
    shares = shares_of(periods, payments, turned, payments.gap_after, usual, silence)
    weight = shares.sum(axis=0) + 1e-9
    spend = payments.spend[turned]
    mean = float(spend.mean())
    prices = (shares.T @ spend + 1e-9 * mean) / weight
    dearest = [
        _quantile(spend, shares[:, k], 0.95) if weight[k] > 1 else price
        for k, price in enumerate(prices)
    ]
    return Trials(
        wait,
        tuple((weight / weight.sum()).tolist()),
        tuple(prices.tolist()),
        tuple(float(price) for price in dearest),
        _are_billed(days, spells.customer[spell], until - since, periods.periods[0].days),
    )


def _are_billed(days: PurchaseDays, customer: Integers, lasted: Array, period_days: float) -> bool:
    """Return whether trials that lasted two periods and more were billed for nothing twice."""
    of_nothing = days.customer[days.spend <= 0]
    bills = np.bincount(of_nothing, minlength=1 + int(customer.max(initial=-1)))
    is_long = lasted >= 2.0 * period_days
    if is_long.sum() < FEWEST:
        return False
    return bool((bills[customer[is_long]] >= 2).mean() >= BILLED)


def _quantile(values: Array, weights: Array, share: float) -> float:
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, share * passed[-1])])


def _returns(spells: Spells, periods: BillingPeriods, payments: Payments) -> Returns | None:
    over = np.flatnonzero(~spells.open)
    if len(over) < FEWEST:
        return None
    end, as_of = ended(spells, over), spells.as_of / DAY_MICROSECONDS
    customer = spells.customer[over]
    # the first payment of a later contract of the customer
    first = np.flatnonzero(payments.number == 1)
    far = 2.0 * max(as_of, 1.0)
    key = payments.customer[first] * far
    key += spells.start[payments.spell[first]] / DAY_MICROSECONDS
    order = np.argsort(key, kind="stable")
    place = np.searchsorted(key[order], customer * far + end, side="left")
    row = np.r_[first[order], -1][place]  # -1: nobody pays later
    returned = (row >= 0) & (payments.customer[row] == customer) if len(first) else row >= 0
    until = (
        np.where(returned, payments.day[row], as_of) if len(first) else np.full(len(over), as_of)
    )
    # a trial or another contract in between, which is over, too: from then on one waits for that
    again = np.r_[customer[1:] == customer[:-1], False] & (np.r_[end[1:], np.inf] < until)
    returned &= ~again
    waited = np.maximum(np.where(again, np.r_[end[1:], as_of], until) - end, 0.0)
    wait = by_hazard(waited, returned)
    plans = _plans_before(payments, periods, spells, over)
    expected = -np.log1p(-np.minimum(wait.begins(np.zeros(len(over)), waited), 1.0 - 1e-9))
    levels = (plans.T @ returned + LEVEL_PRIOR) / (plans.T @ expected + LEVEL_PRIOR)
    return Returns(wait, _bills(spells, payments, over), tuple(levels.tolist()))


def _bills(spells: Spells, payments: Payments, over: Integers) -> Wait:
    """Return how long it takes until a last bill of a contract that is over is paid."""
    end = np.floor(ended(spells, payments.spell))
    late = np.flatnonzero(~spells.open[payments.spell] & (payments.day > end))
    of_spell = np.full(len(spells), -1, dtype=np.int64)
    of_spell[payments.spell[late][::-1]] = late[::-1]  # the first of each
    bill = of_spell[over]
    billed = bill >= 0
    until = np.full(len(over), spells.as_of / DAY_MICROSECONDS)
    until[billed] = payments.day[bill[billed]]
    waited = np.maximum(np.floor(until) - np.floor(ended(spells, over)), 0.0)
    return by_day(waited, billed, np.zeros(len(over), dtype=np.bool_))


def _plans_before(
    payments: Payments, periods: BillingPeriods, spells: Spells, over: Integers
) -> Array:
    """Return P(billing period) of contracts that are over, (contracts, periods + 1).

    The last column is 1 where nothing was paid, as in a trial.
    """
    last = np.full(len(spells), -1, dtype=np.int64)
    last[payments.spell[payments.is_last]] = np.flatnonzero(payments.is_last)
    row = last[over]
    paid = row >= 0
    shares = np.zeros((len(over), len(periods.periods) + 1))
    shares[~paid, -1] = 1.0
    rows = row[paid]
    usual = usual_gaps(payments)
    shares[paid, :-1] = shares_of(periods, payments, rows, payments.gap_before, usual, 0.0)
    return shares

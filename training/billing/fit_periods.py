"""Fitting of :class:`stagecast.training.billing.periods.BillingPeriods` on the payments of a log.

    payments in contracts -> gaps between them -> periods -> the period of each payment -> renewals

A payment pays for the gap that begins with it: its price and its renewal belong to the period of
that gap, and not to that of the gap before, which may have been another plan, or a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import YEAR
from stagecast.training.billing.fit_calendar import due_date, tied
from stagecast.training.billing.fit_price_list import fit_price_list
from stagecast.training.billing.fit_renewals import fit_renewals
from stagecast.training.billing.months import MONTH, months_between
from stagecast.training.billing.payments import LATE, Payments, near_usual, usual_gaps
from stagecast.training.billing.periods import (
    FIXED,
    NO_PERIODS,
    SILENCES,
    BillingPeriods,
    Period,
)
from stagecast.training.billing.renewals import Renewals

FEWEST: Final = 20
"""With fewer customers of two gaps nothing is known of regular payments."""
ALIKE: Final = 0.2
"""Gaps whose logs differ by no more are of one period."""
DAYS_APART: Final = 1.5
"""Nor by no more days: a payment each week may come a day later."""
SHORTEST: Final = 5.0
"""Days of the shortest period."""
REGULAR_SHARE, MULTIPLE_SHARE = 0.5, 0.75
"""Shares of the customers whose last two gaps are alike, and alike or one twice or three times the
other (a payment was left out), above which contracts have periods. Of gaps that are exponential one
in ten is like the one before, of the Erlang-4 one in five."""
NEAR_SHARE: Final = 0.8
"""Or the share of all gaps that lie near to the customer's usual gap of it, or to twice or three
times it. Where each fourth payment is some days late, as of cards that are refused, the gap before
it is longer and the one after it shorter. Of exponential gaps it is one in two."""
SKIPPED, MOST_SKIPPED = 0.2, 4
"""Share of the gaps of those with a usual gap that are of a shorter period, at the same price,
above which the usual gap is one with payments left out; and how many times the period it may be."""
BACK: Final = 0.5
"""Or the share of those whose first gap it is who pay after a shorter period from then on."""
KEPT_TO: Final = 2.0 / 3.0
"""Share of the gaps after a usual one of a period that are of it, too, or of a multiple, below
which it is a usual gap by chance."""
FEWEST_OF_PERIOD, LEAST_SHARE = 5, 0.02
"""Contracts of a period, and their share of all with a gap."""
MAX_PRICES: Final = 500
OF_PERIODS: Final = 0.6
"""Share of the gaps of a contract that are of billing periods, below which it is of one alone."""
FEWEST_OF_PRICES: Final = 10
"""Payments of a period, below which those of all tell whether they are prices."""
LISTED: Final = 0.1
"""Share of the payments of a period that are of one price, from which on it is on a list."""
HALF_A_YEAR: Final = 182.0
FEWEST_PRICES: Final = 30
NONE: Final = -1
"""Position of no period."""
_WIDE: Final = 0.25
_HALF_A_DAY: Final = 0.5


def fit_periods(days: PurchaseDays, spells: Spells) -> BillingPeriods:
    """Return the billing periods of the contracts of a log; none where they are not regular.

    Parameters
    ----------
    days
        Every purchase day known at the as_of.
    spells
        All contracts, as known at the as_of.
    """
    if not len(spells) or not len(days.day):
        return NO_PERIODS
    payments = Payments.of(days, spells)
    due = None if not len(payments.day) else due_date(payments)
    first = payments.number == 1
    if due is not None:  # the first payment counts as if it were made a year before the next one
        first = tied(payments, due)
        payments = replace(payments, day=np.where(first, due.begins(payments.day), payments.day))
    if not len(payments.day) or not _is_regular(payments):
        return NO_PERIODS
    # the first payment of a year that has begun may be a part of the price
    is_price = ~(first & (due is not None and due.price is not None))
    usual = usual_gaps(payments)
    medians = _medians(usual[payments.is_last & np.isfinite(usual)])
    medians = [
        gap
        for gap in medians
        if _is_kept_to(gap, payments, usual) and not _is_of_skipped(gap, medians, payments, usual)
    ]
    if not medians:
        return NO_PERIODS
    of_contract = _nearest(medians, usual)
    nearest = _nearest(medians, payments.gap_after)
    nearest[_left_out(payments, nearest, of_contract)] = NONE
    # where no period explains the gap, as after a pause, that of the contract
    of_payment = np.where(nearest >= 0, nearest, of_contract)
    of_payment[payments.is_last] = NONE
    regular = BillingPeriods(
        tuple(
            _period(k, median, payments, nearest, of_contract, is_price)
            for k, median in enumerate(medians)
        )
    )
    last = np.flatnonzero(payments.is_last)
    shares = np.eye(len(medians) + 1)[of_payment][:, :-1]  # nothing where there is none
    silence = ended(spells, payments.spell[last]) - payments.day[last]
    shares[last] = shares_of(regular, payments, last, payments.gap_before, usual, silence)
    periods = tuple(
        _with_renewals(period, k, shares, payments, spells)
        for k, period in enumerate(regular.periods)
    )
    if len(periods) == 1 and due is None and periods[0].has_fixed_prices:
        as_of_day = spells.as_of / DAY_MICROSECONDS
        listed = fit_price_list(payments, as_of_day, periods[0].days)
        if listed is not None:  # which knows the later prices of each
            periods = (replace(periods[0], later_price=(1.0, 1.0)),)
        return BillingPeriods(periods, listed)
    if due is not None:
        of_year = int(np.argmin([abs(np.log(period.days / YEAR)) for period in periods]))
        yearly = replace(periods[of_year], due=due, months=None)
        periods = (*periods[:of_year], yearly, *periods[of_year + 1 :])
    return BillingPeriods(periods)


def _is_regular(payments: Payments) -> bool:
    gap = payments.gap_before
    rows = np.flatnonzero(payments.is_last & (payments.number > 2))
    if len(rows) < FEWEST:
        return False
    shorter, longer = np.minimum(gap[rows], gap[rows - 1]), np.maximum(gap[rows], gap[rows - 1])
    left_out = np.clip(np.round(longer / shorter), 1.0, 3.0)
    away = np.abs(longer - left_out * shorter)
    alike = (shorter >= SHORTEST) & (away <= np.maximum(ALIKE * shorter, DAYS_APART))
    is_alike = (
        float((alike & (left_out == 1.0)).mean()) >= REGULAR_SHARE
        and float(alike.mean()) >= MULTIPLE_SHARE
    )
    return is_alike or _are_near_usual(payments)


def _are_near_usual(payments: Payments) -> bool:
    """Return whether gaps are near to the usual ones of their contracts."""
    usual, several = usual_gaps(payments), np.bincount(payments.contract)[payments.contract] > 2
    rows = np.flatnonzero((payments.number > 1) & several & (usual >= SHORTEST))
    near, times = near_usual(payments, usual)
    if not len(rows):
        return False
    is_regular = float(near[rows].mean()) >= NEAR_SHARE
    return is_regular and float((times[rows] == 1.0).mean()) >= REGULAR_SHARE


def _medians(gaps: Array) -> list[float]:
    """Return the median gap of each period, shortest first."""
    ordered = np.sort(gaps[gaps >= SHORTEST])
    parts = np.split(ordered, np.flatnonzero(np.diff(np.log(ordered)) > ALIKE) + 1)
    fewest = max(FEWEST_OF_PERIOD, LEAST_SHARE * len(gaps))
    return [float(np.median(part)) for part in parts if len(part) >= fewest]


def _is_kept_to(gap: float, payments: Payments, usual: Array) -> bool:
    """Return whether those whose usual gap it is pay after it again, or after twice or three times.

    Where a few pay when they like, the gaps of some have a median of fifty days by chance, and the
    gaps after one of fifty are others. The gap after a trial of another price, and of a period with
    fewer gaps than that, tells nothing.

    Parameters
    ----------
    gap
        Median gap of a supposed period.
    payments
        All payments.
    usual
        The usual gap of the contract of each, shape (n,).
    """
    gaps = payments.gap_before
    before, same_before = np.r_[np.nan, gaps[:-1]], np.r_[False, payments.same_price[:-1]]
    no_trial = (payments.number > 3) | ((payments.number == 3) & same_before)
    after = np.flatnonzero(no_trial & _near(usual, gap) & _near(before, gap))
    if not len(after):
        return True
    times = np.clip(np.round(gaps[after] / gap), 1.0, 3.0)
    return float(_near(gaps[after] / times, gap).mean()) >= KEPT_TO


def _near(values: Array, gap: float) -> NDArray[np.bool_]:
    """Return which gaps are of the period of a gap, same shape; NaN is of none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(np.log(values / gap)) < ALIKE)


def _is_of_skipped(gap: float, medians: Sequence[float], payments: Payments, usual: Array) -> bool:
    """Return whether a gap is usual only because payments of a shorter period are left out.

    Who gets a box each week and leaves out each fifth pays after 7 days, 14, 7, 7, 21: for a few
    the median is 14. Who has a plan of two weeks never pays that price a week later. Of yearly
    donors some leave out the second year, and give again a year after the third.

    Parameters
    ----------
    gap
        Median gap of a supposed period.
    medians
        Those of all.
    payments
        All payments.
    usual
        The usual gap of the contract of each, shape (n,).
    """
    gaps = payments.gap_before
    of_gap = np.flatnonzero(_near(usual, gap) & (payments.number > 2) & payments.same_price)
    # the second gap of those whose first one is this
    second = np.flatnonzero((payments.number == 3) & _near(np.r_[np.nan, gaps[:-1]], gap))
    for shorter in medians:
        times = round(gap / shorter)
        if not 2 <= times <= MOST_SKIPPED or abs(np.log(gap / (times * shorter))) > ALIKE:
            continue
        if len(of_gap) and float(_near(gaps[of_gap], shorter).mean()) > SKIPPED:
            return True
        if len(second) >= FEWEST_OF_PERIOD and float(_near(gaps[second], shorter).mean()) > BACK:
            return True
    return False


def _nearest(medians: Sequence[float], gap: Array) -> Integers:
    """Return the position of the period of each gap, NONE where it is of none, shape (n,)."""
    known = np.where(np.isfinite(gap), gap, 1.0)
    distance = np.abs(np.log(known[:, None] / np.asarray(medians)))
    is_near = np.isfinite(gap) & (distance.min(axis=1) < _WIDE)
    return np.where(is_near, distance.argmin(axis=1), NONE)


def _left_out(payments: Payments, nearest: Integers, of_contract: Integers) -> NDArray[np.bool_]:
    """Return which gaps are those of another period only because a payment was left out, (n,).

    The price is that of the payment before, which was followed by a gap of the contract's period.
    """
    gap_before = np.r_[NONE, nearest[:-1]]
    went_on = (payments.number > 1) & (gap_before == of_contract) & payments.same_price
    return np.asarray((of_contract >= 0) & (nearest > of_contract) & went_on)


def plans_of_payments(payments: Payments, periods: BillingPeriods, last_plan: Integers) -> Integers:
    """Return the position of the period that each payment is of, shape (n,).

    That of the gap after it; where a payment was left out, that of the usual gap of its contract;
    where the gap is of none, as of a payment that came late, the likeliest one by the price, too.
    All payments of a contract with few gaps of billing periods are of the last one's.

    Parameters
    ----------
    payments
        All payments.
    periods
        The billing periods.
    last_plan
        Position of that of the last payment of the contract of each, shape (n,).
    """
    medians = [period.days for period in periods.periods]
    usual = usual_gaps(payments)
    of_contract = _nearest(medians, usual)
    plan = _nearest(medians, payments.gap_after)
    contract = payments.contract
    gaps = np.maximum(np.bincount(contract) - 1, 1)
    of_periods = np.bincount(contract, plan >= 0) >= OF_PERIODS * gaps
    left_out = _left_out(payments, plan, of_contract)
    plan[left_out] = of_contract[left_out]
    unknown = np.flatnonzero((plan < 0) & ~payments.is_last)
    plan[unknown] = periods.likeliest(
        {
            "gap_last": payments.gap_after[unknown],
            "gap_mean": usual[unknown],
            "recency_days": np.zeros(len(unknown)),
            "spend_last": payments.spend[unknown],
        }
    )
    return np.where(of_periods[contract] & ~payments.is_last, plan, last_plan)


def _period(
    k: int,
    median: float,
    payments: Payments,
    nearest: Integers,
    of_contract: Integers,
    is_price: NDArray[np.bool_],
) -> Period:
    """Return the period at a position, whose renewals are not known yet."""
    gap = payments.gap_after
    rows = np.flatnonzero(nearest == k)
    days = float(gap[rows].mean()) if len(rows) else median
    months = months_between(payments.day[rows], payments.day[rows] + gap[rows], days)
    days = days if months is None else months * MONTH
    spread = max(float(gap[rows].std()) if len(rows) else 0.0, _HALF_A_DAY)
    prices = np.sort(payments.spend[rows])
    prices = prices[prices > 0]
    if len(prices) > MAX_PRICES:
        prices = prices[np.linspace(0, len(prices) - 1, MAX_PRICES).astype(np.int64)]
    # gaps of contracts of this period, also those with payments left out; not of another period
    own = (of_contract == k) & np.isfinite(gap) & ((nearest == k) | (nearest == NONE))
    lasted = gap[own] / days
    paid = float(len(lasted) / np.maximum(np.round(lasted), 1.0).sum()) if len(lasted) else 1.0
    longer = tuple(float((lasted > part).mean()) if len(lasted) else 0.0 for part in SILENCES)
    contracts = len(np.unique(payments.contract[rows]))
    low, high = later_prices(payments, is_price & (nearest == k), days)
    return Period(
        days,
        spread,
        paid,
        contracts,
        tuple(prices.tolist()),
        longer,
        (low, high),
        Renewals(1.0, 9.0, (0.0, 1.0)),
        months=months,
        has_fixed_prices=_are_prices(payments, is_price, nearest == k),
    )


def later_prices(
    payments: Payments, of_period: NDArray[np.bool_], days: float
) -> tuple[float, float]:
    """Return the ends of the 90 % range of the price half a year later, over that of now.

    Parameters
    ----------
    payments
        All payments.
    of_period
        Which of them are prices of the billing period, shape (n,).
    days
        Days of the period.
    """
    ahead = max(1, round(HALF_A_YEAR / days))
    rows = np.flatnonzero(of_period[: len(of_period) - ahead])
    rows = rows[payments.contract[rows + ahead] == payments.contract[rows]]
    rows = rows[(payments.spend[rows] > 0) & (payments.spend[rows + ahead] > 0)]
    if len(rows) < FEWEST_PRICES:
        return 1.0, 1.0
    low, high = np.quantile(payments.spend[rows + ahead] / payments.spend[rows], (0.05, 0.95))
    return min(float(low), 1.0), max(float(high), 1.0)


def _are_prices(
    payments: Payments, is_price: NDArray[np.bool_], of_period: NDArray[np.bool_]
) -> bool:
    """Return whether the payments of a period are prices.

    Most are as high as the next ones, or are on a list: the price of a trial is paid once. Of a
    period with few payments it is told by those of all periods.
    """
    earlier = np.flatnonzero(~payments.is_last & (payments.spend > 0) & is_price)
    earlier = earlier[payments.spend[earlier + 1] > 0]
    own = earlier[of_period[earlier]]
    if len(own) < FEWEST_OF_PRICES:
        own = earlier
    if not len(own):
        return False
    same = np.abs(np.log(payments.spend[own + 1] / payments.spend[own])) < FIXED
    if float(same.mean()) >= 0.5:
        return True
    price = np.sort(np.log(payments.spend[own]))
    ends = [np.searchsorted(price, price + away) for away in (-FIXED, FIXED)]
    return float(((ends[1] - ends[0]) >= LISTED * len(own)).mean()) >= 0.5


def ended(spells: Spells, spell: Integers) -> Array:
    """Return the day on which contracts ended, at most the as_of, same shape."""
    return np.asarray(np.minimum(spells.end[spell], spells.as_of) / DAY_MICROSECONDS)


def shares_of(
    periods: BillingPeriods,
    payments: Payments,
    rows: Integers,
    gap: Array,
    usual: Array,
    silence_days: Array | float,
) -> Array:
    """Return P(billing period) of payments, shape (rows, periods).

    Parameters
    ----------
    periods
        The billing periods.
    payments
        All payments.
    rows
        Which of them, shape (rows,).
    gap
        The gap before or after each of all payments, whichever is to tell.
    usual
        What :func:`usual_gaps` returns of all payments.
    silence_days
        Days without a payment since, shape (rows,).
    """
    return periods.shares(
        {
            "gap_last": gap[rows],
            "gap_mean": usual[rows],
            "recency_days": np.maximum(np.broadcast_to(silence_days, rows.shape), 0.0),
            "spend_last": payments.spend[rows],
        }
    )


def _with_renewals(
    period: Period, k: int, shares: Array, payments: Payments, spells: Spells
) -> Period:
    """Return a period with its renewals, and all of its customers."""
    share = shares[:, k]
    as_of_day = spells.as_of / DAY_MICROSECONDS
    # payments of this plan so far: a contract may have changed to it
    hard = np.where(shares.sum(axis=1) > 0, shares.argmax(axis=1), NONE)
    begins = np.r_[True, (hard[1:] != hard[:-1]) | payments.is_last[:-1]]
    row = np.arange(len(hard))
    number = row - np.maximum.accumulate(np.where(begins, row, 0)) + 1.0
    rows = np.flatnonzero((as_of_day - payments.day >= LATE * period.days) & (share > 0))
    over = rows[payments.is_last[rows] & (share[rows] > 0.5)]
    parts = (ended(spells, payments.spell[over]) - payments.day[over]) / period.days
    renewals = fit_renewals(
        np.asarray(number[rows]),
        (~payments.is_last[rows]).astype(np.float64),
        share[rows],
        np.asarray(np.clip(parts, 0.0, 1.0)),
    )
    customers = max(round(float(share[payments.is_last].sum())), period.customers)
    return replace(period, renewals=renewals, customers=customers)

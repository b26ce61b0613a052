"""Fitting of :class:`stagecast.training.billing.periods.BillingPeriods` on the payments of a log.

payments in contracts -> gaps between them -> periods -> the period of each contract -> renewals
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.fit_renewals import fit_renewals
from stagecast.training.billing.periods import NO_PERIODS, BillingPeriods, Period
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
FEWEST_OF_PERIOD, LEAST_SHARE = 5, 0.01
"""Customers of a period, and their share of all with a gap."""
LATE: Final = 1.25
"""A payment that has not come by so many periods is not coming."""
FIXED: Final = 0.01
MAX_PRICES: Final = 500
_WIDE: Final = 0.25
_HALF_A_DAY: Final = 0.5


@dataclass(frozen=True)
class Payments:
    """Payments within contracts, ordered by customer and day, shape (n,) each.

    Parameters
    ----------
    customer, spell
        Rows of the customers and of the spells.
    day
        Day number.
    spend
        Money of the day.
    number
        Number of the payment in its contract, 1 for the first.
    is_last
        Whether no other one followed in the contract.
    """

    customer: Integers
    spell: Integers
    day: Array
    spend: Array
    number: Integers
    is_last: NDArray[np.bool_]

    @classmethod
    def of(cls, days: PurchaseDays, spells: Spells) -> Payments:
        """Return the purchase days of a log that lie in a contract."""
        order = np.lexsort((spells.start, spells.customer))
        # a payment up to a day before its contract began belongs to it, too
        start = np.floor(spells.start[order] / DAY_MICROSECONDS) - 1.0
        far = 10.0 * max(float(days.day.max(initial=1)), float(start.max(initial=1.0)))
        position = np.searchsorted(
            spells.customer[order] * far + start, days.customer * far + days.day, side="right"
        )
        spell = np.where(position > 0, order[np.maximum(position - 1, 0)], -1)
        inside = (spell >= 0) & (spells.customer[spell] == days.customer)
        customer, spell = days.customer[inside], spell[inside]
        first = np.r_[True, spell[1:] != spell[:-1]]
        rows = np.arange(len(spell))
        number = rows - np.maximum.accumulate(np.where(first, rows, 0)) + 1
        return cls(
            customer,
            spell,
            days.day[inside].astype(np.float64),
            days.spend[inside],
            number,
            np.r_[first[1:], True],
        )

    @property
    def gap(self) -> Array:
        """Days since the payment before in the same contract, shape (n,); NaN of the first."""
        before = np.r_[np.nan, np.diff(self.day)]
        return np.where(self.number > 1, before, np.nan)


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
    as_of_day = spells.as_of / DAY_MICROSECONDS
    payments = Payments.of(days, spells)
    if not len(payments.day) or not _is_regular(payments):
        return NO_PERIODS
    gap = payments.gap
    usual = _usual_gaps(payments, gap)
    medians = _medians(usual[payments.is_last & np.isfinite(usual)])
    if not medians:
        return NO_PERIODS
    has_fixed_prices = _has_fixed_prices(payments)
    no_renewals = Renewals(1.0, 9.0, (0.0, 1.0))
    first = BillingPeriods(
        tuple(_period(median, medians, payments, gap, usual, no_renewals) for median in medians),
        has_fixed_prices,
    )
    shares = _shares(first, payments, usual, spells, as_of_day)
    periods = tuple(
        _with_renewals(period, shares[:, k], payments, spells, as_of_day)
        for k, period in enumerate(first.periods)
    )
    return BillingPeriods(periods, has_fixed_prices)


def _is_regular(payments: Payments) -> bool:
    gap = payments.gap
    rows = np.flatnonzero(payments.is_last & (payments.number > 2))
    if len(rows) < FEWEST:
        return False
    shorter, longer = np.minimum(gap[rows], gap[rows - 1]), np.maximum(gap[rows], gap[rows - 1])
    left_out = np.clip(np.round(longer / shorter), 1.0, 3.0)
    away = np.abs(longer - left_out * shorter)
    alike = (shorter >= SHORTEST) & (away <= np.maximum(ALIKE * shorter, DAYS_APART))
    return (
        float((alike & (left_out == 1.0)).mean()) >= REGULAR_SHARE
        and float(alike.mean()) >= MULTIPLE_SHARE
    )


def _usual_gaps(payments: Payments, gap: Array) -> Array:
    """Return the median gap of the contract of each payment, shape (n,); NaN with one payment."""
    contract = np.cumsum(np.r_[0, payments.is_last[:-1]])
    order = np.lexsort((gap, contract))  # NaN, of the first payment, is the last of each contract
    count = np.bincount(contract)
    start = np.cumsum(np.r_[0, count[:-1]])
    gaps = count - 1
    middle = gap[order[start + np.maximum(gaps - 1, 0) // 2]]
    return np.asarray(np.where(gaps > 0, middle, np.nan)[contract])


def _medians(gaps: Array) -> list[float]:
    """Return the median gap of each period, shortest first."""
    ordered = np.sort(gaps)
    parts = np.split(ordered, np.flatnonzero(np.diff(np.log(ordered)) > ALIKE) + 1)
    fewest = max(FEWEST_OF_PERIOD, LEAST_SHARE * len(gaps))
    return [float(np.median(part)) for part in parts if len(part) >= fewest]


def _nearest(medians: Sequence[float], gap: Array) -> Integers:
    """Return the position of the period of each gap, -1 where it is of none, shape (n,)."""
    known = np.where(np.isfinite(gap), gap, 1.0)
    distance = np.abs(np.log(known[:, None] / np.asarray(medians)))
    nearest = distance.argmin(axis=1)
    is_near = np.isfinite(gap) & (distance.min(axis=1) < _WIDE)
    return np.where(is_near, nearest, -1)


def _period(
    median: float,
    medians: Sequence[float],
    payments: Payments,
    gap: Array,
    usual: Array,
    renewals: Renewals,
) -> Period:
    own = _nearest(medians, usual) == medians.index(median)
    gaps, last = gap[own & np.isfinite(gap)], np.flatnonzero(own & payments.is_last)
    near = gaps[np.abs(np.log(gaps / median)) < _WIDE]
    days = float(near.mean())
    prices = np.sort(payments.spend[last])
    prices = prices[prices > 0]
    if len(prices) > MAX_PRICES:
        prices = prices[np.linspace(0, len(prices) - 1, MAX_PRICES).astype(np.int64)]
    spread = max(float(near.std()), _HALF_A_DAY)
    # of the payments that fell due between two that came, the share that came
    paid = float(len(gaps) / np.maximum(np.round(gaps / days), 1.0).sum())
    return Period(days, spread, paid, len(last), tuple(prices.tolist()), renewals)


def _has_fixed_prices(payments: Payments) -> bool:
    rows = np.flatnonzero((payments.number > 1) & (payments.spend > 0))
    rows = rows[payments.spend[rows - 1] > 0]
    same = np.abs(np.log(payments.spend[rows] / payments.spend[rows - 1])) < FIXED
    return bool(len(same)) and float(same.mean()) >= 0.5


def _shares(
    periods: BillingPeriods, payments: Payments, usual: Array, spells: Spells, as_of_day: float
) -> Array:
    """Return P(billing period) of the contract of each payment, shape (n, periods).

    By the usual gap of the contract; before its second payment by the price and by how long it
    lasted since.
    """
    end = np.minimum(spells.end / DAY_MICROSECONDS, as_of_day)[payments.spell]
    last = np.flatnonzero(payments.is_last)
    columns = {
        "gap_last": usual[last],
        "gap_mean": usual[last],
        "recency_days": np.maximum(end[last] - payments.day[last], 0.0),
        "spend_last": payments.spend[last],
    }
    of_last = periods.shares(columns)
    nearest = _nearest([period.days for period in periods.periods], usual[last])
    known = payments.number[last] > 1
    of_gap = np.eye(len(periods.periods) + 1)[nearest][:, :-1]  # of -1 nothing
    of_last = np.where(known[:, None], of_gap, of_last)
    contract = np.cumsum(np.r_[0, payments.is_last[:-1]])
    return np.asarray(of_last[contract])


def _with_renewals(
    period: Period, share: Array, payments: Payments, spells: Spells, as_of_day: float
) -> Period:
    """Return a period with its renewals, and all of its customers."""
    old = as_of_day - payments.day >= LATE * period.days
    rows = np.flatnonzero(old & (share > 0))
    ended = rows[payments.is_last[rows] & (share[rows] > 0.5)]
    end = np.minimum(spells.end / DAY_MICROSECONDS, as_of_day)[payments.spell[ended]]
    parts = np.clip((end - payments.day[ended]) / period.days, 0.0, 1.0)
    renewals = fit_renewals(
        payments.number[rows].astype(np.float64),
        (~payments.is_last[rows]).astype(np.float64),
        share[rows],
        np.asarray(parts),
    )
    customers = max(round(float(share[payments.is_last].sum())), period.customers)
    return replace(period, renewals=renewals, customers=customers)

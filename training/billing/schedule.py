"""What contracts are still going to pay: the dates of their payments, and P(still open) at each.

    payment k is due  d - silence + (k - 1) d  days after the as_of, where d is the billing period
    S(t) = P(open at t)  =  exp(-own hazard, along that of the renewals)      in the horizon
                         =  S(horizon) x renewals ^ (own / usual hazard)    after it

The hazard within the horizon is that of P(cancel); when in it a contract ends, and what follows
after it, are told by the renewals of its billing period. Where some ends are announced, the usual
hazard within the horizon is that of those which are not yet. Of contracts whose end is known, the
payments before it come, and none after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from scipy.special import ndtr

from stagecast.features.arrays import Array
from stagecast.features.contracts import Contracts
from stagecast.training.billing.periods import BillingPeriods, Period
from stagecast.training.billing.standing import where_it_stands
from stagecast.training.billing.unannounced import Unannounced

USUAL_HAZARD: Final = 0.05
"""Hazard that is supposed beside that of the horizon and that of the renewals, where these are
compared: where no payment is due within the horizon, nothing is known of the one after it.
"""
SURE: Final = 0.93
"""A payment that comes with this probability counts in the lower end of a range, and nothing is
beyond the upper one: a little more than a tail of a tenth asks for, because P(cancel) is an
estimate itself."""
LATE: Final = 0.5
"""Days after which a payment that is overdue is taken to come, at the soonest."""
ON_DATE: Final = 0.25
"""Standard deviation in days, around its noon, of a payment that falls on a day of the month."""
NOON: Final = 0.5
EXPECTED: Final = ("orders", "p_none", "value", "kept", "value_p_none", "until")
"""Values that are means over the billing periods which a contract may have."""
MAX_CELLS: Final = 4_000_000
P = TypeVar("P")
_UNLIKELY: Final = 0.05
_CERTAIN: Final = 8.3
"""Standard deviations within which a normal value lies for sure, to the last digit."""
_OF_MONTHS: Final = 5.0
_SMALLEST: Final = 1e-12


@dataclass(frozen=True)
class Schedule:
    """What contracts are going to pay, in payments, shape (rows,) each.

    Parameters
    ----------
    share
        P(a billing period is known); the other values are those given that one is.
    orders, p_none
        Payments within the horizon, and P(none).
    value, kept
        Discounted payments within the value horizon, and within it if the contract goes on.
    value_p_none
        P(no payment within the value horizon).
    low, high
        Ends of the 90 % range of the payments within the value horizon: discounted, and not.
    orders_low, orders_high
        Those within the horizon.
    next_days
        Days to the next payment; NaN where it is less likely than not to come.
    until
        Discounted payments within each of several numbers of days, shape (rows, n).
    """

    share: Array
    orders: Array
    p_none: Array
    value: Array
    kept: Array
    value_p_none: Array
    low: Array
    high: Array
    orders_low: Array
    orders_high: Array
    next_days: Array
    until: Array


@dataclass(frozen=True)
class Spans:
    """Days that payments are counted within.

    Parameters
    ----------
    horizon, value
        The horizon and the value horizon.
    rate
        Annual rate of the discount.
    ends
        Further ends, as of ``clv_by_year``.
    unannounced
        Share of the ends within the horizon that are not known before; None of all.
    """

    horizon: int
    value: int
    rate: float
    ends: tuple[int, ...] = ()
    unannounced: Unannounced | None = None


def schedule(
    periods: BillingPeriods,
    columns: Mapping[str, Array],
    contracts: Contracts,
    p_cancel: Array,
    spans: Spans,
) -> Schedule:
    """Return what open contracts are going to pay.

    Parameters
    ----------
    periods
        The billing periods of the log.
    columns
        Features of the customers, shape (rows,) each.
    contracts
        Their contracts, all open.
    p_cancel
        P(cancellation within the horizon), shape (rows,).
    spans
        Horizons and discount.
    """
    shares = periods.shares(columns)
    share = shares.sum(axis=1)
    weights = shares / np.maximum(share, _SMALLEST)[:, None]
    # an end is known where a cancellation was announced
    days_left = np.where(contracts.announced, np.nan_to_num(contracts.days_left), np.inf)
    values = [
        _of_period(period, columns, contracts.age_days, p_cancel, days_left, spans)
        for period in periods.periods
    ]
    mixed = {name: _mean(weights, [getattr(value, name) for value in values]) for name in EXPECTED}
    likely = weights > _UNLIKELY
    for low, high in (("low", "high"), ("orders_low", "orders_high")):
        mixed[low] = _extreme(likely, [getattr(value, low) for value in values], np.inf).min(axis=1)
        highest = _extreme(likely, [getattr(value, high) for value in values], -np.inf)
        mixed[high] = highest.max(axis=1)
    likeliest = weights.argmax(axis=1)
    next_days = np.column_stack([value.next_days for value in values])
    mixed["next_days"] = next_days[np.arange(len(share)), likeliest]
    return Schedule(share=share, **mixed)


def _mean(weights: Array, values: Sequence[Array]) -> Array:
    stacked = np.stack(values, axis=1)
    weight = weights.reshape(weights.shape + (1,) * (stacked.ndim - 2))
    return np.asarray((weight * stacked).sum(axis=1))


def _extreme(likely: Array, values: Sequence[Array], other: float) -> Array:
    return np.where(likely, np.column_stack(values), other)


def _of_period(
    period: Period,
    columns: Mapping[str, Array],
    age_days: Array,
    p_cancel: Array,
    left: Array,
    spans: Spans,
) -> Schedule:
    """Return what contracts pay if they have this billing period, in parts of few rows."""
    payments = int(max(spans.horizon, spans.value, *spans.ends) / period.days) + 2
    since, so_far = where_it_stands(period, columns, age_days)
    first = (1.0 - since) * period.days
    if period.due is not None:  # the dates after it do not wait for a payment that is late
        first = period.days - period.silence(columns)

    def of_part(part: slice) -> Schedule:
        if period.is_by_months(columns):
            rows = {name: values[part] for name, values in columns.items()}
            due = period.dates_ahead(rows, payments)
        else:
            due = first[part, None] + np.arange(float(payments)) * period.days
        return _of_rows(
            period,
            due,
            since[part],
            so_far[part],
            p_cancel[part],
            left[part],
            spans,
        )

    return in_parts(len(p_cancel), max(1, MAX_CELLS // payments), of_part)


def in_parts(rows: int, at_once: int, of_part: Callable[[slice], P]) -> P:
    """Return a dataclass of arrays of shape (rows, ...), worked out for few rows at once.

    Parameters
    ----------
    rows
        Number of rows; 0 is worked out, too.
    at_once
        Rows of a part, at least 1.
    of_part
        Returns the dataclass of these rows.
    """
    starts = range(0, max(rows, 1), at_once)
    parts = [of_part(slice(start, start + at_once)) for start in starts]
    if len(parts) == 1:
        return parts[0]
    return type(parts[0])(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])}
    )


def _of_rows(
    period: Period,
    due: Array,
    since: Array,
    so_far: Array,
    p_cancel: Array,
    days_left: Array,
    spans: Spans,
) -> Schedule:
    number = np.arange(1.0, due.shape[1] + 1.0)
    due[:, 0] = np.maximum(due[:, 0], LATE)
    # hazard of the renewals from the as_of to each payment, and to the end of the horizon
    before = period.renewals.hazard(so_far, since)[:, None]
    counts, row = np.unique(so_far, return_inverse=True)  # few numbers of many rows
    usual = period.renewals.hazard(counts[:, None], number[None, :])[row] - before
    end = since + spans.horizon / period.days
    of_horizon = period.renewals.hazard(so_far, end)[:, None] - before
    own = -np.log1p(-np.clip(p_cancel, 0.0, 1.0 - _SMALLEST))[:, None]
    unknown, until = 1.0, usual  # ends that are not announced yet
    if spans.unannounced is not None:
        unknown = float(spans.unannounced.within(float(spans.horizon)))
        until = usual * (spans.unannounced.within(due) / unknown)
    ratio = (own + USUAL_HAZARD) / (unknown * of_horizon + USUAL_HAZARD)
    passed = np.clip(until / np.maximum(of_horizon, _SMALLEST), 0.0, 1.0)
    later = own + ratio * np.maximum(usual - of_horizon, 0.0)
    hazard = np.where(due < spans.horizon, own * passed, later)
    known_end = np.isfinite(days_left)[:, None]
    stays = np.where(known_end, due < days_left[:, None], np.exp(-hazard))
    discount = np.exp(due * (-np.log1p(spans.rate) / 365.0))
    of_value = stays * discount
    within = _Within.of(period, due)

    def discounted(days: float) -> Array:
        inside = within.until(days)
        return np.asarray((inside * of_value[:, : inside.shape[1]]).sum(axis=1) * period.paid)

    def p_none(inside: Array, stays: Array) -> Array:
        # the first payment that comes has payments before it that were left out
        first = period.paid * (1.0 - period.paid) ** np.arange(inside.shape[1])
        return np.asarray(1.0 - (inside * stays * first).sum(axis=1))

    horizon, value = (within.until(float(days)) for days in (spans.horizon, spans.value))
    near, far = horizon.shape[1], value.shape[1]  # no payment after these comes in time
    possible = np.where(known_end, stays, 1.0)
    cheaper, dearer = period.later_price
    return Schedule(
        share=np.ones(len(since)),
        orders=(horizon * stays[:, :near]).sum(axis=1) * period.paid,
        p_none=p_none(horizon, stays[:, :near]),
        value=discounted(float(spans.value)),
        kept=(value * discount[:, :far]).sum(axis=1) * period.paid,
        value_p_none=p_none(value, stays[:, :far]),
        low=cheaper
        * _surely(np.where(value * stays[:, :far] >= SURE, discount[:, :far], 0.0), period.paid),
        high=dearer * ((value > _UNLIKELY) * possible[:, :far]).sum(axis=1),
        orders_low=_surely(np.where(horizon * stays[:, :near] >= SURE, 1.0, 0.0), period.paid),
        orders_high=((horizon > _UNLIKELY) * possible[:, :near]).sum(axis=1),
        next_days=np.where(stays[:, 0] > 0.5, due[:, 0], np.nan),
        until=np.column_stack([discounted(float(end)) for end in spans.ends])
        if spans.ends
        else np.zeros((len(since), 0)),
    )


@dataclass(frozen=True)
class _Within:
    """P(payments come within some days), worked out where it is neither 0 nor 1.

    Parameters
    ----------
    due
        Days to the payments, shape (rows, payments).
    spread
        Their standard deviation, shape (payments,).
    first, last
        Days before and after which no payment of any contract is due, shape (payments,).
    """

    due: Array
    spread: Array
    first: Array
    last: Array

    @classmethod
    def of(cls, period: Period, due: Array) -> _Within:
        """Return it for the payments of a billing period."""
        number = np.arange(1.0, due.shape[1] + 1.0)
        if period.months is None:
            # days between payments add up; a date is as far off as the next one
            spread, of_day = period.spread_days * np.sqrt(number), due
        else:
            spread, of_day = np.full(len(number), ON_DATE), np.maximum(due, np.floor(due) + NOON)
        if period.due is not None:
            far = np.full(len(number), np.inf)
            return cls(of_day, spread, -far, far)
        # a payment is overdue by half a period at most, and the days of months differ
        first, last = (number - 1.5) * period.days, number * period.days
        return cls(of_day, spread, first - _OF_MONTHS, last + _OF_MONTHS)

    def until(self, days: float) -> Array:
        """Return P(payment within so many days), shape (rows, those that may be)."""
        sure = int(((days - self.last) / self.spread > _CERTAIN).sum())
        may = int(((days - self.first) / self.spread > -_CERTAIN).sum())
        result = np.ones((len(self.due), may))
        result[:, sure:] = ndtr((days - self.due[:, sure:may]) / self.spread[sure:may])
        return result


def _surely(payments: Array, paid: float) -> Array:
    """Return the lower end of what comes of payments, of which some may be left out, (rows,).

    The mean less 1.64 standard deviations of a binomial number.
    """
    due = payments.sum(axis=1)
    return np.asarray(np.maximum(due * paid - 1.64 * np.sqrt(due * paid * (1.0 - paid)), 0.0))

"""What contracts are still going to pay: the dates of their payments, and P(still open) at each.

    payment k is due  d - silence + (k - 1) d  days after the as_of, where d is the billing period
    S(t) = P(open at t)  =  exp(-P's hazard within the horizon, along the renewals of the period)
                            x renewals after the horizon ^ (own hazard / usual hazard)

The hazard within the horizon is that of P(cancel); when in it a contract ends, and what follows
after it, are told by the renewals of its billing period. Of contracts whose end is known, the
payments before it come, and none after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from scipy.special import ndtr

from stagecast.features.arrays import Array
from stagecast.features.contracts import Contracts
from stagecast.training.billing.periods import BillingPeriods, Period
from stagecast.training.billing.renewals import LATEST

USUAL_HAZARD: Final = 0.05
"""Hazard that is supposed beside that of the horizon and that of the renewals, where these are
compared: where no payment is due within the horizon, nothing is known of the one after it.
"""
CONTRACT_TAIL: Final = 0.10
"""Share of contracts that end before the lower end of a range; nothing is beyond the upper one."""
MAX_CELLS: Final = 4_000_000
_UNLIKELY: Final = 0.05
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
    near, value, kept
        Discounted payments within the horizon or, if shorter, the value horizon; within the value
        horizon; and within it if the contract goes on.
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
    near: Array
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
    """

    horizon: int
    value: int
    rate: float
    ends: tuple[int, ...] = ()


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
    given = shares / np.maximum(share, _SMALLEST)[:, None]
    # an end is known where a cancellation was announced
    days_left = np.where(contracts.announced, np.nan_to_num(contracts.days_left), np.inf)
    values = [
        _of_period(period, columns, contracts.age_days, p_cancel, days_left, spans)
        for period in periods.periods
    ]
    mixed = {
        f.name: _mean(given, [getattr(value, f.name) for value in values])
        for f in fields(Schedule)
        if f.name != "share"
    }
    likely = given > _UNLIKELY
    for low, high in (("low", "high"), ("orders_low", "orders_high")):
        mixed[low] = _extreme(likely, [getattr(value, low) for value in values], np.inf).min(axis=1)
        highest = _extreme(likely, [getattr(value, high) for value in values], -np.inf)
        mixed[high] = highest.max(axis=1)
    likeliest = given.argmax(axis=1)
    next_days = np.column_stack([value.next_days for value in values])
    mixed["next_days"] = next_days[np.arange(len(share)), likeliest]
    return Schedule(share=share, **mixed)


def _mean(given: Array, values: Sequence[Array]) -> Array:
    stacked = np.stack([np.nan_to_num(value) for value in values], axis=1)
    weight = given.reshape(given.shape + (1,) * (stacked.ndim - 2))
    return np.asarray((weight * stacked).sum(axis=1))


def _extreme(likely: Array, values: Sequence[Array], other: float) -> Array:
    return np.where(likely, np.column_stack(values), other)


def _of_period(
    period: Period,
    columns: Mapping[str, Array],
    age_days: Array,
    p_cancel: Array,
    days_left: Array,
    spans: Spans,
) -> Schedule:
    """Return what contracts pay if they have this billing period, in parts of few rows."""
    longest = max(spans.horizon, spans.value, *spans.ends)
    payments = int(longest / period.days) + 2
    rows = len(p_cancel)
    at_once = max(1, MAX_CELLS // payments)
    parts = [
        _of_rows(
            period,
            payments,
            columns["recency_days"][start : start + at_once],
            np.minimum(
                columns["orders"][start : start + at_once],
                1.0 + np.round(age_days[start : start + at_once] / period.days),
            ),
            p_cancel[start : start + at_once],
            days_left[start : start + at_once],
            spans,
        )
        for start in range(0, max(rows, 1), at_once)
    ]
    if len(parts) == 1:
        return parts[0]
    return Schedule(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Schedule)}
    )


def _of_rows(
    period: Period,
    payments: int,
    silence: Array,
    so_far: Array,
    p_cancel: Array,
    days_left: Array,
    spans: Spans,
) -> Schedule:
    number = np.arange(payments)
    part = np.minimum(silence / period.days, LATEST)[:, None]
    due = np.maximum(period.days - silence, 0.0)[:, None] + number * period.days
    log_renewal = np.log(period.renewals.renewal(so_far[:, None] + number))
    stays_so_far = np.log(period.renewals.stays(so_far[:, None], part))
    # hazard of the renewals from the as_of to each payment
    usual = np.maximum(stays_so_far - np.cumsum(log_renewal, axis=1), 0.0)
    of_horizon = _usual_at(period, float(spans.horizon), due, usual, so_far, part, stays_so_far)
    own = -np.log1p(-np.clip(p_cancel, 0.0, 1.0 - _SMALLEST))[:, None]
    ratio = (own + USUAL_HAZARD) / (of_horizon + USUAL_HAZARD)
    passed = np.minimum(usual / np.maximum(of_horizon, _SMALLEST), 1.0)
    hazard = np.where(
        due < spans.horizon, own * passed, own + ratio * np.maximum(usual - of_horizon, 0.0)
    )
    known_end = np.isfinite(days_left)[:, None]
    stays = np.where(known_end, due < days_left[:, None], np.exp(-hazard))
    discount = (1.0 + spans.rate) ** (-due / 365.0)
    spread = period.spread_days * np.sqrt(1.0 + number)

    def within(days: float) -> Array:
        inside = ndtr((days - due) / spread)
        inside[:, 1:] = np.minimum(inside[:, 1:], 1.0)
        return np.asarray(inside)

    def discounted(days: float) -> Array:
        return np.asarray((within(days) * stays * discount).sum(axis=1))

    horizon, value = within(float(spans.horizon)), within(float(spans.value))
    certain = 1.0 - CONTRACT_TAIL
    possible = np.where(known_end, stays, 1.0)
    return Schedule(
        share=np.ones(len(silence)),
        orders=(horizon * stays).sum(axis=1),
        p_none=1.0 - horizon[:, 0] * stays[:, 0],
        near=discounted(float(min(spans.horizon, spans.value))),
        value=discounted(float(spans.value)),
        kept=(value * possible * discount).sum(axis=1),
        value_p_none=1.0 - value[:, 0] * stays[:, 0],
        low=((value * stays >= certain) * discount).sum(axis=1),
        high=((value > _UNLIKELY) * possible).sum(axis=1),
        orders_low=(horizon * stays >= certain).sum(axis=1).astype(np.float64),
        orders_high=((horizon > _UNLIKELY) * possible).sum(axis=1),
        next_days=np.where(stays[:, 0] > 0.5, due[:, 0], np.nan),
        until=np.column_stack([discounted(float(end)) for end in spans.ends])
        if spans.ends
        else np.zeros((len(silence), 0)),
    )


def _usual_at(
    period: Period,
    days: float,
    due: Array,
    usual: Array,
    so_far: Array,
    part: Array,
    stays_so_far: Array,
) -> Array:
    """Return the hazard of the renewals from the as_of to a day, shape (rows, 1)."""
    rows = np.arange(len(due))
    passed = (due < days).sum(axis=1)  # payments before the day
    since = np.where(passed > 0, days - due[rows, np.maximum(passed - 1, 0)], 0.0)
    at = np.where(passed > 0, since / period.days, np.minimum(part[:, 0] + days / period.days, 1.0))
    before = np.where(passed > 0, usual[rows, np.maximum(passed - 1, 0)], stays_so_far[:, 0])
    within = np.log(period.renewals.stays(so_far + passed, np.minimum(at, 1.0)))
    return np.maximum(before - within, 0.0)[:, None]

"""Where contracts stand in their billing period, and the hazard of the renewals from there on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.billing.periods import BillingPeriods, Period
from stagecast.training.billing.renewals import LATEST

RENEWAL_HAZARD: Final = "log_renewal_hazard"
"""Column of the models of cancellation: log of the hazard of the renewals in a step."""
KNOWN_FROM: Final = 0.5
"""Least P(a billing period is known) of a contract with such a hazard."""
_SMALLEST: Final = 1e-6


def where_it_stands(
    period: Period, columns: Mapping[str, Array], age_days: Array
) -> tuple[Array, Array]:
    """Return the billing periods since the last payment, and the payments so far, (rows,) each.

    A contract whose payment is overdue stands at the end of its period.

    Parameters
    ----------
    period
        The billing period.
    columns
        Features of the customers, shape (rows,) each.
    age_days
        Days since the contracts began: payments of earlier contracts do not count.
    """
    since = np.clip(period.silence(columns) / period.days, 0.0, LATEST)
    passed = np.round(age_days / period.days)
    if period.due is not None:  # the first date may have come soon
        passed = np.ceil(age_days / period.days)
    so_far = np.minimum(columns["orders"], 1.0 + passed)
    return np.asarray(since), np.maximum(so_far, 1.0)


def log_renewal_hazard(
    periods: BillingPeriods,
    columns: Mapping[str, Array],
    age_days: Array,
    ahead_days: Array,
    step_days: int,
) -> Array:
    """Return the log of the hazard of the renewals in a step, shape (rows,); NaN where unknown.

    Parameters
    ----------
    periods
        The billing periods of the log.
    columns
        Features of the customers at a date, shape (rows,) each.
    age_days
        Days since the contracts began, at that date.
    ahead_days
        Days from the date to the beginning of the step.
    step_days
        Length of the step.
    """
    shares = periods.shares(columns)
    known = shares.sum(axis=1)
    hazard = np.zeros(len(known))
    for k, period in enumerate(periods.periods):
        since, so_far = where_it_stands(period, columns, age_days)
        begin = since + ahead_days / period.days
        end = period.renewals.hazard(so_far, begin + step_days / period.days)
        hazard += shares[:, k] * (end - period.renewals.hazard(so_far, begin))
    mean = hazard / np.maximum(known, _SMALLEST)
    return np.where(known >= KNOWN_FROM, np.log(np.maximum(mean, _SMALLEST)), np.nan)


def days_to_payment(periods: BillingPeriods, columns: Mapping[str, Array]) -> Array:
    """Return the days until the next payment is due, shape (rows,); NaN where unknown."""
    return np.maximum(_days_left(periods, columns)[0], 0.0)


def days_late(periods: BillingPeriods, columns: Mapping[str, Array]) -> Array:
    """Return the whole days by which the payment is late, shape (rows,); NaN where unknown.

    0 where it is not due yet, or no later than payments of the period usually are.
    """
    left, spread = _days_left(periods, columns)
    late = np.floor(-left)
    return np.where((late >= 1.0) & (late > spread), late, np.where(np.isnan(left), np.nan, 0.0))


def _days_left(periods: BillingPeriods, columns: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return the days until the next payment is due, below 0 of one that is late, and the spread
    of the days between two, (rows,) each; NaN where unknown.
    """
    shares = periods.shares(columns)
    left = np.column_stack([p.days - p.silence(columns) for p in periods.periods])
    likeliest = shares.argmax(axis=1)
    of_row = left[np.arange(len(shares)), likeliest]
    known = shares.sum(axis=1) >= KNOWN_FROM
    # on a day of the month, the spread is that of the lengths of months
    spread = [0.0 if p.is_by_months(columns) else p.spread_days for p in periods.periods]
    return np.where(known, of_row, np.nan), np.array(spread)[likeliest]


def days_between_payments(periods: BillingPeriods, columns: Mapping[str, Array]) -> Array:
    """Return the likeliest billing period, shape (rows,), in days; NaN where it is unknown."""
    shares = periods.shares(columns)
    days = np.array([period.days for period in periods.periods])[shares.argmax(axis=1)]
    return np.where(shares.sum(axis=1) >= KNOWN_FROM, days, np.nan)

"""Customers by the period of their first purchase, and their purchases in later periods."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stagecast.features.arrays import position_within
from stagecast.features.describe.flows.columns import INSTANT, counts, money, numbers
from stagecast.features.describe.flows.past import purchases_before
from stagecast.features.describe.flows.periods import Periods
from stagecast.features.record import PurchaseDays


def cohorts(days: PurchaseDays, periods: Periods, has_amounts: bool = True) -> pa.Table:
    """Return the purchases of each cohort in its first and each later period.

    Parameters
    ----------
    days
        Purchase days; those from the as_of of ``periods`` on do not enter.
    periods
        See :func:`stagecast.features.describe.flows.periods.periods`. A customer whose first
        purchase was before the first period is in no cohort.
    has_amounts
        Whether the log has amounts; if not, ``spend`` is null.

    Returns
    -------
    pa.Table
        One row per cohort and period, from the cohort's own up to the one that the as_of cuts:
        ``cohort`` (start of the period of the first purchase); ``customers`` in it; ``age`` in
        periods (0 is the cohort's own); ``complete``, whether the period was over at the as_of;
        ``active``, the customers with a purchase in the period; ``retention``, their share;
        ``spend`` of the cohort in the period. Periods without a first purchase have no cohort.
    """
    days = purchases_before(days, periods.as_of)
    period = periods.positions(days.first_purchase)
    nth = position_within(days.customer)
    first = period[np.arange(len(period)) - nth]
    has_cohort = first >= 0
    period, first, nth, spend = (
        period[has_cohort],
        first[has_cohort],
        nth[has_cohort],
        days.spend[has_cohort],
    )
    # a customer's days are ordered, so those of one period are neighbours
    is_repeated = np.r_[False, (nth[1:] > 0) & (period[1:] == period[:-1])][: len(period)]
    cohort_period, cohort = np.unique(first, return_inverse=True)
    ages = len(periods) - cohort_period
    first_row = np.cumsum(ages) - ages
    row = first_row[cohort] + period - first
    rows = int(ages.sum())
    active = np.bincount(row[~is_repeated], minlength=rows)
    customers = np.repeat(active[first_row], ages)
    age = np.arange(rows) - np.repeat(first_row, ages)
    return pa.table(
        {
            "cohort": pa.array(np.repeat(periods.start[cohort_period], ages), INSTANT),
            "customers": counts(customers),
            "age": counts(age),
            "complete": pa.array(
                periods.complete[np.repeat(cohort_period, ages) + age], pa.bool_()
            ),
            "active": counts(active),
            "retention": numbers(active / customers),
            "spend": numbers(money(row, spend, rows) if has_amounts else np.full(rows, np.nan)),
        }
    )

"""Customers by the period of their first purchase: how many of them buy in each later period,
and for how much.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stagecast.features.arrays import position_within
from stagecast.features.describe.flows.columns import INSTANT, counts, money, numbers
from stagecast.features.describe.flows.past import bought_before
from stagecast.features.describe.flows.periods import Periods
from stagecast.features.record import PurchaseDays


def cohorts(days: PurchaseDays, periods: Periods, has_amounts: bool = True) -> pa.Table:
    """Return the purchases of each cohort, period by period since its first.

    Parameters
    ----------
    days
        What was bought from the as_of of ``periods`` on does not enter.
    periods
        See :func:`stagecast.features.describe.flows.periods.periods`. A customer whose first
        purchase stands before the first period is in no cohort.
    has_amounts
        Whether the log says what was paid; without, ``spend`` is null.

    Returns
    -------
    pa.Table
        One row per cohort and period from its own up to the one that the as_of cuts: ``cohort``
        (start of the period of the first purchase); ``customers`` in it; ``age`` in periods (0 is
        the cohort's own); ``complete``, whether that period was over at the as_of; ``active``,
        those with a purchase in it; ``retention``, their share; ``spend`` of the cohort in it.
        Periods without a first purchase are no cohort.
    """
    days = bought_before(days, periods.as_of)
    period = periods.number(days.first_purchase)
    nth = position_within(days.customer)
    first = period[np.arange(len(period)) - nth]
    kept = first >= 0
    period, first, nth, spend = period[kept], first[kept], nth[kept], days.spend[kept]
    # a customer's days are in order, so those of one period stand together
    again = np.r_[False, (nth[1:] > 0) & (period[1:] == period[:-1])][: len(period)]
    started, cohort = np.unique(first, return_inverse=True)
    ages = len(periods) - started
    begin = np.cumsum(ages) - ages
    row = begin[cohort] + period - first
    rows = int(ages.sum())
    active = np.bincount(row[~again], minlength=rows)
    customers = np.repeat(active[begin], ages)
    age = np.arange(rows) - np.repeat(begin, ages)
    return pa.table(
        {
            "cohort": pa.array(np.repeat(periods.start[started], ages), INSTANT),
            "customers": counts(customers),
            "age": counts(age),
            "complete": pa.array(periods.complete[np.repeat(started, ages) + age], pa.bool_()),
            "active": counts(active),
            "retention": numbers(active / customers),
            "spend": numbers(money(row, spend, rows) if has_amounts else np.full(rows, np.nan)),
        }
    )

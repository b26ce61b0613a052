"""Fitting of the customer-base models of the dates of a panel, each on what was known at it."""

from __future__ import annotations

from typing import Final

import numpy as np

from stagecast.features.arrays import Integers
from stagecast.features.clock import microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.record import PurchaseDays
from stagecast.features.snapshots import Snapshot
from stagecast.features.stages.lifecycle import Lifecycle
from stagecast.training.billing.calendar import DueDate
from stagecast.training.billing.fit_calendar import due_date_of_all
from stagecast.training.billing.payments import Payments
from stagecast.training.columns import rows_of
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import fit_customer_base
from stagecast.training.learners.fit_dates import with_dates
from stagecast.training.learners.fit_plans import with_plans
from stagecast.training.learners.fit_regularities import with_regularities
from stagecast.training.learners.fit_seasonal_buyers import pays_prices, with_season_of_buyers
from stagecast.training.learners.random_customers import less_random

PAST_CUSTOMERS: Final = 5_000
"""About how many customers the models of a past date are fitted on."""
MAX_CUSTOMERS: Final = 200_000
"""Those of the as_of: the standard error of their parameters is about half a per cent."""


def fit_base(
    table: DailyTable,
    life: Lifecycle,
    snapshot: Snapshot,
    back: int,
    config: TrainConfig,
    start: CustomerBase | None = None,
) -> CustomerBase:
    """Return the customer-base models of a date.

    Parameters
    ----------
    table
        Daily table of the as_of.
    life
        The lifecycle at the as_of.
    snapshot
        Snapshot of the date.
    back
        Days from the date to the as_of.
    config
        Settings of the training.
    start
        The models of another date, whose parameters the optimisation starts from.

    Raises
    ------
    stagecast.training.learners.btyd.fit.FitError
        Too few customers or repeat buyers for any of the models.
    """
    own = config.members.base
    rows = np.flatnonzero(snapshot.buyers)
    bought = rows_of(snapshot.features, rows)
    days = known_days(table, life, snapshot, back)
    due = None
    if days is not None and config.churn == "inactivity":  # else contracts tell
        due = due_date_of_all(Payments.of_customers(days))
    if due is not None:
        bought = due.on_the_date(bought)
    customers = snapshot.customer[rows]
    gaps = None if days is None or not own.regular_gaps else gaps_of(days, customers, due)
    most = PAST_CUSTOMERS if back else MAX_CUSTOMERS
    base = fit_customer_base(bought, start, most, gaps, own.models, due)
    if days is None or gaps is None:
        return base
    if due is None and config.churn == "inactivity":
        as_of = microseconds(snapshot.as_of)
        planned = with_plans(base, bought, customers, days, as_of, most)
        if planned is not base:
            return planned
    dated = less_random(with_dates(base, days), days)
    if config.churn != "inactivity":
        return dated
    if not (dated.has_dates and pays_prices(days)):
        seasonal = with_season_of_buyers(base, bought, customers, days, most, own.models)
        if seasonal is not base:
            return seasonal
    return with_regularities(dated, bought, gaps)


def known_days(
    table: DailyTable, life: Lifecycle, snapshot: Snapshot, back: int
) -> PurchaseDays | None:
    """Return the purchase days of a snapshot's buyers, as known at its date.

    None where these are not the days that the features count. The parameters are those of
    :func:`fit_base`.
    """
    changed = back and table.purchase_days_may_differ(back)
    days = table.purchase_days(back) if changed else life.record.days
    days = days.of(np.flatnonzero(days.first_purchase < microseconds(snapshot.as_of)))
    return days if are_counted(days, snapshot) else None


def are_counted(days: PurchaseDays, snapshot: Snapshot) -> bool:
    """Return whether purchase days are those that the features of a snapshot count."""
    buyers = snapshot.customer[snapshot.buyers]
    counts = np.bincount(days.customer, minlength=_customers(days, buyers))
    return np.array_equal(counts[buyers], snapshot.features["orders"][snapshot.buyers])


def gaps_of(days: PurchaseDays, buyers: Integers, due: DueDate | None = None) -> LogGaps:
    """Return the sums over the gaps of buyers.

    Parameters
    ----------
    days
        All purchase days.
    buyers
        Numbers of the customers in ``days``, shape (n_buyers,).
    due
        The date of the year on which everybody pays, a year before which histories begin.
    """
    day = days.day if due is None else _on_the_date(days, due)
    return LogGaps.of(days.customer, day, _customers(days, buyers)).of_rows(buyers)


def _customers(days: PurchaseDays, buyers: Integers) -> int:
    """Return the largest number of a customer and one."""
    return 1 + int(max(buyers.max(initial=-1), days.customer.max(initial=-1)))


def _on_the_date(days: PurchaseDays, due: DueDate) -> Integers:
    """Return the days as in the histories, see :meth:`DueDate.on_the_date`, whole numbers."""
    first = np.flatnonzero(np.diff(days.customer, prepend=-1))
    day = days.day.astype(np.float64)
    is_near = due.is_near(day)
    moved = np.where(is_near, due.nearest(day), day)
    last = np.r_[first[1:] - 1, len(day) - 1]
    moved[first] = np.where(is_near[last], due.begins(day[first]), day[first])
    # a gap is a day at least
    gaps = np.maximum(np.diff(np.round(moved), prepend=moved[:1]), 1.0)
    return np.cumsum(gaps).astype(np.int64)

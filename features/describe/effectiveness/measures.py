"""Measures of a window, each as sums over customers, so that customers can be drawn again.

The customers of a window are those who bought in it or in the look-back before it, which has the
same length for every window. Each is counted from the day after their first such purchase to the
end of the window. So the purchase that makes a customer one of the window's does not count, and a
customer who comes late does not look like one who buys little. All customers ever known are not
used: their number only grows, most of them have long left, and the later window would look worse
even where nothing changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.effectiveness.resampling import Quantity
from stagecast.features.describe.effectiveness.stage_times import mean_stay, spell_ends
from stagecast.features.describe.effectiveness.windows import Window
from stagecast.features.errors import UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

RETURN_DAYS = 30
PERIOD_DAYS = 30


@dataclass(frozen=True)
class Costs:
    """Costs to serve customers, one row per expense.

    Parameters
    ----------
    customer
        Row of the customer, as in :class:`~stagecast.features.record.PurchaseDays`, shape
        (n_expenses,).
    instant
        Microseconds since 1970, UTC, shape (n_expenses,).
    amount
        In the currency of the log, shape (n_expenses,).
    """

    customer: NDArray[np.int64]
    instant: NDArray[np.int64]
    amount: Array

    def validated(self, customers: int) -> Costs:
        """Return the costs themselves after a check.

        Parameters
        ----------
        customers
            Number of customers of the log.

        Raises
        ------
        UsageError
            Columns differ in length, a customer does not exist, or an amount is not finite.
        """
        lengths = {len(self.customer), len(self.instant), len(self.amount)}
        if len(lengths) > 1:
            raise UsageError(
                f"costs: columns are {sorted(lengths)} rows long; give one value of each "
                "per expense"
            )
        if (invalid := (self.customer < 0) | (self.customer >= customers)).any():
            row = int(np.flatnonzero(invalid)[0])
            raise UsageError(
                f"costs, row {row}: customer {self.customer[row]} is none of the "
                f"{customers} of the log; leave it out"
            )
        if (invalid := ~np.isfinite(self.amount)).any():
            row = int(np.flatnonzero(invalid)[0])
            raise UsageError(
                f"costs, row {row}: amount {self.amount[row]} is no number; leave the row "
                "out or set it"
            )
        return self


@dataclass(frozen=True)
class MeasureKind:
    """A kind of measure.

    Parameters
    ----------
    id
        Its key in tables and files.
    title
        What it is called.
    unit
        As it follows a number in a sentence.
    is_share
        Whether its values are shares, 0 to 1.
    """

    id: str
    title: str
    unit: str
    is_share: bool = False


SALES = MeasureKind("sales", "Sales in all", "a day")
ORDERS = MeasureKind("orders", "Orders in all", "a day")
SALES_PER_CUSTOMER = MeasureKind(
    "sales_per_customer", "Sales per customer", f"in {PERIOD_DAYS} days"
)
ORDERS_PER_CUSTOMER = MeasureKind(
    "orders_per_customer", "Orders per customer", f"in {PERIOD_DAYS} days"
)
BOUGHT_AGAIN = MeasureKind(
    "bought_again", f"Customers who bought again within {RETURN_DAYS} days", "", is_share=True
)
COST_PER_CUSTOMER = MeasureKind(
    "cost_per_customer", "Cost to serve per customer", f"in {PERIOD_DAYS} days"
)


def stage_kind(journeys: Journeys, position: int, limit_days: int) -> MeasureKind:
    """Return the kind of measure for the time on a stage."""
    stage = journeys.scheme.stages[position]
    return MeasureKind(
        f"days_on:{stage.id}",
        f"Time on stage {stage.title.get('en', stage.id)}",
        f"days of the first {limit_days}",
    )


@dataclass(frozen=True)
class Log:
    """The data of the measures.

    Parameters
    ----------
    journeys, days
        Spells and purchase days of the customers.
    costs
        None if they are unknown.
    customers
        Number of customers.
    has_amounts
        Whether purchases have amounts.
    """

    journeys: Journeys
    days: PurchaseDays
    costs: Costs | None
    customers: int
    has_amounts: bool


def measure_window(
    log: Log, window: Window, look_back_days: int, limit_days: int
) -> dict[MeasureKind, Quantity]:
    """Return every measure of a window that the log allows.

    Parameters
    ----------
    log
        The data.
    window
        Days over which the measures are taken.
    look_back_days
        Days before the window in which a purchase makes a customer one of the window's.
    limit_days
        Longer stays on a stage count as this number of days.
    """
    days, customers = log.days, log.customers
    entry_day = _entry_days(days, window.start - look_back_days, window.end, customers)
    # days over which each customer is counted; 0 for those who are not among the window's
    exposed = (window.end - np.maximum(entry_day + 1, window.start)).astype(np.float64)
    n_exposed = int((exposed > 0).sum())
    in_window = np.flatnonzero((days.day >= window.start) & (days.day < window.end))
    after_entry = in_window[days.day[in_window] > entry_day[days.customer[in_window]]]
    measures: dict[MeasureKind, Quantity] = {}
    if log.has_amounts:
        measures[SALES] = Quantity(
            _sums(days, in_window, customers), scale=1 / window.days, customers=n_exposed
        )
        measures[SALES_PER_CUSTOMER] = Quantity(
            _sums(days, after_entry, customers), exposed, PERIOD_DAYS, customers=n_exposed
        )
    else:
        measures[ORDERS] = Quantity(
            _counts(days.customer[in_window], customers), scale=1 / window.days, customers=n_exposed
        )
    orders = _counts(days.customer[after_entry], customers)
    measures[ORDERS_PER_CUSTOMER] = Quantity(orders, exposed, PERIOD_DAYS, customers=n_exposed)
    observed, again = _repeat_purchases(days, window, customers)
    measures[BOUGHT_AGAIN] = Quantity(again, observed, customers=int(observed.sum()))
    if log.costs is not None:
        cost_day = log.costs.instant // DAY_MICROSECONDS
        counted = np.flatnonzero(
            (cost_day >= window.start)
            & (cost_day < window.end)
            & (cost_day > entry_day[log.costs.customer])
        )
        cost = np.bincount(
            log.costs.customer[counted], weights=log.costs.amount[counted], minlength=customers
        )
        # without any cost it is unknown whether nothing was spent or nothing was recorded
        base = 0.0 if len(counted) else math.nan
        measures[COST_PER_CUSTOMER] = Quantity(
            np.asarray(cost, dtype=np.float64), exposed, PERIOD_DAYS, base, n_exposed
        )
    ends = spell_ends(log.journeys)
    for stage in range(len(log.journeys.scheme.stages)):
        stay = mean_stay(log.journeys, ends, stage, window, limit_days, customers)
        measures[stage_kind(log.journeys, stage, limit_days)] = Quantity(
            stay.influence, base=stay.mean_days, customers=stay.customers
        )
    return measures


def _repeat_purchases(days: PurchaseDays, window: Window, customers: int) -> tuple[Array, Array]:
    """Return flags: who was observed for 30 days after a purchase, and who bought again.

    Only the first purchase day of each customer in the window counts, so that frequent buyers do
    not count more than others.
    """
    in_window = np.flatnonzero((days.day >= window.start) & (days.day < window.end - RETURN_DAYS))
    customer = days.customer[in_window]
    first = in_window[np.r_[True, customer[1:] != customer[:-1]]] if len(in_window) else in_window
    next_row = np.minimum(first + 1, max(len(days.day) - 1, 0))
    again = (next_row > first) & (days.customer[next_row] == days.customer[first])
    again &= days.day[next_row] - days.day[first] <= RETURN_DAYS
    return _flags(days.customer[first], customers), _flags(days.customer[first[again]], customers)


def _entry_days(days: PurchaseDays, start: int, end: int, customers: int) -> NDArray[np.int64]:
    """Return the first day from ``start``, before ``end``, on which each customer bought.

    It is the day before ``end`` for customers who did not buy.
    """
    entry_day = np.full(customers, end - 1, dtype=np.int64)
    # backwards: of several assignments to one customer the last one wins
    rows = np.flatnonzero((days.day >= start) & (days.day < end))[::-1]
    entry_day[days.customer[rows]] = days.day[rows]
    return entry_day


def _sums(days: PurchaseDays, rows: NDArray[np.int64], customers: int) -> Array:
    """Return the spend of each customer in some rows."""
    spend = np.bincount(days.customer[rows], weights=days.spend[rows], minlength=customers)
    return np.asarray(spend, dtype=np.float64)


def _counts(customer: NDArray[np.int64], customers: int) -> Array:
    """Return how often each customer occurs."""
    return np.bincount(customer, minlength=customers).astype(np.float64)


def _flags(customer: NDArray[np.int64], customers: int) -> Array:
    """Return 1 for the customers that occur, 0 for the others."""
    flags = np.zeros(customers)
    flags[customer] = 1.0
    return flags

"""What is measured in a window: each measure as sums over customers, so that customers can be drawn
anew.

The customers of a window are those who bought in it or in the look-back before it, which is equally
long for every window. Each is counted from the day after the first such purchase, over the days
that follow in the window: the purchase that brings a customer into the count is neither held
against them nor for them, and one who comes late is not taken for one who buys little. Everybody
ever known would be the wrong company: they only become more, most of them long gone, so that the
later window would look worse even where nothing had changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.effectiveness.resampling import Quantity
from stagecast.features.describe.effectiveness.stage_times import spell_ends, stay
from stagecast.features.describe.effectiveness.windows import Window
from stagecast.features.errors import UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys

RETURN_DAYS = 30
PERIOD_DAYS = 30


@dataclass(frozen=True)
class Costs:
    """What serving customers cost: one row per expense.

    ``customer`` is the row of the customer (as in
    :class:`~stagecast.features.record.PurchaseDays`), ``instant`` microseconds since 1970,
    ``amount`` in the money of the log.
    """

    customer: NDArray[np.int64]
    instant: NDArray[np.int64]
    amount: Array

    def checked(self, customers: int) -> Costs:
        """Return the costs themselves.

        Raises
        ------
        UsageError
            Columns of different length, a customer who does not exist, an amount that is no number.
        """
        lengths = {len(self.customer), len(self.instant), len(self.amount)}
        if len(lengths) > 1:
            raise UsageError(
                f"costs: columns are {sorted(lengths)} rows long; give one value of each "
                "per expense"
            )
        if (strange := (self.customer < 0) | (self.customer >= customers)).any():
            row = int(np.flatnonzero(strange)[0])
            raise UsageError(
                f"costs, row {row}: customer {self.customer[row]} is none of the "
                f"{customers} of the log; leave it out"
            )
        if (strange := ~np.isfinite(self.amount)).any():
            row = int(np.flatnonzero(strange)[0])
            raise UsageError(
                f"costs, row {row}: amount {self.amount[row]} is no number; leave the row "
                "out or set it"
            )
        return self


@dataclass(frozen=True)
class Kind:
    """A measure: its key, what it is called, and the unit as it follows a number in a sentence."""

    id: str
    title: str
    unit: str
    is_share: bool = False


SALES = Kind("sales", "Sales in all", "a day")
ORDERS = Kind("orders", "Orders in all", "a day")
SALES_EACH = Kind("sales_per_customer", "Sales per customer", f"in {PERIOD_DAYS} days")
ORDERS_EACH = Kind("orders_per_customer", "Orders per customer", f"in {PERIOD_DAYS} days")
RETURNED = Kind(
    "bought_again", f"Customers who bought again within {RETURN_DAYS} days", "", is_share=True
)
COST_EACH = Kind("cost_per_customer", "Cost to serve per customer", f"in {PERIOD_DAYS} days")


def stage_kind(journeys: Journeys, stage: int, limit_days: int) -> Kind:
    """Return the measure of the time spent on a stage."""
    one = journeys.scheme.stages[stage]
    return Kind(
        f"days_on:{one.id}",
        f"Time on stage {one.title.get('en', one.id)}",
        f"days of the first {limit_days}",
    )


@dataclass(frozen=True)
class Log:
    """What is measured: ``costs`` is None where none are given, ``customers`` how many there are
    in all.
    """

    journeys: Journeys
    days: PurchaseDays
    costs: Costs | None
    customers: int
    has_amounts: bool


def measured(
    log: Log, window: Window, look_back_days: int, limit_days: int
) -> dict[Kind, Quantity]:
    """Return every measure of a window that the log allows.

    Parameters
    ----------
    window, look_back_days
        What is counted, and how much earlier a customer may have bought last and still be counted
        among them.
    limit_days
        Up to which a stay on a stage counts.
    """
    days, customers = log.days, log.customers
    entered = _entries(days, window.start - look_back_days, window.end, customers)
    # days counted of each customer; nobody's who did not enter
    exposed = (window.end - np.maximum(entered + 1, window.start)).astype(np.float64)
    company = int((exposed > 0).sum())
    here = np.flatnonzero((days.day >= window.start) & (days.day < window.end))
    following = here[days.day[here] > entered[days.customer[here]]]
    found: dict[Kind, Quantity] = {}
    if log.has_amounts:
        found[SALES] = Quantity(
            _sums(days, here, customers), scale=1 / window.days, customers=company
        )
        found[SALES_EACH] = Quantity(
            _sums(days, following, customers), exposed, PERIOD_DAYS, customers=company
        )
    else:
        found[ORDERS] = Quantity(
            _counts(days.customer[here], customers), scale=1 / window.days, customers=company
        )
    orders = _counts(days.customer[following], customers)
    found[ORDERS_EACH] = Quantity(orders, exposed, PERIOD_DAYS, customers=company)
    came, again = _returns(days, window, customers)
    found[RETURNED] = Quantity(again, came, customers=int(came.sum()))
    if log.costs is not None:
        at = log.costs.instant // DAY_MICROSECONDS
        spent = np.flatnonzero(
            (at >= window.start) & (at < window.end) & (at > entered[log.costs.customer])
        )
        cost = np.bincount(
            log.costs.customer[spent], weights=log.costs.amount[spent], minlength=customers
        )
        # without any, nobody can tell whether nothing was spent or nothing written down
        unknown = 0.0 if len(spent) else math.nan
        found[COST_EACH] = Quantity(
            np.asarray(cost, dtype=np.float64), exposed, PERIOD_DAYS, unknown, company
        )
    ends = spell_ends(log.journeys)
    for stage in range(len(log.journeys.scheme.stages)):
        stayed = stay(log.journeys, ends, stage, window, limit_days, customers)
        found[stage_kind(log.journeys, stage, limit_days)] = Quantity(
            stayed.influence, base=stayed.mean_days, customers=stayed.customers
        )
    return found


def _returns(days: PurchaseDays, window: Window, customers: int) -> tuple[Array, Array]:
    """Return who bought early enough in the window to be seen for 30 days in it, and who of them
    did so again.

    Of each customer the first such purchase day counts, so that those who buy often do not speak
    for the others.
    """
    here = np.flatnonzero((days.day >= window.start) & (days.day < window.end - RETURN_DAYS))
    whose = days.customer[here]
    first = here[np.r_[True, whose[1:] != whose[:-1]]] if len(here) else here
    following = np.minimum(first + 1, max(len(days.day) - 1, 0))
    again = (following > first) & (days.customer[following] == days.customer[first])
    again &= days.day[following] - days.day[first] <= RETURN_DAYS
    return _flags(days.customer[first], customers), _flags(days.customer[first[again]], customers)


def _entries(days: PurchaseDays, start: int, end: int, customers: int) -> NDArray[np.int64]:
    """Return the first day between two on which each customer bought; the last of them for those
    who did not.
    """
    entered = np.full(customers, end - 1, dtype=np.int64)
    # backwards: of several assignments to one place the last stands
    here = np.flatnonzero((days.day >= start) & (days.day < end))[::-1]
    entered[days.customer[here]] = days.day[here]
    return entered


def _sums(days: PurchaseDays, rows: NDArray[np.int64], customers: int) -> Array:
    spend = np.bincount(days.customer[rows], weights=days.spend[rows], minlength=customers)
    return np.asarray(spend, dtype=np.float64)


def _counts(rows: NDArray[np.int64], customers: int) -> Array:
    return np.bincount(rows, minlength=customers).astype(np.float64)


def _flags(rows: NDArray[np.int64], customers: int) -> Array:
    flags = np.zeros(customers)
    flags[rows] = 1.0
    return flags

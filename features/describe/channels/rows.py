"""One row per group, and one per group and cohort: customers, costs, spend, payback, share lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS, YEAR_DAYS
from stagecast.features.describe.channels.costs import Costs
from stagecast.features.describe.channels.curves import Earned, Payback, SpendCurve
from stagecast.features.describe.channels.figures import (
    Figure,
    cost_figure,
    mean_figure,
    needed_for_mean,
    share_figure,
    total_figure,
    variation_of,
)
from stagecast.features.record import PurchaseDays


@dataclass(frozen=True)
class Buyers:
    """What is known of each customer at an as_of, shape (n_customers,) each unless stated.

    Parameters
    ----------
    as_of
        Microseconds since 1970.
    days
        Purchase days of the customers.
    first_events
        Instant of each customer's first event, microseconds since 1970.
    clv
        Value to come, times the margin; None: without a model. NaN where it is not known.
    lost
        Whether the customer has lapsed; None: not known.
    """

    as_of: int
    days: PurchaseDays
    first_events: Integers
    clv: Array | None = None
    lost: NDArray[np.bool_] | None = None

    @cached_property
    def first_purchase(self) -> Integers:
        """Instant of each first purchase; the as_of where there is none."""
        first = np.full(len(self.first_events), self.as_of, dtype=np.int64)
        np.minimum.at(first, self.days.customer, self.days.first_purchase)
        return first

    @cached_property
    def followed(self) -> Array:
        """Days from the first purchase to the as_of; 0 without a purchase."""
        return np.asarray((self.as_of - self.first_purchase) / DAY_MICROSECONDS, dtype=np.float64)

    @cached_property
    def bought(self) -> NDArray[np.bool_]:
        """Who has bought."""
        return np.asarray(np.bincount(self.days.customer, minlength=len(self.first_events)) > 0)

    @cached_property
    def age(self) -> Array:
        """Days from the customer's first purchase to each purchase day, shape (n_days,)."""
        since = self.days.first_purchase - self.first_purchase[self.days.customer]
        return np.asarray(since / DAY_MICROSECONDS, dtype=np.float64)

    def spend(self, before_days: float) -> Array:
        """Return the spend of each customer up to an age, without the age itself."""
        within = self.age < before_days
        return self._sum(within)

    @cached_property
    def first_order(self) -> Array:
        """Spend on the day of the first purchase."""
        return self._sum(self.age == 0)

    def _sum(self, days: NDArray[np.bool_]) -> Array:
        customer, spend = self.days.customer[days], self.days.spend[days]
        sums = np.bincount(customer, weights=spend, minlength=len(self.first_events))
        return np.asarray(sums, dtype=np.float64)

    @cached_property
    def first_year(self) -> Array:
        """Spend of the first year, NaN where it is not over."""
        return np.where(self.followed >= YEAR_DAYS, self.spend(YEAR_DAYS), np.nan)

    @cached_property
    def so_far(self) -> Array:
        """Spend up to the as_of."""
        return self.spend(np.inf)


@dataclass(frozen=True)
class Row:
    """What is known of the customers who were first seen in one group.

    Money is spend unless stated, per customer who has bought.

    Parameters
    ----------
    group
        Channel, campaign or value of the attribute.
    cohort
        Start of the period in which they were first seen, microseconds since 1970; None: all.
    people
        Number who were first seen in it.
    customers
        Number of those who have bought.
    cost
        Money that was paid on the cohort's days, or in all; None: no cost is known.
    cac
        Cost per customer, of those who were first seen on the days that were paid for.
    first_order
        Spend of the first purchase day.
    year_over
        Spend of the first year of those whose first year is over.
    year
        Spend of the first year, of all: who is younger counts up to the age that he or she has.
    clv
        Value to come, times the margin.
    ltv_to_cac
        Spend so far times the margin, plus clv, of those whose cost is known, over that cost.
    payback
        Age at which the spend times the margin has reached the cost per customer.
    lost
        Share of the customers who have lapsed.
    earned
        Spend times the margin by age, of those whose cost is known, else of all; of groups only.
    """

    group: str
    cohort: int | None
    people: int
    customers: int
    cost: float | None
    cac: Figure | None
    first_order: Figure | None
    year_over: Figure | None
    year: Figure | None
    clv: Figure | None
    ltv_to_cac: Figure | None
    payback: Payback | None
    lost: Figure | None
    earned: tuple[Earned, ...] = ()

    def figures(self) -> dict[str, Any]:
        """Return the numbers as plain data, without group and cohort."""
        names = ("cac", "first_order", "year_over", "year", "clv", "ltv_to_cac", "payback", "lost")
        parts = {name: getattr(self, name) for name in names}
        return {
            "people": self.people,
            "customers": self.customers,
            "cost": self.cost,
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
        }


Measure = Literal["first_order", "first_year", "so_far", "clv", "value"]


@dataclass(frozen=True)
class RowMaker:
    """Makes rows of parts of the customers.

    Parameters
    ----------
    buyers
        The customers.
    costs
        What was paid for acquisition.
    margin
        Share of the spend that is earned.
    has_amounts
        Whether the log has amounts; if not, everything in money is None.
    """

    buyers: Buyers
    costs: Costs
    margin: float
    has_amounts: bool

    @cached_property
    def value(self) -> Array | None:
        """Earned so far plus value to come; None without a model."""
        clv = self.buyers.clv
        return None if clv is None else self.margin * self.buyers.so_far + clv

    @cached_property
    def variations(self) -> dict[str, float]:
        """Coefficient of variation of each measure, over all who have bought."""
        return {
            name: variation_of(self._of(values, self.buyers.bought))
            for name, values in self._measures().items()
        }

    def _measures(self) -> dict[str, Array]:
        buyers = self.buyers
        measures = {
            "first_order": buyers.first_order,
            "first_year": buyers.first_year,
            "so_far": buyers.so_far,
        }
        if buyers.clv is not None and self.value is not None:
            measures |= {"clv": buyers.clv, "value": self.value}
        return measures

    def _of(self, values: Array, mask: NDArray[np.bool_]) -> Array:
        chosen = values[mask]
        return chosen[np.isfinite(chosen)]

    def row(
        self,
        group: str,
        people: NDArray[np.bool_],
        span: tuple[int, int],
        cohort: int | None = None,
    ) -> Row:
        """Return the row of some customers.

        Parameters
        ----------
        group
            Their group.
        people
            Who they are, shape (n_customers,).
        span
            Days whose costs they bear, ``[start, end)`` in microseconds since 1970.
        cohort
            As in :class:`Row`.
        """
        buyers = self.buyers
        who = people & buyers.bought
        cost = self.costs.within(group, *span)
        paid_for = who & self.costs.covered(group, buyers.first_events)
        curve = self._curve(who)
        # the curve is read up to the age to which enough customers are followed
        needed = needed_for_mean(max(self.variations["so_far"], variation_of(buyers.so_far[who])))
        cac = None if cost is None else cost_figure(cost, int(paid_for.sum()))
        return Row(
            group=group,
            cohort=cohort,
            people=int(people.sum()),
            customers=int(who.sum()),
            cost=cost,
            cac=cac,
            first_order=self._mean("first_order", who),
            year_over=self._mean("first_year", who),
            year=curve.figure(YEAR_DAYS, needed) if self.has_amounts else None,
            clv=self._mean("clv", who),
            ltv_to_cac=self._ltv_to_cac(cost, paid_for),
            payback=self._payback(cac, needed, paid_for),
            lost=self._lost(who),
            earned=() if cohort is not None else self._earned(needed, paid_for, who),
        )

    def _earned(
        self, needed: int | None, paid_for: NDArray[np.bool_], who: NDArray[np.bool_]
    ) -> tuple[Earned, ...]:
        if not self.has_amounts:
            return ()
        return self._curve(paid_for if paid_for.any() else who).earned(needed, self.margin)

    def _mean(self, measure: Measure, who: NDArray[np.bool_]) -> Figure | None:
        if not self.has_amounts or measure not in self.variations:
            return None
        return mean_figure(self._of(self._measures()[measure], who), self.variations[measure])

    def _ltv_to_cac(self, cost: float | None, who: NDArray[np.bool_]) -> Figure | None:
        if not self.has_amounts or not cost or self.value is None:
            return None
        return total_figure(self._of(self.value, who), self.variations["value"], 1.0 / cost)

    def _payback(
        self, cac: Figure | None, needed: int | None, who: NDArray[np.bool_]
    ) -> Payback | None:
        if not self.has_amounts or cac is None or cac.value is None or needed is None:
            return None
        return self._curve(who).payback(cac.value / self.margin, needed)

    def _lost(self, who: NDArray[np.bool_]) -> Figure | None:
        lost = self.buyers.lost
        return None if lost is None else share_figure(int(lost[who].sum()), int(who.sum()))

    def _curve(self, who: NDArray[np.bool_]) -> SpendCurve:
        number = np.cumsum(who) - 1
        days = self.buyers.days
        rows = who[days.customer]
        return SpendCurve(
            number[days.customer[rows]],
            self.buyers.age[rows],
            days.spend[rows],
            self.buyers.followed[who],
        )


def named(groups: Sequence[str], costs: Costs) -> tuple[str, ...]:
    """Return the groups, then those that were paid for and in which nobody was first seen."""
    return (*groups, *(group for group in costs.groups if group not in groups))

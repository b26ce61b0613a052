"""Payments of customers on one plan in a row, of which the models of the plan learn.

    trial, month, month, year   ->   trial + month | month, month + year | year

A payment pays for the gap after it, and so belongs to the plan of that gap; the last one to that
which its price and the gaps before it tell. A run that another plan follows ends with the payment
that began it: its customer has gone on. What was paid on another plan says nothing of this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.fit_periods import plans_of_payments
from stagecast.training.billing.payments import Payments
from stagecast.training.billing.periods import BillingPeriods


@dataclass(frozen=True)
class PlanRuns:
    """Runs of payments, one array of shape (runs,) for each, ordered by customer and day.

    Parameters
    ----------
    days
        Their purchase days, with the number of the run as that of the customer.
    own
        How many of the days of each are payments of the plan.
    customer
        Number of the customer.
    plan
        Position of the billing period.
    follows
        Position of that of the next run of the customer; -1 without any.
    """

    days: PurchaseDays
    own: Integers
    customer: Integers
    plan: Integers
    follows: Integers

    @classmethod
    def of(cls, days: PurchaseDays, periods: BillingPeriods, last_plan: Integers) -> PlanRuns:
        """Return the runs of a log.

        Parameters
        ----------
        days
            Purchase days, ordered by customer and day.
        periods
            The billing periods.
        last_plan
            Position of the billing period of the last payment of each customer of the log, shape
            (customers,).
        """
        payments = Payments.of_customers(days)
        plan = plans_of_payments(payments, periods, last_plan[days.customer])
        first = payments.number == 1
        begins = np.flatnonzero(first | (plan != np.r_[-1, plan[:-1]]))
        count = np.diff(np.r_[begins, len(plan)])
        is_last = np.r_[first[begins[1:]], True]
        length = count + ~is_last  # the first payment of the next run is the last one of this
        run = np.repeat(np.arange(len(begins)), length)
        rows = np.arange(len(run)) - np.repeat(np.cumsum(np.r_[0, ~is_last[:-1]]), length)
        of_run = PurchaseDays(run, days.day[rows], days.spend[rows], days.first_purchase[rows])
        follows = np.where(is_last, -1, np.r_[plan[begins[1:]], -1])
        return cls(of_run, count, days.customer[begins], plan[begins], follows)

    def of_plan(self, plan: int) -> PlanRuns:
        """Return the runs of a plan, numbered from 0."""
        chosen = self.plan == plan
        number = np.cumsum(chosen) - 1
        of_run = self.days.of(np.flatnonzero(chosen[self.days.customer]))
        days = PurchaseDays(
            number[of_run.customer], of_run.day, of_run.spend, of_run.first_purchase
        )
        return PlanRuns(
            days, self.own[chosen], self.customer[chosen], self.plan[chosen], self.follows[chosen]
        )

    @property
    def own_days(self) -> PurchaseDays:
        """The purchase days without those on which the next runs begin."""
        start = np.r_[0, np.cumsum(np.bincount(self.days.customer))[:-1]]
        place = np.arange(len(self.days.day)) - start[self.days.customer]
        return self.days.of(np.flatnonzero(place < self.own[self.days.customer]))

    def histories(self, silence: Array) -> dict[str, Array]:
        """Return frequency, days of the last payment, and days of the as_of, shape (runs,) each.

        A run that another one follows is known up to its last payment.

        Parameters
        ----------
        silence
            Days from the last payment of each customer to the as_of, shape (customers,).
        """
        payments = np.bincount(self.days.customer, minlength=len(self.plan))
        last = np.cumsum(payments) - 1
        t_x = (self.days.day[last] - self.days.day[last - payments + 1]).astype(np.float64)
        return {
            "frequency": payments - 1.0,
            "t_x_days": t_x,
            "T_days": t_x + np.where(self.follows < 0, silence[self.customer], 0.0),
            "monetary": np.full(len(t_x), np.nan),
        }

"""Mean cumulative spend of a customer by age, from customers most of whom are still young.

At each age the spend is averaged over the customers who are followed for so long, and these means
are added up; whoever is younger leaves the average and does not pull the sum down.

Sources: Nelson (1995), "Confidence limits for recurrence data, applied to cost or number of product
repairs", Technometrics 37(2); Lawless and Nadeau (1995), "Some simple robust methods for the
analysis of recurrent events", Technometrics 37(2), whose variance holds for any dependence between
the purchases of one customer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.describe.channels.figures import FEWEST, Figure, Z

_POINTS = 24


@dataclass(frozen=True)
class Payback:
    """The age at which the spend of a customer, times the margin, has reached what was paid.

    Parameters
    ----------
    days
        Days since the first purchase; None: not reached while customers are followed.
    low, high
        Days at which the upper and the lower end of the interval of the spend reach it; None: not
        reached.
    followed_days
        Age up to which enough customers are followed.
    """

    days: float | None
    low: float | None
    high: float | None
    followed_days: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "days": self.days,
            "low": self.low,
            "high": self.high,
            "followed_days": self.followed_days,
        }


@dataclass(frozen=True)
class Earned:
    """What a customer has brought by an age, in money, with the ends of its 95 % interval."""

    days: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SpendCurve:
    """The mean cumulative spend of customers by age.

    Parameters
    ----------
    customer
        Number of the customer, 0, 1, 2, ..., of each purchase day, shape (n_days,).
    age
        Days since the customer's first purchase, shape (n_days,); below what the customer is
        followed.
    spend
        Money, shape (n_days,).
    followed
        Days for which each customer is followed, shape (n_customers,).

    Examples
    --------
    Two customers, followed for 100 and for 30 days; the second order of the first, at day 50, is
    averaged over the one who is followed for so long:

    >>> curve = SpendCurve(
    ...     np.array([0, 0, 1]),
    ...     np.array([0.0, 50.0, 0.0]),
    ...     np.array([10.0, 8.0, 20.0]),
    ...     np.array([100.0, 30.0]),
    ... )
    >>> curve.at(0.0), curve.at(49.0), curve.at(60.0)
    (15.0, 15.0, 23.0)
    """

    customer: Integers
    age: Array
    spend: Array
    followed: Array

    @cached_property
    def ages(self) -> Array:
        """The distinct ages of purchases, ascending."""
        return np.unique(self.age)

    @cached_property
    def _sorted_followed(self) -> Array:
        return np.sort(self.followed)

    def at_risk(self, ages: Array) -> Integers:
        """Return how many customers are followed for at least these ages, same shape."""
        return len(self.followed) - np.searchsorted(self._sorted_followed, ages, side="left")

    @cached_property
    def mean(self) -> Array:
        """Mean cumulative spend at each of :attr:`ages`."""
        spend = np.bincount(np.searchsorted(self.ages, self.age), weights=self.spend)
        return np.asarray(np.cumsum(spend / self.at_risk(self.ages)) if len(spend) else spend)

    def at(self, age: float) -> float:
        """Return the mean cumulative spend at an age in days."""
        step = int(np.searchsorted(self.ages, age, side="right")) - 1
        return float(self.mean[step]) if step >= 0 else 0.0

    def error(self, age: float) -> float:
        """Return the standard error of :meth:`at` (Lawless and Nadeau 1995).

        NaN with fewer than two customers.
        """
        customers = len(self.followed)
        if customers < FEWEST:
            return float("nan")
        rows = self.age <= age
        of_rows = self.spend[rows] / self.at_risk(self.age[rows])
        own = np.bincount(self.customer[rows], weights=of_rows, minlength=customers)
        # what is expected of a customer until the age, or until he or she is not followed any more
        step = np.diff(self.mean, prepend=0.0) / self.at_risk(self.ages)
        hazard = np.r_[0.0, np.cumsum(step)]
        until = np.searchsorted(self.ages, np.minimum(self.followed, age), side="right")
        excess = own - hazard[until]
        return float(np.sqrt((excess**2).sum() * customers / (customers - 1)))

    def followed_by(self, needed: int) -> float:
        """Return the age in days up to which so many customers are followed; 0 if there are fewer.

        Parameters
        ----------
        needed
            Number of customers.
        """
        customers = len(self.followed)
        return float(self._sorted_followed[customers - needed]) if customers >= needed else 0.0

    def figure(self, age: float, needed: int | None) -> Figure:
        """Return the mean cumulative spend at an age with its interval.

        Parameters
        ----------
        age
            In days.
        needed
            Number of customers that it takes to be followed for so long; None: no number is enough.
        """
        followed = int(self.at_risk(np.array([age]))[0])
        if needed is None or followed < needed:
            return Figure(None, None, None, followed, needed)
        value, half = self.at(age), Z * self.error(age)
        return Figure(value, value - half, value + half, followed, needed)

    def earned(self, needed: int | None, margin: float) -> tuple[Earned, ...]:
        """Return what a customer has brought by some ages, from the first purchase on.

        Parameters
        ----------
        needed
            Number of customers up to whose age the curve is read; None: no number is enough.
        margin
            Share of the spend that is earned.

        Returns
        -------
        At most 25 points, ascending; none where fewer customers are followed.
        """
        limit = 0.0 if needed is None else self.followed_by(max(needed, FEWEST))
        if limit <= 0 or not len(self.ages):
            return ()
        ages = np.linspace(0.0, limit, _POINTS + 1)
        mean = [margin * self.at(float(age)) for age in ages]
        half = [margin * Z * self.error(float(age)) for age in ages]
        return tuple(
            Earned(float(age), value, value - width, value + width)
            for age, value, width in zip(ages, mean, half, strict=True)
        )

    def payback(self, amount: float, needed: int) -> Payback:
        """Return the age at which the mean cumulative spend has reached an amount.

        Parameters
        ----------
        amount
            Money per customer.
        needed
            Number of customers up to whose age the curve is read.
        """
        limit = self.followed_by(needed)
        ages = self.ages[self.ages <= limit]
        if not len(ages):
            return Payback(None, None, None, limit)
        mean = self.mean[: len(ages)]
        # the error is known at some ages, and a straight line between them
        points = np.unique(np.quantile(ages, np.linspace(0.0, 1.0, _POINTS)))
        half = Z * np.interp(ages, points, [self.error(float(point)) for point in points])
        early, middle, late = (_reached(ages, m, amount) for m in (mean + half, mean, mean - half))
        return Payback(middle, early, late, limit)


def _reached(ages: Array, mean: Array, amount: float) -> float | None:
    """Return the first age at which a curve has reached an amount."""
    reached = np.flatnonzero(mean >= amount)
    return float(ages[reached[0]]) if len(reached) else None

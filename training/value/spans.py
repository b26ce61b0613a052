"""Orders and money within any span after a past date, counted from the purchase days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays


@dataclass(frozen=True)
class Purchases:
    """Every purchase day known at an as_of.

    Parameters
    ----------
    days
        The purchase days; ``customer`` numbers the rows of the table of customers.
    as_of_day
        The as_of as a day number (days since 1970, UTC).
    """

    days: PurchaseDays
    as_of_day: float

    def within(
        self,
        customer: NDArray[np.int64],
        back: int,
        start: int,
        stop: int,
        annual_rate: float,
        *,
        money: bool = False,
    ) -> Array:
        """Return the discounted orders, or money, of customers in a span after a past date.

        Parameters
        ----------
        customer
            Rows of the table of customers, shape (rows,).
        back
            Days from the past date to the as_of.
        start, stop
            The span ``[start, stop)`` in days after the past date; ``stop`` is at most ``back``.
        annual_rate
            Annual rate of the discount, to the past date.
        money
            Whether to sum the money instead of the orders.

        Returns
        -------
        array
            Shape (rows,), in purchase days or money.
        """
        # a purchase day counts from the instant of its first purchase
        after = self.days.first_purchase / 86_400e6 - (self.as_of_day - back)
        inside = (after >= start) & (after < stop)
        weight = (1.0 + annual_rate) ** (-after[inside] / 365.0)
        if money:
            weight = weight * self.days.spend[inside]
        rows = int(max(self.days.customer.max(initial=-1), customer.max(initial=-1))) + 1
        totals = np.bincount(self.days.customer[inside], weights=weight, minlength=rows)
        return np.asarray(totals[customer])

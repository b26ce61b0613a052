"""A plan that is paid once, as a trial for little, and the plans that follow it.

orders within n days  =  P(pays within n) * d(u) * (1 + sum of q_j * O_j(n - u))
u: days until the next payment falls due    d: discount    q_j: share that goes on with plan j
O_j: orders of who has just paid on it for the first time
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.closed_forms import DAYS_PER_YEAR
from stagecast.training.learners.customer_base import CustomerBase

FRESH: Final = {name: np.zeros(1) for name in ("frequency", "t_x_days", "T_days")}
"""History of who has just paid for the first time."""
_OVERDUE: Final = 0.5
"""Days until a payment that is overdue."""

Orders = Callable[[CustomerBase, int], float]
"""Orders of :data:`FRESH` within so many days, by the models of a plan."""


@dataclass(frozen=True)
class Following:
    """The plans that follow.

    Parameters
    ----------
    shares
        Share of who goes on that goes on with each plan of the log; they sum to 1.
    prices
        Mean first payment on each, 0 where none is known.
    days
        Days from a payment to the one that follows.
    """

    UNLIKELY: ClassVar[float] = 0.05
    """P(an event) up to which the upper end of a range does not count it."""

    shares: tuple[float, ...]
    prices: tuple[float, ...]
    days: float

    def days_until(self, silence: Array) -> Array:
        """Return the days until the next payment falls due, shape of the days of silence."""
        return np.maximum(np.round(self.days - silence), _OVERDUE)

    def orders(
        self,
        plans: Sequence[CustomerBase],
        silence: Array,
        pays: Array,
        days: int,
        annual_rate: float,
        orders_of: Orders,
    ) -> Array:
        """Return the discounted orders within ``days``, shape (rows,).

        Parameters
        ----------
        plans
            The customer base of each plan.
        silence
            Days since the last payment, shape (rows,).
        pays
            P(a payment within ``days``), shape (rows,).
        days
            Days after the as_of.
        annual_rate
            Annual rate of the discount.
        orders_of
            Orders of who has just paid for the first time.
        """
        until, place = np.unique(self.days_until(silence), return_inverse=True)
        after = np.array(
            [sum(self._after(plans, days - int(wait), orders_of)) for wait in until], dtype=float
        )
        discount = (1.0 + annual_rate) ** (-until / DAYS_PER_YEAR)
        return np.asarray(pays * (discount * after)[place])

    def price(self, plans: Sequence[CustomerBase], days: int, orders_of: Orders) -> float:
        """Return the mean price of the payments within ``days`` of who goes on."""
        orders = self._after(plans, days - int(self.days / 2.0), orders_of)
        return float(np.average(self.prices, weights=orders))

    def most(
        self, plans: Sequence[CustomerBase], silence: Array, days: int, orders_of: Orders
    ) -> Array:
        """Return the money within ``days`` of who goes on with the dearest plan, shape (rows,).

        Of those with which more than ``UNLIKELY`` go on.
        """
        until, place = np.unique(self.days_until(silence), return_inverse=True)
        shares, prices = np.array(self.shares), np.array(self.prices)
        price = np.where(shares > self.UNLIKELY, prices / np.maximum(shares, self.UNLIKELY), 0.0)
        after = [self._after(plans, days - int(wait), orders_of) for wait in until]
        return np.asarray((np.array(after) * price).max(axis=1)[place])

    def _after(self, plans: Sequence[CustomerBase], days: int, orders_of: Orders) -> list[float]:
        """Return the payments on each plan from the first one on, times its share."""
        return [
            share * (1.0 + (orders_of(plan, days) if days > 0 else 0.0)) if share else 0.0
            for share, plan in zip(self.shares, plans, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"shares": list(self.shares), "prices": list(self.prices), "days": self.days}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Following:
        """Read what :meth:`to_json` returns."""
        shares, prices = (
            tuple(float(value) for value in stored[name]) for name in ("shares", "prices")
        )
        return cls(shares, prices, float(stored["days"]))

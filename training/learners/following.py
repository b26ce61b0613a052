"""A plan that is paid once, as a trial for little, and the plans that follow it.

orders within n days  =  P(pays within n) * d(u) * (1 + sum of q_j * O_j(n - u))
u: days until the next payment falls due    d: discount    q_j: share that goes on with plan j
O_j: orders of who has just paid on it for the first time
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.closed_forms import DAYS_PER_YEAR
from stagecast.training.learners.customer_base import HISTORY, CustomerBase, distinct_histories

FRESH: Final = {name: np.zeros(1) for name in HISTORY}
"""History of who has just paid for the first time."""
UNLIKELY: Final = 0.05
"""P(an event) up to which the upper end of a range does not count it."""
ORDERS: Final = "btyd_orders"
_SMALLEST: Final = 1e-9
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
        price = np.where(shares > UNLIKELY, prices / np.maximum(shares, UNLIKELY), 0.0)
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


@dataclass(frozen=True)
class FollowedBase(CustomerBase):
    """The customer base of a plan that is paid once, worth what the plans after it bring.

    Parameters
    ----------
    following
        The plans that follow.
    plans
        The customer base of each plan of the log.
    """

    following: Following = Following((), (), 0.0)
    plans: tuple[CustomerBase, ...] = ()

    def columns(self, features: Mapping[str, Array], horizon_days: int) -> dict[str, Array]:
        """Return the predictions of the models, see :meth:`CustomerBase.columns`."""
        columns = super().columns(features, horizon_days)
        return {**columns, ORDERS: self._orders(horizon_days, features, 0.0)}

    def discounted_orders(
        self, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> Array:
        """Return the expected discounted purchase days within ``days``."""
        return self._orders(days, features, annual_rate)

    def discounted_orders_until(
        self,
        days: Sequence[int],
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return :meth:`discounted_orders` within each of ``days``, shape (days, rows)."""
        return np.array([self._orders(span, features, annual_rate) for span in days])

    def rest_if_silent(
        self, horizon_days: int, days: int, features: Mapping[str, Array], annual_rate: float
    ) -> Array:
        """Return the discounted orders between two spans of who orders nothing in the first."""
        rest = super().rest_if_silent(horizon_days, days, features, annual_rate)
        # whose payment falls due after the first span
        is_later = self.following.days_until(_silence(features)) > horizon_days
        return np.where(is_later, self._orders(days, features, annual_rate), rest)

    def kept_orders(
        self,
        days: int,
        features: Mapping[str, Array],
        annual_rate: float,
        alive: Sequence[Array] | None = None,
    ) -> Array:
        """Return the expected discounted purchase days within ``days`` of who is kept."""
        return self._orders(days, features, annual_rate, kept=True)

    def price(self, days: int) -> float:
        """Return the mean price of the payments within ``days`` of who goes on."""
        return self.following.price(self.plans, days, _orders_of(0.0, kept=False))

    def most(self, days: int, features: Mapping[str, Array], annual_rate: float) -> Array:
        """Return the most that the payments within ``days`` bring, discounted, shape (rows,).

        That is the money of who stays on the dearest plan with which customers go on; 0 where a
        payment within them is unlikely.
        """
        pays = 1.0 - self.none_within(float(days), features)
        orders_of = _orders_of(annual_rate, kept=True)
        most = self.following.most(self.plans, _silence(features), days, orders_of)
        return np.where(pays > UNLIKELY, most, 0.0)

    def _orders(
        self, days: int, features: Mapping[str, Array], annual_rate: float, *, kept: bool = False
    ) -> Array:
        """Return the discounted orders within ``days``, shape (rows,).

        ``kept``: of who is active and never leaves.
        """
        pays = 1.0 - self.none_within(float(days), features)
        if kept:
            _, position = distinct_histories(features)
            alive = np.average(self.p_alive_by_model(features), axis=0, weights=self.weights)
            pays = np.minimum(pays / np.maximum(alive[position], _SMALLEST), 1.0)
        orders_of = _orders_of(annual_rate, kept=kept)
        silence = _silence(features)
        return self.following.orders(self.plans, silence, pays, days, annual_rate, orders_of)


def _silence(features: Mapping[str, Array]) -> Array:
    return np.asarray(features["T_days"] - features["t_x_days"])


def _orders_of(annual_rate: float, *, kept: bool) -> Orders:
    """Return how the orders of who has just paid for the first time are told."""

    def orders(base: CustomerBase, days: int) -> float:
        ask = base.kept_orders if kept else base.discounted_orders
        return float(ask(days, FRESH, annual_rate)[0])

    return orders

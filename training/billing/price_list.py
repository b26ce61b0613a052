"""What a payment to come brings of customers who change between the prices of a list.

A software with a free plan and plans at 10, 30 and 99 a month: each month some go on with a dearer
plan, some with a cheaper one, and some leave. Payments are a Markov chain of prices with an end,

    Q[i, j] = P(who pays price i pays again, and then price j)
    price of a payment within n payments  =  sum of (Q^m p)[i] / sum of (Q^m 1)[i],  m = 1 .. n

where p are the prices: what comes in over the payments that do, so that who goes on with a dearer
plan counts for as long as such customers stay. Nobody is expected to pay more than the dearest
price; who has paid nothing so far may pay later. Customers of one price may leave more often than
those of another, which the models of purchases do not know: the chain tells it, too, also of a list
whose prices nobody changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array, Integers

LAST_PRICE: Final = "spend_last"
"""Feature with the last payment."""
SAME: Final = 0.01
"""Part of a price by which a payment may differ from it."""
TAIL: Final = 0.05
"""P(a price further off) at either end of the range of a price."""
MOST_PAYMENTS: Final = 600
"""Payments that are looked at; what comes later is paid at the prices of then."""
_SMALLEST: Final = 1e-12


@dataclass(frozen=True)
class PriceList:
    """The prices of a list, and how customers change between them.

    Parameters
    ----------
    days
        Days of the billing period.
    prices
        In ascending order; may begin with 0.
    changes
        Q, shape (prices, prices): rows sum to at most 1.
    shares
        Share of the customers of today who paid each price last, shape (prices,).
    """

    days: float
    prices: tuple[float, ...]
    changes: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...]

    def per_order(self, last: Array, otherwise: Array, span_days: int) -> Array:
        """Return what a payment within a span is expected to bring, shape (rows,).

        Parameters
        ----------
        last
            What was paid last, shape (rows,).
        otherwise
            The same of who did not pay a price of the list, shape (rows,).
        span_days
            Days from the as_of.
        """
        number, (money, payments) = self._number(last), self._within(span_days)
        return np.where(number >= 0, (money / np.maximum(payments, _SMALLEST))[number], otherwise)

    def stays(self, last: Array, near_days: int, far_days: int) -> Array:
        """Return payments after a span over those of the customers of all prices, shape (rows,).

        More than 1 of a price whose customers stay longer than others.

        Parameters
        ----------
        last
            What was paid last, shape (rows,).
        near_days, far_days
            Ends of two spans: payments between them, for each within the first, are compared.
        """
        number = self._number(last)
        near, far = self._within(near_days)[1], self._within(far_days)[1]
        share = np.array(self.shares)
        of_all = float(share @ (far - near)) / max(float(share @ near), _SMALLEST)
        after = (far - near) / np.maximum(near, _SMALLEST) / max(of_all, _SMALLEST)
        return np.where((number >= 0) & (of_all > 0), after[number], 1.0)

    def ends(self, last: Array, span_days: int) -> tuple[Array, Array]:
        """Return the least and the largest price usual in a span, shape (rows,) each.

        Those of the payment in the middle of it, with a twentieth beyond either; NaN of who did not
        pay a price of the list.
        """
        number = self._number(last)
        payments = np.clip(span_days / self.days, 1.0, float(MOST_PAYMENTS))
        middle = int(np.ceil((payments + 1.0) / 2.0))
        low, high = (np.where(number >= 0, end[number], np.nan) for end in self._ends_of(middle))
        return low, high

    def _number(self, last: Array) -> Integers:
        """Return the position of the price that was paid last, -1 of no price of the list."""
        prices = np.array(self.prices)
        paid = np.nan_to_num(last, nan=-1.0)
        right = np.clip(np.searchsorted(prices, paid), 0, len(prices) - 1)
        left = np.maximum(right - 1, 0)
        nearest = np.where(paid - prices[left] <= prices[right] - paid, left, right)
        is_price = np.abs(prices[nearest] - paid) <= SAME * prices[nearest]
        return np.where(is_price, nearest, -1)

    def _within(self, span_days: int) -> Array:
        """Return the money and the payments to expect within a span, shape (2, prices).

        At least those of one payment; between two whole numbers of payments they are interpolated.
        """
        payments = np.clip(span_days / self.days, 1.0, float(MOST_PAYMENTS))
        before = int(payments)
        after = min(before + 1, MOST_PAYMENTS)
        part = payments - before
        return np.asarray((1.0 - part) * self._sums[before - 1] + part * self._sums[after - 1])

    @cached_property
    def _sums(self) -> Array:
        """Money and payments up to each payment, shape (payments, 2, prices)."""
        changes, prices = np.array(self.changes), np.array(self.prices)
        of_payment, come = np.stack([prices, np.ones(len(prices))]), []
        for _ in range(MOST_PAYMENTS):
            of_payment = of_payment @ changes.T
            come.append(of_payment)
        return np.cumsum(come, axis=0)

    def _ends_of(self, payment: int) -> tuple[Array, Array]:
        """Return the ends of the price of a payment, shape (prices,) each."""
        chance = np.linalg.matrix_power(np.array(self.changes), payment)
        share = chance / np.maximum(chance.sum(axis=1, keepdims=True), _SMALLEST)
        below = np.cumsum(share, axis=1)
        prices = np.array(self.prices)
        low = prices[np.argmax(below > TAIL, axis=1)]
        high = prices[np.argmax(below >= 1.0 - TAIL, axis=1)]
        return low, high

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        changes = [list(row) for row in self.changes]
        shares = list(self.shares)
        return {
            "days": self.days,
            "prices": list(self.prices),
            "changes": changes,
            "shares": shares,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PriceList:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            A part is missing, or has not that form.
        """
        prices = tuple(float(price) for price in data["prices"])
        changes = tuple(tuple(float(p) for p in row) for row in data["changes"])
        shares = tuple(float(share) for share in data["shares"])
        lengths = [len(shares), len(changes), *(len(row) for row in changes)]
        if not prices or any(length != len(prices) for length in lengths):
            raise ValueError("the changes of a price list are not those of its prices")
        return cls(float(data["days"]), prices, changes, shares)

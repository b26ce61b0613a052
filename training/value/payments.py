"""Ranges of the money of customers who pay a price at regular intervals, by what can fall due.

    payment n comes n g - e days after the as_of:  g  the customer's own gap, e  the days of it over
    P(payment n comes) = P(it falls due in the span) x P(the first is paid) x s^(n - 1)

The share s who go on after a payment is the one with which the expected orders are those of the
value model. The upper end of a range counts the payments that may come, the lower one those that
surely do, each at the customer's price: so nobody who pays 49 once a year is told of 90. Intervals
of another distribution (:mod:`stagecast.training.value.intervals`) know neither a price nor a
number of payments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

from stagecast.features.arrays import Array
from stagecast.training.billing.price_list import LAST_PRICE, PriceList
from stagecast.training.billing.schedule import SURE, in_parts
from stagecast.training.learners.customer_base import CustomerBase, Part
from stagecast.training.learners.following import FollowedBase
from stagecast.training.value.due import own_gaps

FALLS_DUE: Final = 0.05
"""P(a payment falls due in a span) above which the upper end counts it."""
MAY_COME: Final = 0.02
"""P(it comes) above which it does: a silence rules out that a customer goes on."""
NORMAL_TAIL: Final = 1.645
"""Standard deviations of a normal distribution beyond which 5 % lie."""
NEWTON_STEPS: Final = 8
MAX_CELLS: Final = 2_000_000
_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class Ends:
    """Ends of the 90 % range of the money of a span, shape (rows,) each."""

    low: Array
    high: Array


@dataclass(frozen=True)
class RegularPayments:
    """Payments of a log whose customers pay a price of their own at a gap of their own.

    Parameters
    ----------
    spread
        Standard deviation of the days of a payment around its date, over the gap.
    later_price
        Ends of the 90 % range of a price half a year later, over that of now.
    plans
        The same of each billing period, where the customer base has several.
    has_prices
        Whether payments are prices; where they are not, nothing is known of their ranges.
    price_list
        The prices that customers change between; None where they keep theirs.
    """

    spread: float
    later_price: tuple[float, float]
    plans: tuple[RegularPayments, ...] = ()
    has_prices: bool = True
    price_list: PriceList | None = None

    @property
    def spreads(self) -> float | tuple[float, ...]:
        """The spread, or that of each billing period where there are several."""
        return tuple(plan.spread for plan in self.plans) if self.plans else self.spread

    def ends(
        self,
        base: CustomerBase,
        columns: Mapping[str, Array],
        days: int,
        rate: float,
        p_none: Array,
        money: Array,
        price: Array,
        margin: float = 1.0,
    ) -> Ends:
        """Return the ends of the 90 % range of the money of a span, which enclose the expectation.

        NaN of customers who pay no price, and of a customer base without regular gaps. Of who may
        go on with another plan, from nothing to all payments on the dearest of those plans.

        Parameters
        ----------
        base
            The customer base, see :func:`stagecast.training.value.due.own_gaps`.
        columns
            Histories and ``orders`` of the customers, shape (rows,) each.
        days
            Days of the span.
        rate
            Annual rate of the discount; 0 for none.
        p_none
            P(no payment in the span), shape (rows,).
        money
            Expected money of the span, discounted, shape (rows,).
        price
            What a payment is expected to bring, shape (rows,).
        margin
            Share of the last payment that counts: that of ``price``.
        """
        gaps = own_gaps(base, columns, self.spreads)
        if gaps is None:  # at a past date they were not regular yet
            return Ends(np.full(len(money), np.nan), np.full(len(money), np.nan))
        gap, spread = gaps.gap, gaps.spread
        z = (gaps.silence - gap) / spread
        # days of the gap that are over; who is late is late by little more
        over = gaps.silence - spread * np.sqrt(2.0 / np.pi) / erfcx(z / np.sqrt(2.0))
        most = (days + np.maximum(over, 0.0) + 2.0 * spread) / np.maximum(gap, 1.0)
        # of each row alone, so that a customer scored alone has the same numbers
        payments = np.clip(np.ceil(most) + 1.0, 1.0, days + 1.0)
        largest = int(payments.max(initial=1.0))
        parts = base.parts(columns)
        cheapest, dearest = self._prices(parts, columns, price, margin, days)
        is_price = self._pays_a_price(parts, len(price))

        def of_part(part: slice) -> Ends:
            come = _Payments.of(
                gap[part],
                over[part],
                spread[part],
                gaps.drifts,
                gaps.unknown[part],
                payments[part],
                days,
                rate,
            )
            orders = money[part] / np.maximum(price[part], _SMALLEST)
            low, high = come.counted(p_none[part], orders)
            low = np.minimum(low * cheapest[part], money[part])
            high = np.maximum(high * dearest[part], money[part])
            return Ends(
                np.where(is_price[part], low, np.nan), np.where(is_price[part], high, np.nan)
            )

        ends = in_parts(len(gap), max(1, MAX_CELLS // largest), of_part)
        for part in parts:
            if isinstance(part.base, FollowedBase):
                most = part.base.most(days, part.histories, rate)
                ends.low[part.rows] = np.minimum(money[part.rows], 0.0)
                ends.high[part.rows] = np.maximum(most * margin, money[part.rows])
        return ends

    def _prices(
        self,
        parts: Sequence[Part],
        columns: Mapping[str, Array],
        price: Array,
        margin: float,
        days: int,
    ) -> tuple[Array, Array]:
        """Return the least and the largest price of a payment, shape (rows,) each.

        That is the last one, or what follows it within the span.
        """
        last = np.nan_to_num(columns.get(LAST_PRICE, np.zeros(len(price))))
        cheaper, dearer = (np.full(len(price), end) for end in self.later_price)
        for part in parts:
            if part.plan is not None and self.plans:
                cheaper[part.rows], dearer[part.rows] = self.plans[part.plan].later_price
        last = np.where(last > 0, last * margin, price)
        least, most = last * cheaper, last * dearer
        if self.price_list is not None and LAST_PRICE in columns:
            low, high = self.price_list.ends(columns[LAST_PRICE], days)
            is_listed = np.isfinite(low)
            least = np.where(is_listed, low * margin, least)
            most = np.where(is_listed, high * margin, most)
        return np.minimum(least, price), np.maximum(most, price)

    def _pays_a_price(self, parts: Sequence[Part], rows: int) -> NDArray[np.bool_]:
        """Return whether customers pay a price, shape (rows,)."""
        result = np.full(rows, self.has_prices)
        for part in parts:
            if part.plan is not None and self.plans:
                result[part.rows] = self.plans[part.plan].has_prices
        return result

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        plans = {"plans": [plan.to_json() for plan in self.plans]} if self.plans else {}
        amounts = {} if self.has_prices else {"has_prices": False}
        listed = {} if self.price_list is None else {"price_list": self.price_list.to_json()}
        of_all = {"spread": self.spread, "later_price": list(self.later_price)}
        return {**of_all, **plans, **amounts, **listed}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RegularPayments:
        """Read what :meth:`to_json` returns."""
        low, high = data["later_price"]
        plans = tuple(cls.from_json(plan) for plan in data.get("plans", ()))
        has_prices = bool(data.get("has_prices", True))
        listed = PriceList.from_json(data["price_list"]) if data.get("price_list") else None
        return cls(float(data["spread"]), (float(low), float(high)), plans, has_prices, listed)


@dataclass(frozen=True)
class _Payments:
    """The next payments of customers, one array of shape (rows,) for each.

    Parameters
    ----------
    falls_due
        P(it falls due in the span).
    discount
        Discount of a payment on its date, and of one that comes as soon as it may.
    """

    falls_due: tuple[Array, ...]
    discount: tuple[Array, ...]
    soonest: tuple[Array, ...]

    @classmethod
    def of(
        cls,
        gap: Array,
        over: Array,
        spread: Array,
        drifts: float,
        unknown_gap: Array,
        payments: Array,
        days: int,
        rate: float,
    ) -> _Payments:
        """Return the next payments, see :meth:`RegularPayments.ends`."""
        daily = float(np.log1p(rate)) / 365.0
        falls_due, discount, soonest = [], [], []
        for n in range(1, int(payments.max(initial=1.0)) + 1):
            due = np.maximum(n * gap - over, 0.0)
            away = np.sqrt(spread**2 * (1.0 + drifts * (n - 1)) + (n * unknown_gap) ** 2)
            falls_due.append(np.where(n <= payments, ndtr((days - due) / away), 0.0))
            discount.append(np.exp(-daily * np.minimum(due, days)))
            soonest.append(np.exp(-daily * np.clip(due - NORMAL_TAIL * away, 0.0, days)))
        return cls(tuple(falls_due), tuple(discount), tuple(soonest))

    def counted(self, p_none: Array, orders: Array) -> tuple[Array, Array]:
        """Return the discounted payments that surely come, and those that may, (rows,) each."""
        paid = np.minimum((1.0 - p_none) / np.maximum(self.falls_due[0], _SMALLEST), 1.0)
        goes_on = self._goes_on(paid, orders)
        low, high, stays = np.zeros(len(paid)), np.zeros(len(paid)), paid
        for due, discount, soonest in zip(self.falls_due, self.discount, self.soonest, strict=True):
            low += np.where(due * stays >= SURE, discount, 0.0)
            high += np.where((due > FALLS_DUE) & (due * stays > MAY_COME), soonest, 0.0)
            stays = stays * goes_on
        return low, high

    def _goes_on(self, paid: Array, orders: Array) -> Array:
        """Return the share s who go on after a payment, (rows,), by Newton's steps from 1.

        The expected payments are a polynomial in s that is convex and rises.
        """
        share = np.ones(len(paid))
        for _ in range(NEWTON_STEPS):
            value, slope = np.zeros(len(paid)), np.zeros(len(paid))
            for due, discount in zip(
                reversed(self.falls_due), reversed(self.discount), strict=True
            ):
                slope = slope * share + value
                value = value * share + paid * due * discount
            step = np.maximum(value - orders, 0.0) / np.maximum(slope, _SMALLEST)
            share = np.maximum(share - step, 0.0)
        return share

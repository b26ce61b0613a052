"""Contracts that may begin to pay: trials for nothing, and former customers who come back.

    P(first payment in a span of days ahead)      by how long others waited before they paid
      x payments of a contract from its first on  by the renewals of its billing period
      x their price                               of plans that follow a trial, or of before

A trial has had payments of 0 alone, or none so far. Which plan it turns into is not known; past
trials tell how often they have turned into each, and at what price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.contracts import Contracts
from stagecast.training.billing.periods import BillingPeriods, Period
from stagecast.training.billing.schedule import SURE, Spans, in_parts
from stagecast.training.billing.waits import Wait

MAX_CELLS: Final = 2_000_000
LIKELY: Final = 0.05
"""Chance below which a range does not allow for something."""
_GROWTH: Final = 1.05
_SINGLE_DAYS: Final = 60


@dataclass(frozen=True)
class Trials:
    """Trials for nothing of the past.

    Parameters
    ----------
    wait
        Days from the beginning of a trial to its first payment; over where it was cancelled.
    shares
        P(billing period | it pays), shape (periods,).
    prices, dearest
        Mean and 95 % quantile of the first payment of each, shape (periods,).
    is_billed
        Whether they are billed again and again for nothing, as a free plan is: then they order,
        and the models of purchases know how often.
    """

    wait: Wait
    shares: tuple[float, ...]
    prices: tuple[float, ...]
    dearest: tuple[float, ...]
    is_billed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        lists = {name: list(getattr(self, name)) for name in ("shares", "prices", "dearest")}
        billed = {"is_billed": True} if self.is_billed else {}
        return {"wait": self.wait.to_json(), **lists, **billed}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trials:
        """Read what :meth:`to_json` returns."""
        lists = (
            tuple(float(value) for value in data[name]) for name in ("shares", "prices", "dearest")
        )
        shares, prices, dearest = lists
        is_billed = bool(data.get("is_billed", False))
        return cls(Wait.from_json(data["wait"]), shares, prices, dearest, is_billed)


@dataclass(frozen=True)
class Returns:
    """Customers of the past whose contract was over.

    Parameters
    ----------
    wait
        Days from the end of a contract to the first payment of the next one.
    bills
        Days from the end of a contract to a last bill of it.
    levels
        Factor of the hazard of a return by the billing period of before, and of those who had a
        trial only, shape (periods + 1,).
    """

    wait: Wait
    bills: Wait
    levels: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        waits = {"wait": self.wait.to_json(), "bills": self.bills.to_json()}
        return {**waits, "levels": list(self.levels)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Returns:
        """Read what :meth:`to_json` returns."""
        levels = tuple(float(level) for level in data["levels"])
        return cls(Wait.from_json(data["wait"]), Wait.from_json(data["bills"]), levels)


@dataclass(frozen=True)
class Beginnings:
    """What a log says of contracts that may begin to pay; None where it says too little."""

    trials: Trials | None = None
    returns: Returns | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        parts = (("trials", self.trials), ("returns", self.returns))
        return {name: part.to_json() for name, part in parts if part is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Beginnings:
        """Read what :meth:`to_json` returns."""
        return cls(
            Trials.from_json(data["trials"]) if "trials" in data else None,
            Returns.from_json(data["returns"]) if "returns" in data else None,
        )


NO_BEGINNINGS: Final = Beginnings()


def is_trial(
    columns: Mapping[str, Array], contracts: Contracts, has_prices: bool = True
) -> NDArray[np.bool_]:
    """Return which open contracts have had payments of 0 alone, or none, shape (rows,).

    ``has_prices`` is whether the payments of the log are known in money.
    """
    again = contracts.earlier > 0
    # a payment up to a day before a contract began belongs to it
    before = columns["recency_days"] > contracts.age_days + 1.0
    nothing = (np.nan_to_num(columns["spend_last"]) <= 0) & has_prices
    paid_nothing = never_paid(columns, has_prices) | (again & (nothing | before))
    return np.asarray(contracts.open & paid_nothing)


def never_paid(columns: Mapping[str, Array], has_prices: bool = True) -> NDArray[np.bool_]:
    """Return which customers have never paid more than 0, shape (rows,)."""
    if not has_prices:
        return np.asarray(columns["orders"] <= 0)
    return np.asarray(np.nan_to_num(columns["spend_mean"]) <= 0)


@dataclass(frozen=True)
class Begun:
    """What contracts pay that may begin, shape (rows,) each.

    Parameters
    ----------
    orders, p_none
        Payments within the horizon, and P(none).
    spend
        Their money.
    value_orders, value_p_none
        Payments within the value horizon, and P(none).
    value, kept
        Discounted money within the value horizon; and that of a trial that is not cancelled, or of
        another contract that begins for sure, on the days on which they would, and then go on.
    until
        Discounted money within each of several numbers of days, shape (rows, n).
    low, high, spend_low, spend_high
        Ends of the 90 % ranges of the money within the value horizon and within the horizon.
    next_days
        Median days to the first payment; NaN where it is less likely than not to come.
    """

    orders: Array
    p_none: Array
    spend: Array
    value_orders: Array
    value_p_none: Array
    value: Array
    kept: Array
    until: Array
    low: Array
    high: Array
    spend_low: Array
    spend_high: Array
    next_days: Array

    def with_bills(
        self, bills: Wait, waited: Array, has_paid: NDArray[np.bool_], spans: Spans
    ) -> Begun:
        """Return it with the last bills of contracts that are over, of one payment each.

        Parameters
        ----------
        bills
            How long it takes until a last bill comes.
        waited
            Days since the contracts ended, shape (rows,).
        has_paid
            Whether something was paid in them, shape (rows,).
        spans
            Horizons and discount.
        """
        if bills.ever <= 0:
            return self
        ends = np.array([spans.horizon, spans.value, *spans.ends], dtype=np.float64)
        p = bills.begins(np.floor(waited)[:, None], ends[None, :]) * has_paid[:, None]
        return replace(
            self,
            orders=self.orders + p[:, 0],
            p_none=self.p_none * (1.0 - p[:, 0]),
            spend=self.spend + p[:, 0],
            value_orders=self.value_orders + p[:, 1],
            value_p_none=self.value_p_none * (1.0 - p[:, 1]),
            value=self.value + p[:, 1],
            kept=self.kept + p[:, 1],
            until=self.until + p[:, 2:],
        )


@dataclass(frozen=True)
class Plans:
    """P(billing period) of contracts that begin, and the mean and highest price of each.

    Shape (rows, periods) each.
    """

    shares: Array
    prices: Array
    dearest: Array

    def of(self, rows: slice) -> Plans:
        """Return those of these rows."""
        return Plans(self.shares[rows], self.prices[rows], self.dearest[rows])


def begun(
    periods: BillingPeriods,
    wait: Wait,
    waited: Array,
    level: Array,
    plans: Plans,
    spans: Spans,
    *,
    trials: bool = False,
) -> Begun:
    """Return what contracts pay that may begin.

    Parameters
    ----------
    periods
        The billing periods of the log.
    wait
        How long it takes until they begin.
    waited
        Days they have waited so far, shape (rows,).
    level
        Factor of the hazard of the wait, shape (rows,).
    plans
        What they begin.
    spans
        Horizons and discount.
    trials
        Whether they are running trials, which are kept if they are not cancelled; who waits for
        another contract is kept if it begins.
    """
    ends = (spans.horizon, spans.value, *spans.ends)
    edges = _edges(ends)
    tables = [_Table.of(period, edges, ends, spans.rate) for period in periods.periods]

    def of_part(part: slice) -> Begun:
        return _of_rows(
            tables, edges, wait, waited[part], level[part], plans.of(part), spans, trials
        )

    return in_parts(len(waited), max(1, MAX_CELLS // len(edges)), of_part)


def _edges(ends: Sequence[int]) -> Array:
    """Return the ends of the spans of days ahead in which a first payment is counted."""
    days, last = [float(day) for day in range(_SINGLE_DAYS + 1)], float(max(ends))
    while days[-1] < last:
        days.append(np.ceil(days[-1] * _GROWTH))
    return np.unique([*(day for day in days if day < last), *(float(end) for end in ends)])


@dataclass(frozen=True)
class _Table:
    """Payments of a contract that begins in each span of days, within several ends.

    ``payments``, ``discounted`` and ``kept`` have the shape (spans, ends): payments, discounted
    ones, and discounted ones if it goes on; ``most`` are those of one that begins today.
    """

    payments: Array
    discounted: Array
    kept: Array
    most: Array

    @classmethod
    def of(cls, period: Period, edges: Array, ends: Sequence[int], rate: float) -> _Table:
        begins = (edges[:-1] + edges[1:]) / 2.0
        number = np.arange(0.0, np.ceil(max(ends) / period.days) + 1.0)
        due = number * period.days
        stays = np.exp(-period.renewals.hazard(np.ones(len(number)), number))
        comes = np.where(number > 0, period.paid, 1.0)  # the first payment is the beginning
        discount = (1.0 + rate) ** (-due / 365.0)
        far = np.asarray(ends, dtype=np.float64)
        left = far[None, :] - begins[:, None]
        place = np.searchsorted(due, left, side="left")  # payments due before the end
        totals = [
            np.r_[0.0, np.cumsum(values)][place]
            for values in (stays * comes, stays * comes * discount, comes * discount)
        ]
        of_begin = ((1.0 + rate) ** (-begins / 365.0))[:, None]
        most = np.searchsorted(due, far, side="left").astype(np.float64)
        return cls(totals[0], totals[1] * of_begin, totals[2] * of_begin, most)


def _of_rows(
    tables: Sequence[_Table],
    edges: Array,
    wait: Wait,
    waited: Array,
    level: Array,
    plans: Plans,
    spans: Spans,
    is_trial: bool,
) -> Begun:
    shares, prices = plans.shares, plans.prices
    p_begun = wait.begins(waited[:, None], edges[None, :])
    p_begun = 1.0 - (1.0 - p_begun) ** level[:, None]
    mass = np.diff(p_begun, axis=1)
    near = mass * (edges[1:] <= spans.value)
    ever = near.sum(axis=1)
    if is_trial:  # who stays may go on without paying: members of a plan for nothing
        kept_mass = np.diff(wait.begins_unless_over(waited, edges), axis=1)
        kept_mass *= (edges[1:] <= spans.value) & (level[:, None] > 0)
    else:
        kept_mass = near / np.maximum(ever, 1e-12)[:, None]
    rows, columns = len(waited), 2 + len(spans.ends)
    orders, spend, value = (np.zeros((rows, columns)) for _ in range(3))
    value_if_kept = np.zeros(rows)
    for k, table in enumerate(tables):
        share, price = shares[:, k, None], prices[:, k, None]
        payments = share * (mass @ table.payments)
        orders += payments
        spend += price * payments
        value += price * share * (mass @ table.discounted)
        value_if_kept += (price * share)[:, 0] * (kept_mass @ table.kept[:, 1])
    likely = shares > LIKELY
    highest = [
        np.where(likely, plans.dearest * np.array([t.most[end] for t in tables]), 0.0).max(axis=1)
        for end in (0, 1)
    ]
    by_horizon, by_value = (
        p_begun[:, np.searchsorted(edges, end)] for end in (spans.horizon, spans.value)
    )
    cheapest = np.where(likely, prices, np.inf).min(axis=1)
    reached = p_begun[:, 1:] >= 0.5
    middle = (edges[1:] + edges[:-1]) / 2.0  # it begins within the step that ends then
    return Begun(
        orders=orders[:, 0],
        p_none=1.0 - by_horizon,
        spend=spend[:, 0],
        value_orders=orders[:, 1],
        value_p_none=1.0 - by_value,
        value=value[:, 1],
        kept=np.maximum(value_if_kept, value[:, 1]),
        until=value[:, 2:],
        low=np.where(by_value >= SURE, np.minimum(cheapest, value[:, 1]), 0.0),
        high=np.where(by_value > LIKELY, highest[1], 0.0),
        spend_low=np.where(by_horizon >= SURE, np.minimum(cheapest, spend[:, 0]), 0.0),
        spend_high=np.where(by_horizon > LIKELY, highest[0], 0.0),
        next_days=np.where(reached.any(axis=1), middle[reached.argmax(axis=1)], np.nan),
    )

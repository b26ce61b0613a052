"""Contracts beside the models of purchases: their risk, and the payments that are still to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Contracts
from stagecast.training.billing.beginnings import (
    NO_BEGINNINGS,
    Beginnings,
    Begun,
    Plans,
    begun,
    is_trial,
    never_paid,
)
from stagecast.training.billing.periods import AS_OF_DAY, BillingPeriods
from stagecast.training.billing.price_list import LAST_PRICE
from stagecast.training.billing.schedule import Schedule, Spans, schedule

KNOWN: Final = 0.99
"""Share of the schedule in P(no purchase): a payment may come at any time."""


@dataclass(frozen=True)
class ContractsAhead:
    """Contracts of buyers with their risk, and what open ones are going to pay.

    Parameters
    ----------
    contracts
        Contracts of the buyers.
    p_cancel
        P(cancellation within the horizon), shape (rows,); NaN without an open contract.
    periods
        The billing periods of the log.
    columns
        Features of the buyers, shape (rows,) each.
    spans
        Horizons and discount.
    beginnings
        What the log says of trials and of customers who come back.
    """

    contracts: Contracts
    p_cancel: Array
    periods: BillingPeriods
    columns: Mapping[str, Array]
    spans: Spans
    beginnings: Beginnings = NO_BEGINNINGS

    @cached_property
    def rows(self) -> Integers:
        """Rows of the open contracts."""
        return np.flatnonzero(self.contracts.open)

    @cached_property
    def schedule(self) -> Schedule | None:
        """What the open contracts are going to pay; None where no billing period is known."""
        if self.periods.is_none or not len(self.rows):
            return None
        columns = {name: self.columns[name][self.rows] for name in self.periods.columns}
        today = self.contracts.as_of / DAY_MICROSECONDS
        columns[AS_OF_DAY] = np.full(len(self.rows), today)
        return schedule(
            self.periods,
            columns,
            self.contracts.of(self.rows),
            np.nan_to_num(self.p_cancel[self.rows]),
            self.spans,
        )

    @cached_property
    def trials(self) -> Integers:
        """Rows of the trials for nothing; none where past ones teach nothing."""
        if self.beginnings.trials is None or self.periods.is_none:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(is_trial(self.columns, self.contracts, self.periods.has_prices))

    @cached_property
    def former(self) -> Integers:
        """Rows of the customers whose contract is over, as far as it is known how many return."""
        returns = self.beginnings.returns
        if returns is None or self.periods.is_none:
            return np.zeros(0, dtype=np.int64)
        known = np.isfinite(self.contracts.closed_days) & ~self.contracts.open
        if "spend_mean" in self.columns:
            # what was paid for a contract that began before the log is not known
            had_trial = (self.beginnings.trials is not None) & (self.contracts.earlier > 0)
            known &= had_trial | ~self._never_paid(self.columns)
        return np.flatnonzero(known)

    @cached_property
    def beginning(self) -> tuple[tuple[Integers, Begun], ...]:
        """Rows of contracts that may begin to pay, and what they pay.

        The money of those who come back to a plan of before is in payments: :attr:`in_payments`.
        """
        parts = ((self.trials, self._of_trials), (self.former, self._of_former))
        return tuple((rows, of_rows(rows)) for rows, of_rows in parts if len(rows))

    def orders_of_models(self, rows: Integers) -> bool:
        """Return whether these rows of :attr:`beginning` order as the models of purchases say.

        So do the members of a free plan, whose orders bring nothing.
        """
        trials = self.beginnings.trials
        return trials is not None and trials.is_billed and rows is self.trials

    @cached_property
    def in_payments(self) -> NDArray[np.bool_]:
        """Whether the money of :attr:`beginning` is in payments of the own price, (rows,)."""
        result = np.ones(len(self.p_cancel), dtype=np.bool_)
        if self.beginnings.trials is not None:
            result[self.trials] = False
            result[self.former] = ~self._never_paid(self._of(self.former))
        return result

    def _of_trials(self, rows: Integers) -> Begun:
        trials, contracts = self.beginnings.trials, self.contracts.of(rows)
        assert trials is not None
        today = contracts.as_of / DAY_MICROSECONDS
        waited = np.floor(today) - np.floor(today - contracts.age_days)
        shape = (len(waited), len(trials.shares))
        shares, prices, dearest = (
            np.broadcast_to(np.asarray(values), shape)
            for values in (trials.shares, trials.prices, trials.dearest)
        )
        # a trial that is cancelled already is not going to pay
        level = np.where(contracts.announced, 0.0, 1.0)
        plans = Plans(shares, prices, dearest)
        return begun(self.periods, trials.wait, waited, level, plans, self.spans, trials=True)

    def _of_former(self, rows: Integers) -> Begun:
        returns = self.beginnings.returns
        assert returns is not None
        levels, waited = np.asarray(returns.levels), self.contracts.closed_days[rows]
        paid, (shares, prices) = self.in_payments[rows], self._plans_again(rows)
        level = np.where(paid, shares @ levels[:-1], levels[-1])
        plans = Plans(shares, prices, prices)
        again = begun(self.periods, returns.wait, waited, level, plans, self.spans)
        return again.with_bills(returns.bills, waited, paid, self.spans)

    def _never_paid(self, columns: Mapping[str, Array]) -> NDArray[np.bool_]:
        return never_paid(columns, self.periods.has_prices)

    def _of(self, rows: Integers) -> dict[str, Array]:
        names = (*self.periods.columns, "spend_mean")
        return {name: self.columns[name][rows] for name in names if name in self.columns}

    def _plans_again(self, rows: Integers) -> tuple[Array, Array]:
        """Return P(billing period) and the price of a contract that begins again, (rows, periods).

        Who has paid comes back to the plan of before, whose price is one payment; who had a trial
        only begins a plan that follows one.
        """
        # their silence tells nothing: it is not one of a customer
        columns = {**self._of(rows), "recency_days": np.zeros(len(rows))}
        shares = self.periods.shares(columns)
        prices, trials = np.ones_like(shares), self.beginnings.trials
        if trials is not None:
            fresh = ~self.in_payments[rows]
            shares[fresh], prices[fresh] = trials.shares, trials.prices
        return shares, prices

    def p_inactive(self, pooled: Array) -> Array:
        """Return P(no purchase within the horizon), shape (rows,), from that of the pool."""
        result = pooled.copy()
        if self.schedule is not None:
            # what follows an end that is announced is known
            announced = self.contracts.announced[self.rows]
            share = np.where(announced, 1.0, KNOWN) * self.schedule.share
            result[self.rows] = share * self.schedule.p_none + (1.0 - share) * pooled[self.rows]
        for rows, plan in self.beginning:
            if not self.orders_of_models(rows):
                result[rows] = plan.p_none
        return result

    def days_to_order(self, days: Array) -> Array:
        """Return the median days to the next order, shape (rows,), from those without contracts.

        NaN where a contract ends before its next payment.
        """
        result = days.copy()
        if self.schedule is not None:
            by_schedule = self.schedule.share > 0.5
            result[self.rows[by_schedule]] = self.schedule.next_days[by_schedule]
        for rows, plan in self.beginning:
            if not self.orders_of_models(rows):
                result[rows] = plan.next_days
        left = self.contracts.days_left
        return np.where(result >= np.where(np.isnan(left), np.inf, left), np.nan, result)

    def prices(self, per_order: Array) -> Array:
        """Return what a payment of each is expected to bring, shape (rows,).

        Of a contract with a price the last one, else the expected spend per order.
        """
        last = self.columns.get(LAST_PRICE)
        if not self.periods.has_fixed_prices or last is None:
            return per_order
        last = self._whole(last)
        is_price = self.contracts.ever_had & self.periods.pays_a_price(self.columns)
        return np.where(is_price & (np.nan_to_num(last) > 0), last, per_order)

    def prices_within(self, per_order: Array, span_days: int) -> Array:
        """Return what a payment of an open contract within a span is expected to bring, (n,).

        Parameters
        ----------
        per_order
            What :meth:`prices` says of :attr:`rows`, shape (n,): that of today.
        span_days
            Days from the as_of.
        """
        listed = self.periods.price_list
        if listed is None or LAST_PRICE not in self.columns:
            return per_order
        return listed.per_order(self.columns[LAST_PRICE][self.rows], per_order, span_days)

    def price_ends(self, per_order: Array, span_days: int) -> tuple[Array, Array]:
        """Return the least and the largest price of an open contract in a span, shape (n,) each.

        Parameters
        ----------
        per_order
            What :meth:`prices_within` returns for the span, which lies between them.
        span_days
            Days from the as_of.
        """
        listed = self.periods.price_list
        if listed is None or LAST_PRICE not in self.columns:
            return per_order, per_order
        low, high = listed.ends(self.columns[LAST_PRICE][self.rows], span_days)
        return np.fmin(low, per_order), np.fmax(high, per_order)

    def _whole(self, last: Array) -> Array:
        """Return the last payments, whole where the first of a contract was a part of one."""
        for k, period in enumerate(self.periods.periods):
            if period.due is None or period.due.price is None:
                continue
            rows = np.flatnonzero((self.columns["orders"] <= 1.0) & (np.nan_to_num(last) > 0))
            likely = self.periods.shares(self._of(rows)).argmax(axis=1) == k
            last = last.copy()
            last[rows[likely]] = period.due.price
        return last

    def begun_again(self, span_days: float, price: Array) -> tuple[Integers, Array, Array]:
        """Return what customers without a contract would pay in a span if they began one again.

        Who had a trial only begins another one, which may not turn into a plan.

        Parameters
        ----------
        span_days
            Days of the span, discounted.
        price
            What a payment of each is expected to bring, shape (rows,).

        Returns
        -------
        rows
            Rows of those who had a contract, shape (n,).
        share
            P(their billing period is known), shape (n,).
        money
            Money of the payments in the span, given that it is, shape (n,).
        """
        over = np.flatnonzero(self.contracts.ever_had & ~self.contracts.open)
        if self.periods.is_none or not len(over):
            return over, np.zeros(len(over)), np.zeros(len(over))
        columns, trials = self._of(over), self.beginnings.trials
        # their silence tells nothing: it is not one of a customer
        shares = self.periods.shares({**columns, "recency_days": np.zeros(len(over))})
        often = span_days * np.array([p.paid / p.days for p in self.periods.periods])
        share = shares.sum(axis=1)
        money = price[over] * (shares @ often) / np.maximum(share, 1e-9)
        if trials is not None:
            fresh = self._never_paid(columns)
            of_trial = trials.wait.ever * np.asarray(trials.shares) * np.asarray(trials.prices)
            share = np.where(fresh, 1.0, share)
            money = np.where(fresh, float(of_trial @ often), money)
        return over, share, money

"""Contracts beside the models of purchases: their risk, and the payments that are still to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.contracts import Contracts
from stagecast.training.billing.periods import BillingPeriods
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
    """

    contracts: Contracts
    p_cancel: Array
    periods: BillingPeriods
    columns: Mapping[str, Array]
    spans: Spans

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
        return schedule(
            self.periods,
            columns,
            self.contracts.of(self.rows),
            np.nan_to_num(self.p_cancel[self.rows]),
            self.spans,
        )

    def p_inactive(self, pooled: Array) -> Array:
        """Return P(no purchase within the horizon), shape (rows,), from that of the pool."""
        if self.schedule is None:
            return pooled
        result, share = pooled.copy(), KNOWN * self.schedule.share
        result[self.rows] = share * self.schedule.p_none + (1.0 - share) * pooled[self.rows]
        return result

    def days_to_order(self, days: Array) -> Array:
        """Return the median days to the next order, shape (rows,), from those without contracts.

        NaN where a contract ends before its next payment.
        """
        result = days.copy()
        if self.schedule is not None:
            by_schedule = self.schedule.share > 0.5
            result[self.rows[by_schedule]] = self.schedule.next_days[by_schedule]
        left = self.contracts.days_left
        return np.where(result >= np.where(np.isnan(left), np.inf, left), np.nan, result)

    def prices(self, per_order: Array) -> Array:
        """Return what a payment of each is expected to bring, shape (rows,).

        With fixed prices the last one of a contract, else the expected spend per order.
        """
        last = self.columns.get("spend_last")
        if not self.periods.has_fixed_prices or last is None:
            return per_order
        return np.where(self.contracts.ever_had & (np.nan_to_num(last) > 0), last, per_order)

    def begun_again(self, span_days: float) -> tuple[Integers, Array, Array]:
        """Return what customers without a contract would pay in a span if they began one again.

        Parameters
        ----------
        span_days
            Days of the span, discounted.

        Returns
        -------
        rows
            Rows of those who had a contract, shape (n,).
        share
            P(their billing period is known), shape (n,).
        payments
            Payments in the span, given that it is, shape (n,).
        """
        over = np.flatnonzero(self.contracts.ever_had & ~self.contracts.open)
        if self.periods.is_none or not len(over):
            return over, np.zeros(len(over)), np.zeros(len(over))
        columns = {name: self.columns[name][over] for name in self.periods.columns}
        # their silence tells nothing: it is not one of a customer
        shares = self.periods.shares({**columns, "recency_days": np.zeros(len(over))})
        often = span_days * np.array([p.paid / p.days for p in self.periods.periods])
        share = shares.sum(axis=1)
        return over, share, shares @ often / np.maximum(share, 1e-9)

"""The payments of a log, grouped by contract or by customer, and the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.periods import SAME_PRICE

LATE: Final = 1.25
"""A payment that has not come by so many periods is not coming."""
NEAR_USUAL: Final = 0.25
"""Part of the usual gap within which a gap is near to it."""


@dataclass(frozen=True)
class Payments:
    """Payments within contracts, ordered by customer and day, shape (n,) each.

    Parameters
    ----------
    customer, spell
        Rows of the customers and of the spells.
    day
        Day number.
    spend
        Money of the day.
    number
        Number of the payment in its contract, 1 for the first.
    is_last
        Whether no other one followed in the contract.
    """

    customer: Integers
    spell: Integers
    day: Array
    spend: Array
    number: Integers
    is_last: NDArray[np.bool_]

    @classmethod
    def of(cls, days: PurchaseDays, spells: Spells) -> Payments:
        """Return the purchase days of a log that lie in a contract.

        Days on which nothing was paid are left out, in a log with amounts.
        """
        order = np.lexsort((spells.start, spells.customer))
        # a payment up to a day before its contract began belongs to it, too
        start = np.floor(spells.start[order] / DAY_MICROSECONDS) - 1.0
        if (days.spend > 0).any():  # a trial for nothing is no payment
            days = days.of(np.flatnonzero(days.spend > 0))
        far = 10.0 * max(float(days.day.max(initial=1)), float(start.max(initial=1.0)))
        position = np.searchsorted(
            spells.customer[order] * far + start, days.customer * far + days.day, side="right"
        )
        spell = np.where(position > 0, order[np.maximum(position - 1, 0)], -1)
        inside = (spell >= 0) & (spells.customer[spell] == days.customer)
        customer, spell = days.customer[inside], spell[inside]
        return cls._of_groups(customer, spell, days.day[inside], days.spend[inside])

    @classmethod
    def of_customers(cls, days: PurchaseDays) -> Payments:
        """Return the purchase days of a log without contracts, all of a customer as of one."""
        return cls._of_groups(days.customer, days.customer, days.day, days.spend)

    @classmethod
    def _of_groups(
        cls, customer: Integers, spell: Integers, day: Integers, spend: Array
    ) -> Payments:
        first = np.r_[True, spell[1:] != spell[:-1]]
        rows = np.arange(len(spell))
        number = rows - np.maximum.accumulate(np.where(first, rows, 0)) + 1
        is_last = np.r_[first[1:], True]
        return cls(customer, spell, day.astype(np.float64), spend, number, is_last)

    @property
    def gap_before(self) -> Array:
        """Days since the payment before in the same contract, shape (n,); NaN of the first."""
        return np.where(self.number > 1, np.r_[np.nan, np.diff(self.day)], np.nan)

    @property
    def gap_after(self) -> Array:
        """Days until the next payment in the same contract, shape (n,); NaN of the last."""
        return np.where(self.is_last, np.nan, np.r_[np.diff(self.day), np.nan])

    @property
    def same_price(self) -> NDArray[np.bool_]:
        """Whether the price is that of the payment before, of any contract, shape (n,)."""
        result = np.zeros(len(self.spend), dtype=np.bool_)
        before = self.spend[:-1]
        result[1:] = np.abs(self.spend[1:] - before) <= SAME_PRICE * np.abs(before)
        return result

    @property
    def contract(self) -> Integers:
        """Number of the contract, shape (n,)."""
        return np.cumsum(np.r_[0, self.is_last[:-1]])


def usual_gaps(payments: Payments) -> Array:
    """Return the median gap of the contract of each payment, shape (n,); NaN with one payment."""
    gap, contract = payments.gap_before, payments.contract
    order = np.lexsort((gap, contract))  # NaN, of the first payment, is the last of each contract
    count = np.bincount(contract)
    start = np.cumsum(np.r_[0, count[:-1]])
    gaps = count - 1
    middle = gap[order[start + np.maximum(gaps - 1, 0) // 2]]
    return np.asarray(np.where(gaps > 0, middle, np.nan)[contract])


def near_usual(payments: Payments, usual: Array) -> tuple[NDArray[np.bool_], Array]:
    """Return which gaps before payments are near to the usual one, or to a multiple, shape (n,).

    And to which multiple: once, or twice or three times where payments were left out. The gap of
    first payments is near to none.

    Parameters
    ----------
    payments
        All payments.
    usual
        What :func:`usual_gaps` returns of them.
    """
    gaps = payments.gap_before / usual
    times = np.clip(np.round(gaps), 1.0, 3.0)
    return np.abs(gaps - times) <= NEAR_USUAL, times

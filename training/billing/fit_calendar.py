"""Whether the payments of contracts are tied to a date of the year, and to which."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.training.billing.calendar import NEAR, YEAR, DueDate, days_of_year_between
from stagecast.training.billing.payments import Payments
from stagecast.training.billing.periods import FIXED, SAME_PRICE

FEWEST: Final = 10
"""Contracts that began away from the date and were paid again, of which it is known."""
AWAY: Final = 45.0
"""Days: a contract began away from the date."""
TIED: Final = 0.75
"""Share of these contracts whose second payment came on the date. Of contracts with dates of their
own it is none, of dates drawn at random one in six."""
YEARLY: Final = 0.8
"""Share of the contracts with three payments whose last two lie a year apart, above which those
with fewer payments are taken to be yearly, too."""
LEAST_SPREAD: Final = 1.0
"""Days."""
COVERED: Final = np.arange(1.5, 181.0, 3.0)


def due_date(payments: Payments) -> DueDate | None:
    """Return the date of the year on which contracts are paid; None where they have their own.

    Contracts of other intervals may stand beside them.
    """
    return _due_date(payments, _yearly(payments))


def _due_date(payments: Payments, yearly: NDArray[np.bool_]) -> DueDate | None:
    """Return the date of payments of which it is known whether they are yearly."""
    second = np.flatnonzero(yearly & (payments.number == 2))
    if len(second) < FEWEST:
        return None
    later = payments.day[yearly & (payments.number > 1)]
    angle = 2.0 * np.pi * later / YEAR
    mean = np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()) / (2.0 * np.pi) * YEAR
    # the mean is moved by who pays late, or each month
    day = float(mean + np.median(days_of_year_between(mean, later))) % YEAR
    began, paid = payments.day[second - 1], payments.day[second]
    away = np.abs(days_of_year_between(day, began)) > AWAY
    if away.sum() < FEWEST or (np.abs(days_of_year_between(day, paid[away])) <= NEAR).mean() < TIED:
        return None
    first = np.ones(len(second), dtype=np.bool_)
    fits = [
        float((np.abs(DueDate(day, covered).after(began, first) - paid) < AWAY).mean())
        for covered in COVERED
    ]
    covered = float(COVERED[int(np.argmax(fits))])
    of_later = days_of_year_between(day, later)
    spread = float(np.sqrt(np.mean(of_later[np.abs(of_later) <= NEAR] ** 2)))
    price = _price(payments, second[away], yearly)
    return DueDate(day, covered, price, max(spread, LEAST_SPREAD))


def due_date_of_all(payments: Payments) -> DueDate | None:
    """Return the date on which all customers pay once a year; None where they do not.

    Where nobody has paid three times, as in the first two years, second payments alone tell.

    Parameters
    ----------
    payments
        All purchase days of the customers, where contracts are not known.
    """
    if not len(payments.day):
        return None
    if (payments.number > 2).any():
        return due_date(payments) if _are_mostly_yearly(payments) else None
    return _due_date(payments, np.ones(len(payments.day), dtype=np.bool_))


def tied(payments: Payments, due: DueDate) -> NDArray[np.bool_]:
    """Return which payments are the first of contracts that are paid on a date, shape (n,).

    A first payment that no other has followed is one where nearly all contracts are yearly.
    """
    first = payments.number == 1
    yearly = _yearly(payments)
    followed = np.r_[due.is_near(payments.day[1:]), False]
    # where others pay each month, a second payment of the yearly price is one of a year
    usual = _later_price(payments, yearly)
    next_spend = np.r_[payments.spend[1:], np.nan]
    followed &= yearly | (np.abs(next_spend - usual) <= SAME_PRICE * usual)
    alone = payments.is_last & _are_mostly_yearly(payments)
    return np.asarray(first & np.where(payments.is_last, alone, followed))


def _yearly(payments: Payments) -> NDArray[np.bool_]:
    """Return which payments are of yearly contracts, shape (n,).

    With three payments the last gap tells; with two, whether most of the others are.
    """
    last = np.flatnonzero(payments.is_last)
    of_contract = np.abs(payments.gap_before[last] - YEAR) < 2.0 * NEAR
    if _are_mostly_yearly(payments):
        of_contract |= payments.number[last] == 2
    else:
        of_contract &= payments.number[last] > 2
    return np.asarray(of_contract[payments.contract])


def _are_mostly_yearly(payments: Payments) -> bool:
    rows = np.flatnonzero(payments.is_last & (payments.number > 2))
    yearly = np.abs(payments.gap_before[rows] - YEAR) < 2.0 * NEAR
    return bool(len(rows)) and float(yearly.mean()) >= YEARLY


def _price(payments: Payments, second: Integers, yearly: NDArray[np.bool_]) -> float | None:
    """Return what later payments usually are; None where the first are as high as the second."""
    spend = payments.spend
    second = second[(spend[second] > 0) & (spend[second - 1] > 0)]
    if not len(second):
        return None
    same = np.abs(np.log(spend[second] / spend[second - 1])) < FIXED
    return None if same.mean() >= 0.5 else _later_price(payments, yearly)


def _later_price(payments: Payments, yearly: NDArray[np.bool_]) -> float:
    """Return what yearly payments after the first usually are; NaN where none is known."""
    later = payments.spend[yearly & (payments.number > 1) & (payments.spend > 0)]
    return float(np.median(later)) if len(later) else np.nan

"""Whether the payments of contracts are tied to a date of the year, and to which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import YEAR, DueDate

if TYPE_CHECKING:
    from stagecast.training.billing.fit_periods import Payments

FEWEST: Final = 10
"""Contracts that began away from the date and were paid again, of which it is known."""
AWAY, NEAR = 45.0, 30.0
"""Days: a contract began away from the date, a payment came on it."""
TIED: Final = 0.75
"""Share of these contracts whose second payment came on the date. Of contracts with dates of their
own it is none, of dates drawn at random one in six."""
YEARLY: Final = 0.8
"""Share of the contracts with three payments whose last two lie a year apart."""
COVERED: Final = np.arange(0.0, 181.0, 3.0)


def due_date(payments: Payments) -> DueDate | None:
    """Return the date of the year on which contracts are paid; None where they have their own."""
    later = payments.number > 1
    last = np.flatnonzero(payments.is_last & (payments.number > 2))
    if len(last) < FEWEST:
        return None
    yearly = np.abs(payments.gap_before[last] - YEAR) < 2.0 * NEAR
    if yearly.mean() < YEARLY:
        return None
    angle = 2.0 * np.pi * payments.day[later] / YEAR
    mean = np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())
    day = float(mean / (2.0 * np.pi) * YEAR) % YEAR
    second = np.flatnonzero(payments.number == 2)
    began, paid = payments.day[second - 1], payments.day[second]
    away = _from_date(began, day) > AWAY
    if away.sum() < FEWEST or (_from_date(paid[away], day) <= NEAR).mean() < TIED:
        return None
    first = np.ones(len(second), dtype=np.bool_)
    fits = [
        float((np.abs(DueDate(day, covered).after(began, first) - paid) < AWAY).mean())
        for covered in COVERED
    ]
    return DueDate(day, float(COVERED[int(np.argmax(fits))]))


def _from_date(days: Array, date: float) -> Array:
    """Return how many days of the year lie between days and a date, same shape."""
    away = np.mod(days - date, YEAR)
    return np.asarray(np.minimum(away, YEAR - away))

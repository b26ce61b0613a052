"""Payments on the same day of each month, or of each third or twelfth month.

The day is 31, or the last one of a shorter month: after 28 February, 31 March where the payment
before was on 31 January. Days are numbered from 1970-01-01.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.billing.calendar import YEAR

MONTH: Final = YEAR / 12.0
"""Mean days of a month."""
MOST_MONTHS: Final = 12
NEAR: Final = 0.03
"""Most that the logarithm of a billing period may differ from that of months."""
SAME_DAY: Final = 0.75
"""Share of the payments that are on the day of the one before, above which all are expected to be.
Of payments each 30 days or each 30.4 it is below a half."""


def month_of(days: Array) -> tuple[NDArray[np.int64], Array]:
    """Return the months of days, since January 1970, and the days of the month from 1 on.

    >>> [part.tolist() for part in month_of(np.array([0.0, 58.0, 59.0]))]
    [[0, 1, 2], [1.0, 28.0, 1.0]]
    """
    date = np.floor(days).astype(np.int64).astype("datetime64[D]")
    month = date.astype("datetime64[M]").astype(np.int64)
    return month, np.floor(days) - first_day(month) + 1.0


def first_day(month: NDArray[np.int64]) -> Array:
    """Return the first days of months, same shape."""
    days = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return np.asarray(days, dtype=np.float64)


def is_last(days: Array) -> NDArray[np.bool_]:
    """Return which days are the last of their month, same shape."""
    return np.asarray(month_of(np.asarray(days + 1.0))[1] == 1.0)


def months_after(days: Array, months: Array | int, day_of_month: Array) -> Array:
    """Return the same day of the month so many months after days, or the last of a shorter one.

    Parameters
    ----------
    days, months, day_of_month
        Shapes that broadcast.

    >>> from datetime import date
    >>> january = float((date(2024, 1, 31) - date(1970, 1, 1)).days)
    >>> after = months_after(np.array([january]), np.array([1, 2, 13]), np.array([31.0])) - january
    >>> after.tolist()
    [29.0, 60.0, 394.0]
    """
    month = month_of(days)[0] + np.asarray(months, dtype=np.int64)
    begins = first_day(month)
    return np.asarray(begins + np.minimum(day_of_month, first_day(month + 1) - begins) - 1.0)


def day_of_month(paid: Array, gap_before: Array, months: int) -> Array:
    """Return the day of the month on which contracts are paid, same shape.

    That of the last payment or, where that was on the last day of a month, of the one before if it
    was later.

    Parameters
    ----------
    paid, gap_before
        Days of the last payments, and days since the ones before; NaN of first payments.
    months
        Months between two payments.
    """
    of_last = month_of(paid)[1]
    before = month_of(paid - np.nan_to_num(gap_before))[1]
    apart = np.abs(np.nan_to_num(gap_before) / (months * MONTH) - 1.0) < 0.25
    was_later = is_last(paid) & apart & (before > of_last)
    return np.asarray(np.where(was_later, before, of_last))


def months_between(paid: Array, following: Array, days: float) -> int | None:
    """Return how many months payments of a billing period are apart; None where they are not.

    Parameters
    ----------
    paid, following
        Days of payments and of the ones after them, shape (n,).
    days
        The billing period.
    """
    months = max(round(days / MONTH), 1)
    if months > MOST_MONTHS or abs(np.log(days / (months * MONTH))) > NEAR or not len(paid):
        return None
    of_paid, of_following = month_of(paid)[1], month_of(following)[1]
    on_day = following == months_after(paid, months, of_paid)
    # what was on the last day of a short month goes back to its own one
    right_month = month_of(following)[0] == month_of(paid)[0] + months
    on_day |= is_last(paid) & right_month & (of_following >= of_paid)
    return months if float(on_day.mean()) >= SAME_DAY else None

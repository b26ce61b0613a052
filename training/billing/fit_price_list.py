"""Fitting of :class:`stagecast.training.billing.price_list.PriceList` on the payments of a log."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from stagecast.features.arrays import Array, Integers
from stagecast.training.billing.payments import LATE, Payments
from stagecast.training.billing.price_list import PriceList

FEWEST_OF_PRICE: Final = 5
"""Payments of a price on the list."""
MOST_PRICES: Final = 50
LISTED: Final = 0.9
"""Share of the payments that are of a price on the list, from which on there is one."""
FEWEST_CHANGES: Final = 10
"""Changes of the price, below which nothing is known of them; and the newest payments after one of
a price that were all of one other, as after a rise: then nobody pays it again."""
LASTS: Final = 0.75
"""Share of the changes after which the new price is paid again. Where some orders hold something
more, half of the changes are those back to the usual price, and what was paid last tells little."""
PRIOR_SAME: Final = 5.0
"""Payments at the same price beside those of each price."""
PRIOR_LEAVING: Final = 20.0
"""Payments by which the share who leave after one of a price is shrunk to that of all prices."""
BY_CHANCE: Final = 0.001
"""P(shares who leave differ so much between prices) by chance, below which they do."""
FEWEST_EXPECTED: Final = 5.0
"""Customers who are expected to leave after payments of a price, for its share to be compared."""


def fit_price_list(payments: Payments, as_of_day: float, period_days: float) -> PriceList | None:
    """Return the prices of a log: those that customers change between, or leave after more or less.

    None where there are no prices, or neither is so.

    Parameters
    ----------
    payments
        All payments; those of nothing are some, too.
    as_of_day
        The as_of as a day number.
    period_days
        Days of the billing period.
    """
    if not len(payments.day):
        return None
    price = np.round(payments.spend, 2)
    prices, count = np.unique(price, return_counts=True)
    prices = prices[(count >= FEWEST_OF_PRICE) & (prices >= 0)]
    is_listed = np.isin(price, prices)
    if not 2 <= len(prices) <= MOST_PRICES or is_listed.mean() < LISTED:
        return None
    number = np.where(is_listed, np.searchsorted(prices, price), -1)
    is_over = payments.day < as_of_day - LATE * period_days
    was_last = payments.is_last & is_over
    changed = _changed(payments, number)
    if len(changed) < FEWEST_CHANGES:
        is_told = _leaving_differs(payments, number, len(prices), was_last)
    else:
        is_told = _changes_last(payments, number, changed)
    if not is_told:
        return None
    changes = _changes(payments, number, len(prices), was_last)
    now = np.bincount(number[payments.is_last & ~is_over & (number >= 0)], minlength=len(prices))
    shares = tuple(float(f"{share:.6g}") for share in now / max(now.sum(), 1))
    return PriceList(period_days, tuple(prices.tolist()), changes, shares)


def _changed(payments: Payments, number: Integers) -> Integers:
    """Return which payments are of another price of the list than the one before."""
    changed = np.flatnonzero(~payments.is_last[:-1] & (number[1:] != number[:-1])) + 1
    return np.asarray(changed[(number[changed] >= 0) & (number[changed - 1] >= 0)])


def _leaving_differs(
    payments: Payments, number: Integers, prices: int, was_last: NDArray[np.bool_]
) -> bool:
    """Return whether more customers leave after payments of some prices than of others.

    By Pearson's chi-square test of the prices after which enough are expected to leave and to stay.

    Parameters
    ----------
    payments
        All payments.
    number
        Position of the price of each, -1 of none.
    prices
        How many there are.
    was_last
        Whether no other payment will follow each, shape (n,).
    """
    left, stayed = (
        np.bincount(number[of_kind & (number >= 0)], minlength=prices).astype(np.float64)
        for of_kind in (was_last, ~payments.is_last)
    )
    table = np.stack([left, stayed])
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(float(table.sum()), 1.0)
    table = table[:, (expected >= FEWEST_EXPECTED).all(axis=0)]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return False
    return float(chi2_contingency(table, correction=False).pvalue) < BY_CHANCE


def _changes_last(payments: Payments, number: Integers, changed: Integers) -> bool:
    """Return whether most of the new prices are paid again."""
    # none is followed by a payment yet where all prices have just risen
    followed = changed[~payments.is_last[changed]]
    lasting = np.count_nonzero(number[followed + 1] == number[followed])
    return bool(lasting >= LASTS * len(followed))


def _changes(
    payments: Payments, number: Integers, prices: int, was_last: NDArray[np.bool_]
) -> tuple[tuple[float, ...], ...]:
    """Return Q, see :mod:`stagecast.training.billing.price_list`.

    Parameters
    ----------
    payments
        All payments.
    number
        Position of the price of each, -1 of none.
    prices
        How many there are.
    was_last
        Whether no other payment will follow each, shape (n,).
    """
    on_list = np.flatnonzero(~payments.is_last & (number >= 0))
    on_list = on_list[number[on_list + 1] >= 0]
    pairs = number[on_list] * prices + number[on_list + 1]
    count: Array = np.bincount(pairs, minlength=prices * prices).astype(np.float64)
    went_on = count.reshape(prices, prices)
    left = np.bincount(number[was_last & (number >= 0)], minlength=prices).astype(np.float64)
    paid = went_on.sum(axis=1)
    of_all = left.sum() / max(float(left.sum() + paid.sum()), 1.0)
    leaves = (left + PRIOR_LEAVING * of_all) / (left + paid + PRIOR_LEAVING)
    share = (went_on + PRIOR_SAME * np.eye(prices)) / (paid + PRIOR_SAME)[:, None]
    for price in range(prices):
        of_price = on_list[number[on_list] == price]
        next_price = number[of_price + 1][np.argsort(payments.day[of_price + 1], kind="stable")]
        newest = next_price[-FEWEST_CHANGES:]
        if len(newest) == FEWEST_CHANGES and (newest == newest[-1]).all() and newest[-1] != price:
            share[price] = np.eye(prices)[newest[-1]]
    # rounded, so that a bundle is the same where only the last bits differ
    return tuple(tuple(float(f"{p:.6g}") for p in row) for row in (1.0 - leaves)[:, None] * share)

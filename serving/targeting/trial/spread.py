"""How widely a buyer's spend varies: measured on settled runs, else read off the ends of scores.

The power of a hold-out for money stands and falls with it. What earlier scores of the same shop
said and what came tells it best, by the probability of a purchase: who buys often has many orders
in a window, which vary less together than a single one. Before anything is settled, the 90 % ends
of the expected spend say it: 5 % of such customers spend more than the upper end, which is the part
0.05 / p of those who buy; with a gamma-distributed spend of a known mean, that leaves one spread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array

EDGES = (0.1, 0.2, 0.35, 0.5, 0.7)
"""Probabilities of a purchase between which a spread of its own is measured."""
FEWEST_BUYERS = 50
"""Expected buyers of a part below which its spread is that of all."""
LEAST_PURCHASE = 0.5
"""Probability of a purchase from which the upper end says something of the spend of a buyer."""
FEWEST_ENDS = 20
CVS = np.linspace(0.05, 4.0, 80)
"""Coefficients of variation among which the ends choose."""


@dataclass(frozen=True)
class SpendSpread:
    """Squared errors of the expected spend over what they are without spread, by P(purchase).

    Parameters
    ----------
    squares
        Sums of (spend - expected)^2 + expected^2 over the customers of each part, in money squared,
        shape (6,).
    expected_squares
        Sums of expected^2 / P(purchase), which would be the same without spread, shape (6,).
    buyers
        Expected buyers of each part, shape (6,).
    runs
        Windows that were measured.
    """

    squares: tuple[float, ...]
    expected_squares: tuple[float, ...]
    buyers: tuple[float, ...]
    runs: int = 1

    def cv(self, purchase: Array, spend: Array) -> float | None:
        """Return the coefficient of variation for a list: that at which its variance is the sum.

        Parameters
        ----------
        purchase, spend
            P(purchase) and expected spend of its customers, shape (n,).

        Returns
        -------
        float or None
            None where too few bought to say it, or nobody is expected to spend.
        """
        each = self.cv_each(purchase)
        buys = purchase > 0
        weight = spend[buys] ** 2 / purchase[buys]
        if each is None or not weight.sum():
            return None
        return math.sqrt(float(weight @ each[buys] ** 2 / weight.sum()))

    def cv_each(self, purchase: Array) -> Array | None:
        """Return the coefficient of variation of customers by how likely they buy.

        Who buys often has many orders in a window, whose sum varies less than a single one; a list
        with one spread for all would be too skewed, since often those spend most.

        Parameters
        ----------
        purchase
            P(purchase), shape (n,).

        Returns
        -------
        array or None
            Shape (n,); None where too few bought to say it.
        """
        squares, expected = np.array(self.squares), np.array(self.expected_squares)
        buyers = np.array(self.buyers)
        if buyers.sum() < FEWEST_BUYERS or not expected.sum():
            return None
        overall = squares.sum() / expected.sum()
        enough = (buyers >= FEWEST_BUYERS) & (expected > 0)
        factor = np.where(enough, squares / np.where(enough, expected, 1.0), overall)
        square = np.maximum(factor - 1, 0.0)
        return np.asarray(np.sqrt(square)[np.searchsorted(EDGES, purchase)], dtype=np.float64)

    @property
    def words(self) -> str:
        """Where the spread is from, as a sentence names it."""
        runs = "a settled run" if self.runs == 1 else f"{self.runs} settled runs"
        return f"as measured on {runs} of this shop"


def measure_spread(spend: Array, purchase: Array, expected_spend: Array) -> SpendSpread | None:
    """Measure the spread of a buyer's spend on a window that has passed.

    Parameters
    ----------
    spend
        Money spent in the window, shape (n,).
    purchase, expected_spend
        P(purchase) and expected spend by the scores before the window, shape (n,); who has no
        number is left out.

    Returns
    -------
    SpendSpread or None
        None where nobody was expected to spend.
    """
    usable = np.isfinite(purchase) & np.isfinite(expected_spend) & (expected_spend >= 0)
    usable &= purchase > 0
    p, s, y = purchase[usable], expected_spend[usable], spend[usable]
    if not s.any():
        return None
    part, count = np.searchsorted(EDGES, p), len(EDGES) + 1
    sums = (np.bincount(part, values, count) for values in ((y - s) ** 2 + s**2, s**2 / p, p))
    squares, expected, buyers = (tuple(values.tolist()) for values in sums)
    return SpendSpread(squares, expected, buyers)


def pool_spreads(stored: Sequence[Mapping[str, Any]]) -> SpendSpread | None:
    """Return the spread over several windows from their plain data; None without any."""
    if not stored:
        return None
    squares, expected, buyers = (
        tuple(np.sum([row[name] for row in stored], axis=0).tolist())
        for name in ("squares", "expected_squares", "buyers")
    )
    return SpendSpread(squares, expected, buyers, len(stored))


def cv_from_ends(
    purchase: Array, spend: Array, low: Array, high: Array, level: float = 0.9
) -> float | None:
    """Return the coefficient of variation of a buyer's spend from the ends of its interval.

    Parameters
    ----------
    purchase, spend
        P(purchase) and expected spend, shape (n,).
    low, high
        Ends of the interval of the spend, 0 spend included, shape (n,); NaN where there is none.
    level
        Of the interval, which leaves as much out on either side.

    Returns
    -------
    float or None
        None where fewer than 20 customers have ends that say it.

    >>> # everybody buys; an exponential spend of mean 100 has these ends, and cv 1
    >>> ends = [-100 * math.log(0.95), -100 * math.log(0.05)]
    >>> round(cv_from_ends(np.ones(30), np.full(30, 100.0), *np.outer(ends, np.ones(30))), 2)
    1.0
    """
    from scipy.special import gammaincinv  # a plan needs it, the start of the server does not

    tail = (1 - level) / 2
    usable = np.isfinite(high) & (purchase >= LEAST_PURCHASE) & (spend > 0)
    usable &= high > np.nan_to_num(low)
    if usable.sum() < FEWEST_ENDS:
        return None
    p = np.minimum(purchase[usable], 1.0)
    y = spend[usable] / p
    quantiles = np.stack([gammaincinv(cv**-2, 1 - tail / p) * cv**2 for cv in CVS])
    cv = CVS[np.abs(quantiles - high[usable] / y).argmin(axis=0)]
    weight = p * y**2
    return math.sqrt(float(weight @ cv**2 / weight.sum()))

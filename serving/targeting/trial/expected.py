"""What is expected of the customers of a list if they are left alone, and how widely it varies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError

SPEND_CV = 1.0
"""Spread over mean of what a buyer spends in the window, where neither a past window nor the ends
of the scores say it: about the middle of 0.4 to 1.8, measured on two shops
(docs/experiments.md)."""
TAIL_CUSTOMERS = 50_000
"""Most customers from whom the third and fourth moments are worked out."""


@dataclass(frozen=True)
class Expected:
    """What is expected of the customers of a list if they are left alone.

    A customer buys with the probability ``purchase`` and then spends ``per_buyer`` on average, with
    the coefficient of variation ``cv``. Counting buyers is the case of 1 each, without spread. An
    effect keeps the same part k of those who would leave: purchase + k (1 - purchase).

    Parameters
    ----------
    purchase
        P(purchase in the window), shape (n,).
    per_buyer
        Expected outcome of a customer who buys: 1, or money, shape (n,).
    cv
        Standard deviation over mean of the outcome of a customer who buys.
    cv_from
        Where the ``cv`` is from, as a sentence names it; empty: nothing measured it.
    cv_each
        That of each customer where it is known apart, shape (n,); None: ``cv`` for all.
    """

    purchase: Array
    per_buyer: Array
    cv: float
    cv_from: str = ""
    cv_each: Array | None = None

    def variance(self, part: float = 0.0) -> float:
        """Return the mean variance of an outcome around the score, if this part is kept.

        With p and y it is the mean of p y^2 (1 + cv^2) - (p y)^2: for buyers, of p (1 - p).
        """
        second, square = self._moments
        by_part = np.array([1.0, part])
        return float(by_part @ second - by_part @ square @ by_part)

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        """Means of y^2 (1 + cv^2) times p and 1 - p, and of the products of y p and y (1 - p)."""
        p, y = np.stack([self.purchase, 1 - self.purchase]), self.per_buyer
        yp = y * p
        return yp @ (y * (1 + self.squared_cv)) / len(y), yp @ yp.T / len(y)

    @property
    def squared_cv(self) -> Array:
        """Squared coefficients of variation, shape (n,)."""
        if self.cv_each is not None:
            return np.square(self.cv_each)
        return np.full(len(self.purchase), self.cv**2)

    def tails(self, part: float = 0.0) -> tuple[float, float]:
        """Return the mean third and fourth central moments of an outcome, if this part is kept.

        What a buyer spends is taken to be gamma-distributed; of long lists evenly spaced customers
        stand for all.

        Source: moments of a product of a Bernoulli and a gamma variable.
        """
        third, fourth = self._tail_polynomials
        return float(np.polyval(third, part)), float(np.polyval(fourth, part))

    @cached_property
    def _tail_polynomials(self) -> tuple[Array, Array]:
        """Coefficients of the third and the fourth moment, quartics in the part that is kept."""
        rows = slice(None, None, max(len(self.purchase) // TAIL_CUSTOMERS, 1))
        purchase, y = self.purchase[rows], self.per_buyer[rows]
        square = self.squared_cv[rows]
        raw = np.cumprod([1 + order * square for order in range(4)], axis=0)
        parts = np.linspace(0.0, 1.0, 5)
        moments = np.zeros((2, len(parts)))
        for k, part in enumerate(parts):
            q = purchase + part * (1 - purchase)
            m, m2, m3, m4 = (q * raw[order - 1] for order in (1, 2, 3, 4))
            moments[0, k] = np.mean(y**3 * (m3 - 3 * m * m2 + 2 * m**3))
            moments[1, k] = np.mean(y**4 * (m4 - 4 * m * m3 + 6 * m**2 * m2 - 3 * m**4))
        coefficients = np.asarray(np.linalg.solve(np.vander(parts), moments.T), dtype=np.float64)
        third, fourth = coefficients.T
        return third, fourth

    @cached_property
    def memory(self) -> dict[int, object]:
        """What was worked out for lists of a size, for the next question about it."""
        return {}

    @cached_property
    def largest_effect(self) -> float:
        """Effect per contacted customer if everybody who would leave is kept."""
        return float(np.mean((1 - self.purchase) * self.per_buyer))


def expected_buyers(purchase: Array) -> Expected:
    """Return what is expected where buyers are counted.

    Parameters
    ----------
    purchase
        P(purchase in the window) by the score, shape (n,).

    Raises
    ------
    UsageError
        The list is empty, or a probability is not between 0 and 1.

    >>> round(expected_buyers(np.array([0.5, 0.1])).variance(), 3)
    0.17
    """
    if not len(purchase):
        raise UsageError("the list is empty; a hold-out needs customers")
    if not np.all((purchase >= 0) & (purchase <= 1)):
        worst = int(np.argmax(~((purchase >= 0) & (purchase <= 1))))
        raise UsageError(
            f"P(purchase) of customer {worst} of the list is {purchase[worst]}, not between 0 and "
            "1; score the customer, or leave it off the list"
        )
    return Expected(purchase, np.ones(len(purchase)), 0.0)


def expected_money(
    purchase: Array,
    spend: Array,
    cv: float = SPEND_CV,
    cv_from: str = "",
    cv_each: Array | None = None,
) -> Expected:
    """Return what is expected where money is counted.

    Parameters
    ----------
    purchase
        P(purchase in the window) by the score, shape (n,).
    spend
        Expected spend in the window, in money, shape (n,).
    cv
        Coefficient of variation of what a buyer spends; :func:`spend_cv` measures it, and
        :mod:`stagecast.serving.targeting.trial.spread` finds it for a list.
    cv_from
        Where it is from, as a sentence names it; empty: nothing measured it.

    Raises
    ------
    UsageError
        As in :func:`expected_buyers`; a spend or the cv is negative or not a number.
    """
    expected_buyers(purchase)
    if not np.all(np.isfinite(spend) & (spend >= 0)):
        worst = int(np.argmax(~(np.isfinite(spend) & (spend >= 0))))
        raise UsageError(
            f"the expected spend of customer {worst} of the list is {spend[worst]}; give a sum of "
            "money from 0 on"
        )
    if not (math.isfinite(cv) and cv >= 0):
        raise UsageError(f"a spread of spend of {cv} times its mean is impossible; 1 is usual")
    # who never buys spends nothing; the expected spend of a p of 0 can only be rounding
    per_buyer = np.divide(spend, purchase, out=np.zeros(len(spend)), where=purchase > 0)
    return Expected(purchase, per_buyer, cv, cv_from, cv_each)


def spend_cv(spend: Array, purchase: Array, expected_spend: Array) -> float:
    """Measure the coefficient of variation of a buyer's spend on a window that has passed.

    It is the cv at which the variances that :class:`Expected` states add up to the squared errors
    of the expected spend.

    Parameters
    ----------
    spend
        Money spent in the window, shape (n,).
    purchase, expected_spend
        Scores before the window, shape (n,).

    Raises
    ------
    UsageError
        Nobody was expected to spend anything.
    """
    buys = purchase > 0
    second_moment = float(np.sum(expected_spend[buys] ** 2 / purchase[buys]))
    if not second_moment:
        raise UsageError("nobody was expected to spend: the spread of spend is unknown; take 1")
    squared = float(np.sum((spend - expected_spend) ** 2 + expected_spend**2))
    return math.sqrt(max(squared / second_moment - 1, 0.0))

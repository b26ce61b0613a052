"""Prediction intervals of future money, by distributional conformal prediction.

The supposed distribution of a customer's money is 0 with the probability of no purchase, and else a
gamma distribution around the expectation, the narrower the more orders are expected. How far out in
it 90 % of the outcomes lie is learned at past dates, by size of the expectation, so that intervals
cover what they say also where the supposed distribution is wrong.

Source: Chernozhukov, Wuethrich and Zhu (2021), "Distributional conformal prediction", PNAS 118(48).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincinv

from stagecast.features.arrays import Array

COVERAGE: Final = 0.90
# Range of the squared variation of the money of those who buy.
MIN_VARIATION, MAX_VARIATION = 1e-4, 16.0
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Outlook:
    """Supposed distribution of the money of each row, shape (rows,) each.

    Parameters
    ----------
    expected
        Expected money.
    p_none
        Probability of no purchase.
    orders
        Expected purchase days if any, at least 1.
    past
        Purchase days so far, of which the own rate is known the better the more they are; None
        counts as one each.
    """

    expected: Array
    p_none: Array
    orders: Array
    past: Array | None = None

    def __len__(self) -> int:
        return len(self.expected)

    def of(self, chosen: NDArray[Any]) -> Outlook:
        """Return these rows, by mask or by position."""
        past = None if self.past is None else self.past[chosen]
        return Outlook(self.expected[chosen], self.p_none[chosen], self.orders[chosen], past)

    def at_level(self, factor: float) -> Outlook:
        """Return what is supposed where all customers order this many times as often.

        >>> Outlook(np.array([8.0]), np.array([0.25]), np.array([2.0])).at_level(0.5).p_none
        array([0.5])
        """
        p_none = np.clip(self.p_none, 0.0, 1.0) ** factor
        total = self.orders * (1.0 - self.p_none) * factor
        orders = np.maximum(total / np.maximum(1.0 - p_none, _TINY), 1.0)
        return Outlook(self.expected * factor, p_none, orders, self.past)

    @property
    def orders_so_far(self) -> Array:
        """Purchase days so far, at least 1, shape (rows,)."""
        return np.ones(len(self)) if self.past is None else np.maximum(self.past, 1.0)

    @property
    def if_any(self) -> Array:
        """Expected money if there is a purchase, shape (rows,)."""
        return np.asarray(self.expected / np.maximum(1.0 - self.p_none, _TINY))


def joined(outlooks: Sequence[Outlook]) -> Outlook:
    """Return the rows of several outlooks, one after the other."""
    names = ("expected", "p_none", "orders", "orders_so_far")
    return Outlook(*(np.concatenate([getattr(o, name) for o in outlooks]) for name in names))


@dataclass(frozen=True)
class Intervals:
    """90 % intervals of money.

    Parameters
    ----------
    variation
        Squared variation of the money of those who buy: a constant, a part that is divided by the
        expected orders, and, but in bundles of before, one that is divided by the orders so far.
    edges
        Upper ends of all bins of expected money but the last.
    low, high
        Levels of the supposed distribution at the ends of the interval, one per bin, 0 to 1.
    widening
        Power that the ends over the expectation are raised to: above 1 where the intervals were
        learned over a shorter span.
    """

    variation: tuple[float, ...]
    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    widening: float = 1.0

    def around(self, outlook: Outlook) -> tuple[Array, Array]:
        """Return the lower and upper ends, which enclose the expectation, shape (rows,) each."""
        bins = np.searchsorted(self.edges, outlook.expected, side="left")
        low = self._quantile(outlook, np.array(self.low)[bins])
        high = self._quantile(outlook, np.array(self.high)[bins])
        expected = np.maximum(outlook.expected, 0.0)
        low, high = np.minimum(low, expected), np.maximum(high, expected)
        if self.widening != 1.0:
            positive = np.maximum(expected, _TINY)
            low = positive * (low / positive) ** self.widening
            high = positive * (high / positive) ** self.widening
        null = np.isnan(outlook.expected)
        return np.where(null, np.nan, low), np.where(null, np.nan, high)

    def _shape(self, outlook: Outlook) -> Array:
        constant, by_order, *by_past = self.variation
        variation = constant + by_order / np.maximum(outlook.orders, 1.0)
        if by_past:
            variation = variation + by_past[0] / outlook.orders_so_far
        return np.asarray(1.0 / np.clip(variation, MIN_VARIATION, MAX_VARIATION))

    def _quantile(self, outlook: Outlook, level: Array) -> Array:
        """Return the money at a level of the supposed distribution, shape (rows,)."""
        if_any = (level - outlook.p_none) / np.maximum(1.0 - outlook.p_none, _TINY)
        shape = self._shape(outlook)
        money = gammaincinv(shape, np.clip(if_any, 0.0, 1.0 - _TINY)) / shape * outlook.if_any
        return np.where(if_any > 0, money, 0.0)

    def level(self, outlook: Outlook, outcome: Array) -> Array:
        """Return the level of the supposed distribution that each outcome has, shape (rows,)."""
        shape = self._shape(outlook)
        below = gammainc(shape, shape * outcome / np.maximum(outlook.if_any, _TINY))
        return np.asarray(outlook.p_none + (1.0 - outlook.p_none) * below)

    def to_json(self) -> dict[str, Any]:
        """Return the intervals as plain data."""
        return {
            "variation": list(self.variation),
            "edges": list(self.edges),
            "low": list(self.low),
            "high": list(self.high),
            "widening": self.widening,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Intervals:
        """Read what :meth:`to_json` returns."""
        variation = tuple(float(value) for value in data["variation"])
        if len(variation) not in (2, 3):
            raise ValueError(f"a variation has 2 or 3 parts; got {len(variation)}")
        return cls(
            variation,
            tuple(data["edges"]),
            tuple(data["low"]),
            tuple(data["high"]),
            float(data["widening"]),
        )

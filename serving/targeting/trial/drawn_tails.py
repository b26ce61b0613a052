"""The tails of outcomes as a list of some size shows them.

The third moment of a skewed outcome rests on a few customers, whom most lists do not have: in a
list of a thousand the skewness is mostly below that of all customers, and so an interval of
Student's t is used more often, or the redrawn hold-outs are less askew, than the moments of the
distribution say. Outcomes are therefore drawn a few times for the customers of the list.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial.expected import Expected

DRAWS, MOST_VALUES = 100, 200_000
"""Most lists that are drawn, and most customers in all of them together."""
LARGEST_DRAWN = 50_000
"""Customers from which on a list has the moments of the distribution."""
SEED = 19250101


class DrawnLists:
    """Lists whose purchases and spends are drawn, the same ones for each effect.

    Parameters
    ----------
    expected
        The customers; evenly spaced ones stand for a list of another size.
    size
        Customers of a list, above 0.
    """

    def __init__(self, expected: Expected, size: int) -> None:
        rows = np.arange(size) * len(expected.purchase) // size
        draws = int(np.clip(MOST_VALUES // size, 4, DRAWS))
        random = np.random.default_rng(SEED)
        self.expected = expected
        self.purchase, self.per_buyer = expected.purchase[rows], expected.per_buyer[rows]
        self.luck = random.random((draws, size))
        square = np.broadcast_to(expected.squared_cv[rows], self.luck.shape)
        factor = np.ones_like(self.luck)
        varies = square > 0
        factor[varies] = random.gamma(1 / square[varies], square[varies])
        self.spend = self.per_buyer * factor

    @cached_property
    def alone(self) -> Array:
        """The :meth:`moments` if nobody is kept, which every effect is compared with."""
        return self.moments(0.0)

    def moments(self, part: float) -> Array:
        """Return the second, third and fourth moment in each list if this part is kept.

        They are central moments of the outcome around the score, shape (3, n_lists).

        Parameters
        ----------
        part
            Between 0 and 1.
        """
        buys = self.purchase + part * (1 - self.purchase)
        left = np.where(self.luck < buys, self.spend, 0.0) - buys * self.per_buyer
        square = left**2
        variance = square.mean(axis=1)
        # the variance is known: what the draws add to it is luck, for all lists together
        scale = max(self.expected.variance(part), 0.0) / (variance.mean() or 1.0)
        third = (square * left).mean(axis=1) * scale**1.5
        fourth = (square**2).mean(axis=1) * scale**2
        return np.array([variance * scale, third, fourth])


def drawn_lists(expected: Expected, size: int) -> DrawnLists:
    """Return lists drawn from customers; those drawn last are kept with the customers.

    Parameters
    ----------
    expected, size
        As in :class:`DrawnLists`.
    """
    lists = expected.memory.get(size)
    if not isinstance(lists, DrawnLists):
        expected.memory.clear()
        lists = expected.memory[size] = DrawnLists(expected, size)
    return lists

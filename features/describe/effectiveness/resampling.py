"""Effect of chance on the measures: customers are drawn again, and each measure is recomputed.

A draw gives each customer a weight, the number of times that the draw contains them. The weights
are Poisson with mean 1, so that the number of customers is random as well (Hanley and MacGibbon
2006; Chamandy et al. 2012), and customers who do not occur in any window need not be drawn. All
values of one customer get the same weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array

SEED = 1958
LEVEL = 0.95
BLOCK = 8192

# Weight of each of 256 equally likely bytes: Poisson with mean 1, probabilities rounded to 1/256
# such that mean and variance are exactly 1.
_WEIGHTS = np.repeat(np.arange(6, dtype=np.float32), [94, 95, 46, 16, 4, 1])


@dataclass(frozen=True)
class Quantity:
    """A number computed from sums over customers: ``base + scale * sum(part) / sum(whole)``.

    Parameters
    ----------
    part, whole
        Shape (n_customers,); if ``whole`` is None, the sum of parts is not divided.
    scale, base
        See the formula.
    customers
        Number of customers on whom the number rests.
    """

    part: Array
    whole: Array | None = None
    scale: float = 1.0
    base: float = 0.0
    customers: int = 0

    def value(self) -> float:
        """Return the number; NaN if the sum of ``whole`` is 0."""
        whole = None if self.whole is None else np.asarray([self.whole.sum()])
        return float(self._evaluate(np.asarray([self.part.sum()]), whole)[0])

    def _evaluate(self, part: Array, whole: Array | None) -> Array:
        """Return the number for sums over customers, one of each for every draw."""
        if whole is not None:
            part = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        return np.asarray(self.base + self.scale * part)


def resample(quantities: Sequence[Quantity], draws: int, seed: int = SEED) -> list[Array]:
    """Return each quantity in every draw of customers; all quantities use the same draws.

    Parameters
    ----------
    quantities
        Over the same customers.
    draws
        Number of draws; a thousand are enough for the ends of a 95 % interval.
    seed
        The same seed gives the same draws.

    Returns
    -------
    list of numpy.ndarray
        For each quantity its values, shape (draws,).
    """
    columns: dict[int, int] = {}
    arrays: list[Array] = []
    for quantity in quantities:
        for values in (quantity.part, quantity.whole):
            if values is not None and id(values) not in columns:
                columns[id(values)] = len(arrays)
                arrays.append(values)
    sums = np.zeros((draws, len(arrays)))
    rng = np.random.default_rng(seed)
    occurs = np.zeros(len(arrays[0]) if arrays else 0, dtype=bool)
    for values in arrays:
        occurs |= values != 0
    occurring = np.flatnonzero(occurs)
    for first in range(0, len(occurring), BLOCK):
        block = occurring[first : first + BLOCK]
        weights = _WEIGHTS[np.frombuffer(rng.bytes(draws * len(block)), np.uint8)].reshape(
            draws, len(block)
        )
        # single precision within a block, double across them: the error is far below that of chance
        sums += weights @ np.column_stack([values[block] for values in arrays]).astype(np.float32)
    return [
        quantity._evaluate(sums[:, columns[id(quantity.part)]], None)
        if quantity.whole is None
        else quantity._evaluate(
            sums[:, columns[id(quantity.part)]], sums[:, columns[id(quantity.whole)]]
        )
        for quantity in quantities
    ]


@dataclass(frozen=True)
class Spread:
    """Distribution of the draws of a difference.

    Parameters
    ----------
    low, high
        Interval that holds 95 % of them.
    p_value
        Twice the share of draws on the rarer side of zero.
    """

    low: float
    high: float
    p_value: float


def spread(drawn: Array) -> Spread | None:
    """Return the percentile interval of the draws; None if 5 % or more of them are not finite.

    The p-value is twice the share of draws on the rarer side of zero (the interval excludes zero
    where it is below 0.05), and never 0: (k + 1) / (draws + 1), after Davison and Hinkley (1997),
    section 4.2.

    >>> spread(np.arange(-10.0, 90.0)).p_value == 2 * 12 / 101
    True
    """
    finite = drawn[np.isfinite(drawn)]
    if len(finite) <= LEVEL * len(drawn):
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    rarer = min(int((finite <= 0).sum()), int((finite >= 0).sum()))
    return Spread(float(low), float(high), min(1.0, 2 * (rarer + 1) / (len(finite) + 1)))


def beyond_chance(p_values: Sequence[float | None]) -> list[bool]:
    """Return which of several differences are significant, by Holm's method at 5 %.

    The risk of even one false alarm among them is at most 5 %. Entries without a p-value do not
    count as comparisons.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".

    >>> beyond_chance([0.04, 0.01, None, 0.02])
    [True, True, False, True]
    >>> beyond_chance([0.04, 0.03, 0.02])
    [False, False, False]
    """
    ranked = sorted((p, position) for position, p in enumerate(p_values) if p is not None)
    verdicts = [False] * len(p_values)
    for rank, (p, position) in enumerate(ranked):
        if p > (1 - LEVEL) / (len(ranked) - rank):
            break
        verdicts[position] = True
    return verdicts

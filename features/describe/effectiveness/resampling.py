"""What chance alone could have done: customers are drawn anew, and every measure is taken again of
each draw.

A draw gives each customer a weight: how often it holds that customer. The weights are Poisson with
mean 1, so that the number of customers is left to chance as well (Hanley and MacGibbon 2006;
Chamandy et al. 2012), and a customer who does not occur in any window need not be drawn. All that
is counted of one customer moves together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array

SEED = 1958
LEVEL = 0.95
BLOCK = 8192

# Of 256 equally likely bytes so many become 0, 1, 2, ...: Poisson with mean 1 to the nearest 1/256,
# and rounded such that mean and variance are exactly 1.
_WEIGHTS = np.repeat(np.arange(6, dtype=np.float32), [94, 95, 46, 16, 4, 1])


@dataclass(frozen=True)
class Quantity:
    """A number computed from sums over customers: ``base + scale * sum(part) / sum(whole)``.

    ``part`` and ``whole`` have one value per customer; without a ``whole`` the sum of parts is not
    divided. ``customers`` says how many customers the number rests on.
    """

    part: Array
    whole: Array | None = None
    scale: float = 1.0
    base: float = 0.0
    customers: int = 0

    def value(self) -> float:
        """Return the number itself; NaN where the whole is empty."""
        whole = None if self.whole is None else np.asarray([self.whole.sum()])
        return float(self._of(np.asarray([self.part.sum()]), whole)[0])

    def _of(self, part: Array, whole: Array | None) -> Array:
        if whole is not None:
            part = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        return np.asarray(self.base + self.scale * part)


def resampled(quantities: Sequence[Quantity], draws: int, seed: int = SEED) -> list[Array]:
    """Return each quantity in every draw of customers; all quantities see the same draws.

    Parameters
    ----------
    quantities
        Over the same customers.
    draws
        How many; a thousand settle the ends of a 95 % interval well enough.
    seed
        The same one gives the same draws.
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
    rows = np.zeros(len(arrays[0]) if arrays else 0, dtype=bool)
    for values in arrays:
        rows |= values != 0
    occurring = np.flatnonzero(rows)
    for first in range(0, len(occurring), BLOCK):
        some = occurring[first : first + BLOCK]
        weights = _WEIGHTS[np.frombuffer(rng.bytes(draws * len(some)), np.uint8)].reshape(
            draws, len(some)
        )
        # single precision within a block, double across them: far below what chance does to a sum
        sums += weights @ np.column_stack([values[some] for values in arrays]).astype(np.float32)
    return [
        quantity._of(sums[:, columns[id(quantity.part)]], None)
        if quantity.whole is None
        else quantity._of(sums[:, columns[id(quantity.part)]], sums[:, columns[id(quantity.whole)]])
        for quantity in quantities
    ]


@dataclass(frozen=True)
class Spread:
    """Where the draws lie: the interval that holds 95 % of them, and how rarely they fall on the
    other side of zero.
    """

    low: float
    high: float
    p_value: float


def spread(drawn: Array) -> Spread | None:
    """Return the percentile interval of the draws; None where one draw in twenty or more gives no
    number.

    The p-value is twice the share of draws on the rarer side of zero (the interval excludes zero
    where it is below 0.05), never quite 0: (k + 1) / (draws + 1), after Davison and Hinkley (1997),
    section 4.2.

    >>> spread(np.arange(-10.0, 90.0)).p_value == 2 * 12 / 101
    True
    """
    known = drawn[np.isfinite(drawn)]
    if len(known) <= LEVEL * len(drawn):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    rarer = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Spread(float(low), float(high), min(1.0, 2 * (rarer + 1) / (len(known) + 1)))


def beyond_chance(p_values: Sequence[float | None]) -> list[bool]:
    """Tell which of several comparisons differ by more than chance, with at most 5 % risk of even
    one false alarm.

    Those without a p-value do not count as comparisons.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".

    >>> beyond_chance([0.04, 0.01, None, 0.02])
    [True, True, False, True]
    >>> beyond_chance([0.04, 0.03, 0.02])
    [False, False, False]
    """
    ranked = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    verdicts = [False] * len(p_values)
    for rank, (p, place) in enumerate(ranked):
        if p > (1 - LEVEL) / (len(ranked) - rank):
            break
        verdicts[place] = True
    return verdicts

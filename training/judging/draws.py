"""Customers drawn anew, all dates of one together: what the intervals of a backtest rest on.

Source: Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson
frequencies".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.judging.backtest import Replay

# Draws of the customers: rows times methods times draws are held to about WORK, what is worth
# waiting for, as long as FEWEST_DRAWS are left.
DRAWS, FEWEST_DRAWS = 400, 100
WORK = 2e8
LEVEL = 0.95


@dataclass(frozen=True)
class Draws:
    """Draws of the customers: ``weights`` by customer, the first all 1, and the customer of each
    row of each date.
    """

    weights: Sequence[NDArray[np.uint8]]
    rows: Sequence[NDArray[np.int64]]

    def each(self) -> Iterator[list[Array]]:
        """Give the weights of the rows of each date, draw by draw."""
        for weight in self.weights:
            yield [weight[row].astype(np.float64) for row in self.rows]


def draw(replays: Sequence[Replay], seed: int) -> Draws:
    """Draw the customers with Poisson weights of mean 1; the same seed draws the same."""
    ids: dict[str, int] = {}
    rows = [
        np.array([ids.setdefault(c, len(ids)) for c in one.customers], dtype=np.int64)
        for one in replays
    ]
    work = sum(
        len(one.customers) * (len(one.p_inactive) + len(one.expected_spend)) for one in replays
    )
    count = int(np.clip(WORK / max(work, 1), FEWEST_DRAWS, DRAWS))
    random = np.random.default_rng(seed)
    drawn = [np.minimum(random.poisson(1.0, len(ids)), 255).astype(np.uint8) for _ in range(count)]
    return Draws([np.ones(len(ids), dtype=np.uint8), *drawn], rows)


def mean_known(values: Array) -> Array:
    """Return the mean of each row over the dates at which the figure exists; NaN where there is
    none.
    """
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.asarray(
        np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
    )


def over(part: float, whole: float) -> float:
    """Return a ratio; NaN where the whole is nothing, or less."""
    return part / whole if whole > 0 else float("nan")


def interval(values: Array) -> tuple[float, float]:
    """Return the middle 95 % of the draws; NaN where there are none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

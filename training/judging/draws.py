"""Bootstrap of the customers of a backtest: all dates of a customer are drawn together.

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

# There are fewer draws where rows times methods times draws would take longer than is worth waiting
# for, but no fewer than FEWEST_DRAWS.
DRAWS, FEWEST_DRAWS = 400, 100
WORK = 2e8


@dataclass(frozen=True)
class Draws:
    """Draws of the customers.

    Parameters
    ----------
    weights
        How often each customer is drawn, shape (n_customers,), one array per draw; in the first,
        every customer is drawn once.
    rows
        Customer of each row, one array per date.
    """

    weights: Sequence[NDArray[np.uint8]]
    rows: Sequence[NDArray[np.int64]]

    def each(self) -> Iterator[list[Array]]:
        """Yield, draw by draw, the weights of the rows of each date."""
        for weight in self.weights:
            yield [weight[row].astype(np.float64) for row in self.rows]


def draw(replays: Sequence[Replay], seed: int) -> Draws:
    """Return Poisson weights of mean 1 for the customers; the same seed gives the same draws."""
    ids: dict[str, int] = {}
    rows = [
        np.array([ids.setdefault(c, len(ids)) for c in replay.customers], dtype=np.int64)
        for replay in replays
    ]
    work = sum(
        len(replay.customers) * (len(replay.p_inactive) + len(replay.expected_spend))
        for replay in replays
    )
    count = int(np.clip(WORK / max(work, 1), FEWEST_DRAWS, DRAWS))
    random = np.random.default_rng(seed)
    weights = [
        np.minimum(random.poisson(1.0, len(ids)), 255).astype(np.uint8) for _ in range(count)
    ]
    return Draws([np.ones(len(ids), dtype=np.uint8), *weights], rows)


def mean_over_dates(values: Array) -> Array:
    """Return the mean of each draw over the dates that have the figure; NaN where none has.

    Parameters
    ----------
    values
        Shape (n_draws, n_dates), NaN where a date does not have the figure.
    """
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.asarray(
        np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
    )


def ratio(part: float, whole: float) -> float:
    """Return ``part / whole``; NaN where the whole is not above 0."""
    return part / whole if whole > 0 else float("nan")

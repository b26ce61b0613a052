"""Bootstrap of the customers and the dates of a backtest.

All dates of a customer are drawn together, and all customers of a date, so intervals allow for the
same customer being seen at several dates, and for dates that differ in what befalls everybody.
Dates are few: the weights of a draw of them are spread by sqrt(D / (D - 1)), without which the
variance between D dates would be too small by (D - 1) / D. Weights below 0 that come of it are
harmless, since figures are combined linearly over the dates.

Sources: Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson
frequencies"; Owen (2007), "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), for the
product of both weights, which is conservative where dates do not differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

if TYPE_CHECKING:
    from stagecast.training.judging.backtest import Replay

# There are fewer draws where rows times methods times draws would take longer than is worth waiting
# for, but no fewer than FEWEST_DRAWS.
DRAWS, FEWEST_DRAWS = 400, 100
WORK = 2e8
# Weights of draws times rows that are measured at once: few rows are, for many draws.
_VALUES_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class Draws:
    """Draws of the customers and of the dates.

    Parameters
    ----------
    weights
        How often each customer is drawn, shape (n_customers,), one array per draw; in the first,
        every customer is drawn once.
    rows
        Customer of each row, one array per date.
    dates
        Weight of each date in each draw, shape (n_draws, n_dates), of mean 1; in the first, and
        where there is one date, all are 1.
    """

    weights: Sequence[NDArray[np.uint8]]
    rows: Sequence[NDArray[np.int64]]
    dates: Array

    def blocks(self) -> Iterator[list[Array]]:
        """Yield the weights of the rows of each date by their customers, shape (draws, rows).

        Each yield is of some draws, the next of the following ones.
        """
        rows = max([1, *(len(row) for row in self.rows)])
        at_once = max(1, _VALUES_AT_ONCE // rows)
        for start in range(0, len(self.weights), at_once):
            weights = np.array(self.weights[start : start + at_once])
            yield [np.take(weights, row, axis=1).astype(np.float64) for row in self.rows]

    def each_of_both(self) -> Iterator[list[Array]]:
        """Yield the weights of the rows by customer and date, of all draws but the first."""
        for weights, dates in zip(list(self.weights)[1:], self.dates[1:], strict=True):
            yield [weights[row] * date for row, date in zip(self.rows, dates, strict=True)]


def draw(replays: Sequence[Replay], seed: int) -> Draws:
    """Return draws of the customers who could leave; the same seed gives the same draws."""
    methods = [len(replay.p_inactive) + len(replay.expected_spend) for replay in replays]
    return draw_customers([replay.customers for replay in replays], max(methods), seed)


def draw_customers(customers: Sequence[Sequence[str]], methods: int, seed: int) -> Draws:
    """Return Poisson weights of mean 1 for customers, and those of the dates.

    Parameters
    ----------
    customers
        Ids of the rows of each date.
    methods
        How many predictions of a row are measured.
    """
    ids: dict[str, int] = {}
    rows = [
        np.array([ids.setdefault(c, len(ids)) for c in of_date], dtype=np.int64)
        for of_date in customers
    ]
    work = sum(len(row) for row in rows) * methods
    count = int(np.clip(WORK / max(work, 1), FEWEST_DRAWS, DRAWS))
    random = np.random.default_rng(seed)
    weights = [
        np.minimum(random.poisson(1.0, len(ids)), 255).astype(np.uint8) for _ in range(count)
    ]
    return Draws(
        [np.ones(len(ids), dtype=np.uint8), *weights], rows, _date_weights(len(rows), count, seed)
    )


def _date_weights(dates: int, count: int, seed: int) -> Array:
    """Return the weights of the dates, shape (1 + count, dates)."""
    if dates < 2:
        return np.ones((1 + count, dates))
    random = np.random.default_rng([seed, dates])
    drawn = random.multinomial(dates, np.full(dates, 1.0 / dates), size=count)
    spread = 1.0 + np.sqrt(dates / (dates - 1.0)) * (drawn - 1.0)
    return np.vstack([np.ones(dates), spread])


def mean_over_dates(values: Array, weights: Array | None = None) -> Array:
    """Return the mean of each draw over the dates that have the figure; NaN where none has.

    Parameters
    ----------
    values
        Shape (n_draws, n_dates), NaN where a date does not have the figure.
    weights
        Of the dates in each draw, of mean 1; None: all alike.
    """
    known = np.isfinite(values)
    count = known.sum(axis=1)
    filled = np.where(known, values, 0.0)
    mean = np.where(count > 0, filled.sum(axis=1) / np.maximum(count, 1), np.nan)
    if weights is None:
        return np.asarray(mean)
    apart = np.where(known, (weights - 1.0) * (filled - mean[:, None]), 0.0)
    return np.asarray(mean + apart.sum(axis=1) / np.maximum(count, 1))


def ratio(part: float, whole: float) -> float:
    """Return ``part / whole``; NaN where the whole is not above 0."""
    return part / whole if whole > 0 else float("nan")


def ratios(part: Array, whole: Array) -> Array:
    """Return :func:`ratio` of each draw, shape (n_draws,)."""
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def weighted_sums(weights: Array, values: Array) -> Array:
    """Return the sum of the values in each draw, shape (n_draws,).

    Not a product of BLAS, whose last bits depend on the number of its threads.

    Parameters
    ----------
    weights
        Shape (n_draws, n_rows).
    values
        Shape (n_rows,).
    """
    return np.asarray(np.einsum("ij,j->i", weights, values))

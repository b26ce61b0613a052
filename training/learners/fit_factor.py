"""Fitting of :class:`stagecast.training.learners.factor.Factor`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from stagecast.features.arrays import Array
from stagecast.training.learners import boosting
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.factor import MAX_LOG, SMALLEST, Factor

Objective = Literal["poisson", "gamma"]

FEWEST_POSITIVE: Final = 300
"""Least number of rows with an outcome above 0 that trees are fitted on."""
FOLDS: Final = 2
MAX_POWER: Final = 1.2
PULL: Final = 20.0
"""Rows that the prior of the power weighs as much as: few rows leave it near half of 1."""
PRIOR_POWER: Final = 0.5
LEVEL_SPREAD: Final = 0.15
"""Standard deviation, in logs, of the levels that logs are expected to have."""
TREES: Final = 100
LEARNING_RATE: Final = 0.08


@dataclass(frozen=True)
class Rows:
    """Rows that a factor is learned from.

    Parameters
    ----------
    columns
        Name -> values, shape (rows,).
    names
        Columns that trees may use, in order.
    expected
        The expectation to be corrected, shape (rows,).
    outcome
        What came, shape (rows,), at least 0.
    weight
        Weight of each row, shape (rows,).
    customer
        Number of the customer of each row, shape (rows,): rows of one customer stay together.
    """

    columns: Mapping[str, Array]
    names: Sequence[str]
    expected: Array
    outcome: Array
    weight: Array
    customer: NDArray[np.int64]

    def of(self, rows: NDArray[np.int64]) -> Rows:
        """Return these rows."""
        return Rows(
            {name: values[rows] for name, values in self.columns.items()},
            self.names,
            self.expected[rows],
            self.outcome[rows],
            self.weight[rows],
            self.customer[rows],
        )

    @property
    def start(self) -> Array:
        """The expectation, kept above 0, shape (rows,)."""
        return np.maximum(self.expected, SMALLEST)

    @property
    def ratio(self) -> float:
        """Weighted total of what came over that of the expectation; 1 where either is 0."""
        observed = float(self.weight @ self.outcome)
        expected = float(self.weight @ self.start)
        return observed / expected if observed > 0 and expected > 0 else 1.0


def fit_factor(
    rows: Rows, earlier: Rows | None, later: Rows | None, objective: Objective, seed: int
) -> Factor:
    """Fit the trees of a factor, and the power that they deserve; the level is 1.

    The trees are fitted on ``rows`` at the level of these rows. Their power is the one with the
    least deviance, at equal totals, on rows that trees were not fitted on: on ``later``, by trees
    of ``earlier``, or else on folds of customers.

    Parameters
    ----------
    rows
        All rows.
    earlier, later
        Rows whose outcomes were known at a date, and rows of that date; None where there are none.
    objective
        Deviance: ``poisson`` for orders, ``gamma`` for money.
    seed
        Seed of the trees.
    """
    return fit_factor_and_before(rows, earlier, later, objective, seed)[0]


def fit_factor_and_before(
    rows: Rows, earlier: Rows | None, later: Rows | None, objective: Objective, seed: int
) -> tuple[Factor, Factor]:
    """Return the factor of :func:`fit_factor`, and the same with the trees of ``earlier`` alone.

    The second is what stood before the outcomes of ``later``; without trees where no earlier rows
    can teach some.
    """
    if not is_enough(rows):
        return Factor(), Factor()
    of_past: list[Boosted] = []

    def correction(inside: Rows, outside: Rows) -> Array:
        of_past.append(fit_trees(inside, objective, seed))
        return log_factor(of_past[-1], outside)

    judged, corrections = unseen(rows, earlier, later, correction)
    power = best_power(judged, corrections, objective)
    if not power > 0:
        return Factor(), Factor()
    before = Factor(1.0, of_past[0], power) if judged is later else Factor()
    return Factor(1.0, fit_trees(rows, objective, seed), power), before


def level_and_variance(
    outcome: Array, expected: Array, customer: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the log of what came over what was expected, and its sampling variance.

    Customers are drawn, with all of their rows; arrays have shape (rows,). NaN where one of the
    totals is nothing.

    >>> level, variance = level_and_variance(
    ...     np.array([2.0, 2.0, 0.0]), np.ones(3), np.array([7, 7, 8])
    ... )
    >>> round(level, 3), round(variance, 3)
    (0.288, 0.222)
    """
    observed, total = float(outcome.sum()), float(expected.sum())
    if not (observed > 0 and total > 0):
        return np.nan, np.nan
    _, place = np.unique(customer, return_inverse=True)
    surplus = np.bincount(place, weights=outcome - expected * observed / total)
    return float(np.log(observed / total)), float((surplus**2).sum()) / observed**2


def shrunk_level(outcome: Array, expected: Array, spread: float = LEVEL_SPREAD) -> float:
    """Return the factor that brings a total to what came, shrunk towards 1 by its sampling error.

    Parameters
    ----------
    outcome, expected
        What came and what was expected, shape (rows,).
    spread
        Standard deviation of the log of the level among logs.

    Notes
    -----
    The posterior mean of a normal log level, whose sampling variance is that of a ratio of sums.

    >>> round(shrunk_level(np.full(1_000, 2.0), np.full(1_000, 1.0)), 6)
    2.0
    """
    observed, total = float(outcome.sum()), float(expected.sum())
    if not (observed > 0 and total > 0):
        return 1.0
    ratio = float(np.clip(observed / total, 0.2, 5.0))
    variance = float(((outcome - expected * observed / total) ** 2).sum()) / observed**2
    return float(ratio ** (spread**2 / (spread**2 + variance)))


def is_enough(rows: Rows) -> bool:
    """Return whether there are enough rows with an outcome to learn more than a level."""
    return bool(rows.names) and int((rows.outcome > 0).sum()) >= FEWEST_POSITIVE


def fit_trees(rows: Rows, objective: Objective, seed: int) -> Boosted:
    """Return trees of the log of the factor, fitted at the level of the rows."""
    start = np.log(rows.start * rows.ratio)
    return boosting.fit(
        rows.columns,
        rows.names,
        rows.outcome,
        rows.weight,
        objective,
        trees=TREES,
        seed=seed,
        start=start,
        learning_rate=LEARNING_RATE,
    )


def log_factor(trees: Boosted, rows: Rows) -> Array:
    """Return the log of the correction of each row by trees, shape (rows,)."""
    return np.clip(trees.raw(rows.columns), -MAX_LOG, MAX_LOG)


def unseen(
    rows: Rows, earlier: Rows | None, later: Rows | None, learned: Callable[[Rows, Rows], Array]
) -> tuple[Rows, Array]:
    """Return rows, and what a learner says of them that it was not fitted on.

    These are the rows of a later date by a learner of the earlier ones, or else all rows, each by
    a learner of other customers.

    Parameters
    ----------
    rows, earlier, later
        As in :func:`fit_factor`.
    learned
        Fits on its first rows and returns a value for each of its second ones.
    """
    if earlier is not None and later is not None and is_enough(earlier) and len(later.outcome):
        return later, learned(earlier, later)
    _, rank = np.unique(rows.customer, return_inverse=True)
    values = np.zeros(len(rows.outcome))
    for fold in range(FOLDS):
        outside = np.flatnonzero(rank % FOLDS == fold)
        inside = rows.of(np.flatnonzero(rank % FOLDS != fold))
        if len(outside) and inside.outcome.any():
            values[outside] = learned(inside, rows.of(outside))
    return rows, values


def best_power(rows: Rows, correction: Array, objective: Objective) -> float:
    """Return the power with the least deviance at equal totals; 0 where it gains nothing.

    Parameters
    ----------
    rows
        Rows with their expectation and what came.
    correction
        Log of a correction by trees that were not fitted on these rows, shape (rows,).
    objective
        The deviance.
    """
    share = rows.weight / rows.weight.sum()
    deviance = DEVIANCES[objective]

    def loss(power: float) -> float:
        mean = rows.start * np.exp(power * correction)
        observed = float(share @ rows.outcome)
        mean *= observed / float(share @ mean) if observed > 0 else 1.0
        return float(share @ deviance(rows.outcome, np.maximum(mean, SMALLEST)))

    pull = PULL / len(correction)
    best = minimize_scalar(
        lambda power: loss(power) + pull * (power - PRIOR_POWER) ** 2,
        bounds=(0.0, MAX_POWER),
        method="bounded",
    )
    power = float(best.x)
    return power if loss(power) < loss(0.0) else 0.0


def _poisson_deviance(outcome: Array, mean: Array) -> Array:
    return np.asarray(mean - outcome * np.log(mean))


def _gamma_deviance(outcome: Array, mean: Array) -> Array:
    return np.asarray(outcome / mean + np.log(mean))


DEVIANCES: dict[Objective, Callable[[Array, Array], Array]] = {
    "poisson": _poisson_deviance,
    "gamma": _gamma_deviance,
}

"""Strata that are large enough, and the difference of the arms within them.

An estimate of contacted less held-out is a weighted sum of outcomes, less what the scores explain.
The weights depend on who was contacted, not on the outcome, so that the same weights give the
estimates of all measures and days, and their covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.adjustment import residuals

FEWEST_PER_CELL = 10
"""Customers of a stratum that each arm needs; the variance of fewer is itself mostly chance."""
FEWEST_PER_ARM = 3
ROUNDING = 1e-12
"""Residuals below so many times the largest outcome are rounding."""


def check_arms(contacted: NDArray[np.bool_]) -> None:
    """Raise NotEnoughDataError if an arm has fewer than 3 customers.

    Parameters
    ----------
    contacted
        Assigned arm, shape (n,).
    """
    for name, size in (("contacted", contacted.sum()), ("held-out", (~contacted).sum())):
        if size < FEWEST_PER_ARM:
            raise NotEnoughDataError(
                f"{size} {name} customers are too few to compare; at least {FEWEST_PER_ARM} are "
                "needed"
            )


def merge_strata(stratum: Integers, contacted: NDArray[np.bool_]) -> Integers:
    """Return stratum codes 0, 1, ... in which each stratum has enough customers in both arms.

    Small strata are merged with the next small ones; what remains at the end joins the last merged
    stratum, or else the smallest one. One stratum is left if no other is large enough.

    Parameters
    ----------
    stratum, contacted
        Shape (n,).

    >>> contacted = np.tile([True, False], 30)
    >>> np.bincount(merge_strata(np.repeat([5, 7, 8], [40, 12, 8]), contacted)).tolist()
    [40, 20]
    """
    _, code = np.unique(stratum, return_inverse=True)
    arms = np.column_stack([np.bincount(code, contacted), np.bincount(code, ~contacted)])
    large = arms.min(axis=1) >= FEWEST_PER_CELL
    groups = [[k] for k in np.flatnonzero(large).tolist()]
    alone, pending = len(groups), list[int]()
    for k in np.flatnonzero(~large).tolist():
        pending.append(k)
        if arms[pending].sum(axis=0).min() >= FEWEST_PER_CELL:
            groups.append(pending)
            pending = []
    if pending and len(groups) > alone:
        groups[-1].extend(pending)
    elif pending and groups:
        min(groups, key=lambda group: arms[group].sum()).extend(pending)
    elif pending:
        groups.append(pending)
    number = np.zeros(len(arms), dtype=np.int64)
    for new, group in enumerate(sorted(groups)):
        number[group] = new
    return number[code]


@dataclass(frozen=True)
class Estimates:
    """Estimates of the effect on several outcomes.

    Parameters
    ----------
    effect
        Contacted less held-out per customer, shape (n_outcomes,).
    influence
        Part of each customer in the error of each estimate, shape (n, n_outcomes); the sums of the
        products are the covariance.
    variance
        Squared standard errors, shape (n_outcomes,).
    degrees
        Degrees of freedom of each variance, shape (n_outcomes,).
    residual
        Outcomes less their mean in the stratum and what the scores explain, less the effect in the
        contacted, shape (n, n_outcomes).
    """

    effect: Array
    influence: Array
    variance: Array
    degrees: Array
    residual: Array

    @property
    def covariance(self) -> Array:
        """Covariance of the estimates, shape (n_outcomes, n_outcomes)."""
        between = self.influence.T @ self.influence
        np.fill_diagonal(between, self.variance)
        return between


def estimate(
    outcomes: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None = None,
) -> Estimates:
    """Estimate the effect on each outcome within strata, with one slope of a score for both arms.

    Outcome and assignment are replaced by what strata and scores do not explain of them, arms
    ignored; the effect is the difference of the arms in the first over that in the second, where
    the differences in the strata are weighted by the customers of the stratum. One slope for both
    arms leaves the few customers of a small hold-out no leverage. The variance is Neyman's, for the
    residuals; where an arm has none (nobody bought), that of the other stands for it.

    Parameters
    ----------
    outcomes
        Shape (n, n_outcomes).
    contacted
        Assigned arm, shape (n,).
    stratum
        Codes from :func:`merge_strata`, shape (n,).
    covariates
        Scores at the assignment, shape (n, k); None for the plain estimate.

    Source: Rosenbaum (2002), Statistical Science 17, on residuals of both arms together; Miratrix,
    Sekhon and Yu (2013), JRSS B 75, on post-stratification; degrees of freedom of Satterthwaite
    (1946) over strata and arms.
    """
    parts = residuals(np.column_stack([outcomes, contacted]), stratum, covariates)
    cell = 2 * stratum + contacted
    size = np.bincount(cell)
    share = np.bincount(stratum) / len(stratum)
    sign = np.where(contacted, 1.0, -1.0)
    weight = sign * share[stratum] / size[cell]
    assigned = parts[:, -1]
    scale = float(weight @ assigned)
    effect = weight @ parts[:, :-1] / scale
    residual = parts[:, :-1] - np.outer(assigned, effect)
    centred = residual - _cell_means(residual, cell, size)
    # demeaning leaves rounding where all outcomes are equal
    centred[np.abs(centred) < ROUNDING * np.abs(outcomes).max(axis=0, initial=0.0)] = 0.0
    # n / (n - 1) makes Neyman's unbiased variance of the squares
    factor = weight / scale * np.sqrt(size / np.maximum(size - 1, 1))[cell]
    influence = centred * factor[:, None]
    squared = influence**2
    missing = np.zeros_like(squared)
    for rows, others in ((contacted, ~contacted), (~contacted, contacted)):
        silent = ~squared[rows].any(axis=0)
        missing[np.ix_(rows, silent)] = np.outer(
            (weight[rows] / scale) ** 2, np.mean(centred[np.ix_(others, silent)] ** 2, axis=0)
        )
    by_cell = np.column_stack([np.bincount(cell, v, len(size)) for v in (squared + missing).T])
    uncertainty = (by_cell**2 / np.maximum(size - 1, 1)[:, None]).sum(axis=0)
    variance = by_cell.sum(axis=0)
    degrees = np.divide(
        variance**2, uncertainty, out=np.full(len(variance), np.inf), where=uncertainty > 0
    )
    return Estimates(effect, influence, variance, degrees, centred)


def _cell_means(values: Array, cell: Integers, size: Integers) -> Array:
    sums = np.column_stack([np.bincount(cell, v, len(size)) for v in values.T])
    return np.asarray((sums / size[:, None])[cell], dtype=np.float64)

"""Weights of the customers in an estimate of the effect, and the covariance of such estimates.

An estimate of contacted less held-out, with or without covariates, is a weighted sum of outcomes.
The weights depend on who was contacted and on the covariates, not on the outcome, so that the same
weights give the estimates of all measures and days, and their covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError

FEWEST_PER_CELL = 10
"""Customers of a stratum that each arm needs; the variance of fewer is itself mostly chance."""
FEWEST_PER_ARM = 3
DEGENERATE = 1e-9
"""Variance within the strata, over the variance of all, below which a covariate says nothing."""


@dataclass(frozen=True)
class Contrast:
    """Contacted less held-out as a weighted sum over the customers.

    Parameters
    ----------
    weight
        Weight of each customer's outcome, shape (n,): positive sum 1 over the contacted, negative
        sum -1 over the held-out.
    contacted
        Whether the customer was assigned to be contacted, shape (n,).
    cell
        Stratum and arm, numbered, shape (n,).
    cell_degrees
        Degrees of freedom of each cell, shape (n_cells,).
    covariates
        Covariates less their mean in the cell, shape (n, k); k is 0 without.
    leverage
        Leverage of each customer in the regression of the arm, shape (n,).
    """

    weight: Array
    contacted: NDArray[np.bool_]
    cell: Integers
    cell_degrees: Array
    covariates: Array
    leverage: Array


def make_contrast(
    contacted: NDArray[np.bool_], stratum: Integers, covariates: Array | None = None
) -> Contrast:
    """Return the weights of the post-stratified, and with covariates the regression, estimate.

    In each arm the outcome is regressed on the strata and the covariates; the difference of the
    two regressions at the mean of the list is the estimate. With one stratum that is the fully
    interacted regression of Lin; without covariates it is post-stratification. A covariate that
    does not vary within the cells of an arm is dropped.

    Parameters
    ----------
    contacted
        Assigned arm, shape (n,).
    stratum
        Stratum codes in an order in which neighbours are alike, shape (n,); strata with fewer than
        10 customers in an arm are merged with their neighbours.
    covariates
        What was known at the assignment, shape (n, k).

    Raises
    ------
    NotEnoughDataError
        An arm has fewer than 3 customers.

    Source: Lin (2013), Annals of Applied Statistics 7, equation (1.3); Miratrix, Sekhon and Yu
    (2013), JRSS B 75, on post-stratification.
    """
    for name, size in (("contacted", contacted.sum()), ("held-out", (~contacted).sum())):
        if size < FEWEST_PER_ARM:
            raise NotEnoughDataError(
                f"{size} {name} customers are too few to compare; at least {FEWEST_PER_ARM} are "
                "needed"
            )
    strata = merge_strata(stratum, contacted)
    cell = 2 * strata + contacted
    size = np.bincount(cell)
    share = np.bincount(strata) / len(strata)
    x = _informative(covariates, cell, size, contacted)
    mean = np.column_stack(
        [np.bincount(cell, column, len(size)) / size for column in x.T]
        or [np.zeros((len(size), 0))]
    )
    centred = x - mean[cell]
    sign = np.where(contacted, 1.0, -1.0)
    weight, leverage = share[strata] / size[cell], 1.0 / size[cell]
    degrees: Array = size.astype(np.float64) - 1
    for arm in (0, 1):
        rows = contacted == bool(arm)
        inverse = np.linalg.pinv(centred[rows].T @ centred[rows], hermitian=True)
        gap = x.mean(axis=0) - share @ mean[arm::2]
        weight[rows] += centred[rows] @ (inverse @ gap)
        leverage[rows] += np.einsum("ij,jk,ik->i", centred[rows], inverse, centred[rows])
        spare = rows.sum() - len(share)
        degrees[arm::2] *= max(spare - x.shape[1], 1.0) / max(spare, 1.0)
    # a customer who alone determines a coefficient has no residual; 0.99 keeps the division finite
    return Contrast(sign * weight, contacted, cell, degrees, centred, np.minimum(leverage, 0.99))


def _informative(
    covariates: Array | None, cell: Integers, size: Integers, contacted: NDArray[np.bool_]
) -> Array:
    """Return the covariates that vary within the cells of both arms, in units of their spread."""
    if covariates is None:
        return np.zeros((len(cell), 0))
    columns = []
    for column in covariates.T:
        centred = column - column.mean()
        spread = float(np.sqrt(np.mean(centred**2)))
        if spread <= DEGENERATE * max(1.0, float(np.abs(column).max())):
            continue
        x = centred / spread
        within = x - (np.bincount(cell, x, len(size)) / size)[cell]
        if min(np.mean(within[contacted] ** 2), np.mean(within[~contacted] ** 2)) > DEGENERATE:
            columns.append(x)
    return np.column_stack(columns) if columns else np.zeros((len(cell), 0))


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
    """Estimates of one contrast from several outcomes.

    Parameters
    ----------
    effect
        Contacted less held-out per customer, shape (n_outcomes,).
    covariance
        Covariance of the estimates, shape (n_outcomes, n_outcomes).
    degrees
        Degrees of freedom of each variance, shape (n_outcomes,).
    """

    effect: Array
    covariance: Array
    degrees: Array


def estimates(contrast: Contrast, outcomes: Array) -> Estimates:
    """Return the estimates of the effect on each outcome, and their covariance.

    The variance is robust (HC2): squared residual over one less leverage, which without covariates
    is Neyman's sum of the variances of the arms. Where an arm has no variance at all (nobody
    bought), the residual variance of the other stands for it. Degrees of freedom are those of
    Welch and Satterthwaite over strata and arms.

    Parameters
    ----------
    contrast
        Weights of n customers.
    outcomes
        Shape (n, n_outcomes).

    Source: MacKinnon and White (1985), HC2; Satterthwaite (1946); for HC2 as Neyman's variance,
    Samii and Aronow (2012).
    """
    cells = len(contrast.cell_degrees)
    size = np.bincount(contrast.cell, minlength=cells)
    mean = np.column_stack([np.bincount(contrast.cell, y, cells) / size for y in outcomes.T])
    residual = outcomes - mean[contrast.cell]
    held_out = ~contrast.contacted
    for rows in (contrast.contacted, held_out):
        x = contrast.covariates[rows]
        inverse = np.linalg.pinv(x.T @ x, hermitian=True)
        residual[rows] -= x @ (inverse @ (x.T @ residual[rows]))
    # demeaning leaves rounding where all outcomes are equal
    scale = np.abs(outcomes).max(axis=0, initial=0.0)
    residual[np.abs(residual) < 1e-12 * scale] = 0.0
    influence = residual * (contrast.weight / np.sqrt(1 - contrast.leverage))[:, None]
    covariance = influence.T @ influence
    squared = influence**2
    missing = np.zeros_like(squared)
    for rows, others in ((contrast.contacted, held_out), (held_out, contrast.contacted)):
        silent = ~squared[rows].any(axis=0)
        missing[np.ix_(rows, silent)] = np.outer(
            contrast.weight[rows] ** 2, np.mean(residual[np.ix_(others, silent)] ** 2, axis=0)
        )
    covariance += np.diag(missing.sum(axis=0))
    squared += missing
    by_cell = np.column_stack([np.bincount(contrast.cell, v, cells) for v in squared.T])
    uncertainty = (by_cell**2 / contrast.cell_degrees[:, None]).sum(axis=0)
    variance = by_cell.sum(axis=0)
    degrees = np.divide(
        variance**2, uncertainty, out=np.full(len(variance), np.inf), where=uncertainty > 0
    )
    return Estimates(contrast.weight @ outcomes, covariance, degrees)

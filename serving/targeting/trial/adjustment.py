"""What strata and scores explain of an outcome, and whether the scores are worth their use.

Arms are ignored throughout: what is decided here would be the same if others had been held out, so
that it cannot favour a result.
"""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Array, Integers

DEGENERATE = 1e-9
"""Variance within the strata, over the variance of all, below which a covariate says nothing."""


def residuals(values: Array, stratum: Integers, covariates: Array | None = None) -> Array:
    """Return what means of the strata and one slope per covariate leave of values.

    Parameters
    ----------
    values
        Shape (n, m).
    stratum
        Codes 0, 1, ..., shape (n,).
    covariates
        Shape (n, k); None for the means alone.

    >>> x = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> residuals(x, np.array([0, 0, 1, 1])).ravel().tolist()
    [-0.5, 0.5, -0.5, 0.5]
    >>> np.abs(residuals(x, np.array([0, 0, 1, 1]), 2 * x)).max() < 1e-12
    np.True_
    """
    centred = _within(values, stratum)
    if covariates is None:
        return centred
    x = _informative(covariates, stratum)
    return np.asarray(centred - x @ (_inverse(x) @ (x.T @ centred)), dtype=np.float64)


def worth_using(outcome: Array, stratum: Integers, covariates: Array) -> bool:
    """Return whether the covariates predict customers who were left out of the fit.

    The sum of the squared errors of each customer, predicted from all others by the strata and the
    covariates, must be less than by the strata alone. With heavy tails a slope that hangs on one
    customer fails this, however well it fits that customer.

    Parameters
    ----------
    outcome
        Shape (n,).
    stratum
        Codes 0, 1, ..., shape (n,).
    covariates
        Shape (n, k).

    Source: Allen (1974), Technometrics 16, prediction sum of squares.
    """
    centred, x = _within(outcome[:, None], stratum)[:, 0], _informative(covariates, stratum)
    inverse = _inverse(x)
    share = 1 / np.bincount(stratum)[stratum]
    leverage = np.minimum(share + np.einsum("ij,jk,ik->i", x, inverse, x), 1 - DEGENERATE)
    residual = centred - x @ (inverse @ (x.T @ centred))
    without = centred / (1 - np.minimum(share, 1 - DEGENERATE))
    return float(np.sum((residual / (1 - leverage)) ** 2)) < float(np.sum(without**2))


def _within(values: Array, stratum: Integers) -> Array:
    size = np.bincount(stratum)
    sums = np.column_stack([np.bincount(stratum, v, len(size)) for v in values.T])
    return np.asarray(values - (sums / size[:, None])[stratum], dtype=np.float64)


def _informative(covariates: Array, stratum: Integers) -> Array:
    """Return the covariates that vary within the strata, less their means, in their spread."""
    columns = []
    for column in covariates.T:
        centred = column - column.mean()
        spread = float(np.sqrt(np.mean(centred**2)))
        if spread <= DEGENERATE * max(1.0, float(np.abs(column).max())):
            continue
        x = _within((centred / spread)[:, None], stratum)[:, 0]
        if np.mean(x**2) > DEGENERATE:
            columns.append(x)
    return np.column_stack(columns) if columns else np.zeros((len(stratum), 0))


def _inverse(x: Array) -> Array:
    return np.asarray(np.linalg.pinv(x.T @ x, hermitian=True), dtype=np.float64)

"""Covariance of maximum-likelihood estimates, in the logs of the parameters.

All parameters are positive and their estimates skewed, so that intervals are symmetric in logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from scipy.special import ndtri

from stagecast.features.arrays import Array

Covariance = Literal["hessian", "sandwich"]
COVARIANCES: Final[tuple[Covariance, ...]] = ("hessian", "sandwich")
LEVEL: Final = 0.95
_STEP = 1e-3


def covariance_of_logs(
    log_likelihood_of: Callable[[Array], Array],
    estimate: Array,
    weight: Array,
    kind: Covariance = "hessian",
) -> Array:
    """Return the covariance matrix of the logs of the parameters, shape (n, n).

    Parameters
    ----------
    log_likelihood_of
        Parameters -> log-likelihood of each row, shape (rows,).
    estimate
        Maximum-likelihood estimate, shape (n,), all above 0.
    weight
        Number of customers of each row, shape (rows,).
    kind
        ``hessian``: the inverse of the observed information. ``sandwich``: the estimate of White
        (1982), which holds where the model does not.

    Returns
    -------
    array
        NaN where the log-likelihood is not curved downwards beyond rounding, as on a bound of a
        parameter, or where only a combination of parameters is determined.

    Notes
    -----
    Derivatives are central differences in the logs, with steps of 0.001.

    References
    ----------
    White (1982), "Maximum Likelihood Estimation of Misspecified Models", Econometrica 50(1).
    """
    centre = np.log(estimate)
    n = len(centre)
    steps = _STEP * np.eye(n)

    def rows(theta: Array) -> Array:
        return log_likelihood_of(np.exp(theta))

    def total(theta: Array) -> float:
        return float(weight @ rows(theta))

    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            corners = (
                total(centre + steps[i] + steps[j])
                - total(centre + steps[i] - steps[j])
                - total(centre - steps[i] + steps[j])
                + total(centre - steps[i] - steps[j])
            )
            hessian[i, j] = hessian[j, i] = corners / (4.0 * _STEP**2)
    if not np.isfinite(hessian).all():
        return np.full((n, n), np.nan)
    curvature = np.linalg.eigvalsh(-hessian)
    # a curvature within the rounding of the differences, or of the matrix, is none
    rounding = np.finfo(float).eps * max(abs(total(centre)) / _STEP**2, n * curvature[-1])
    if curvature[0] <= rounding:
        return np.full((n, n), np.nan)
    inverse = np.linalg.inv(-hessian)
    if kind == "hessian":
        return np.asarray((inverse + inverse.T) / 2.0)
    scores = np.column_stack(
        [(rows(centre + step) - rows(centre - step)) / (2.0 * _STEP) for step in steps]
    )
    meat = (scores * weight[:, None]).T @ scores
    return np.asarray(inverse @ meat @ inverse)


def interval_of_logs(estimate: Array, covariance: Array, level: float = LEVEL) -> tuple[Array, ...]:
    """Return standard errors (by the delta method) and both ends of the intervals, shape (n,)."""
    spread = np.sqrt(np.diag(covariance))
    z = float(ndtri(0.5 + level / 2.0))
    return estimate * spread, estimate * np.exp(-z * spread), estimate * np.exp(z * spread)

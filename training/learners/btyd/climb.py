"""The way to an optimum of a handful of parameters, by slopes that are differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from stagecast.features.arrays import Array

# Largest slope of the mean log-likelihood, per unit of log-parameter, that counts as none: what is
# left to gain is then below 1e-4 over 10,000 customers.
FLAT = 1e-5


def newton(
    loss: Callable[[Array], float],
    like: Callable[[Array], float],
    start: Array,
    bounds: list[tuple[float, float]],
) -> Array:
    """Return where a few steps of Newton's lead, slopes by ``loss`` and curvature, cheaper, by
    one that is like it.
    """
    low, high = np.array(bounds).T
    curvature = np.array(
        [
            _slope(like, start + step) - _slope(like, start - step)
            for step in 1e-3 * np.eye(len(start))
        ]
    )
    curvature = (curvature + curvature.T) / (2 * 2e-3)
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature)[0] <= 0:
        return start
    theta, least = start, loss(start)
    for _ in range(6):
        uphill = _slope(loss, theta)
        if np.abs(uphill).max() < FLAT:
            break
        further = np.clip(theta - np.clip(np.linalg.solve(curvature, uphill), -0.5, 0.5), low, high)
        reached = loss(further)
        if not reached < least:
            break
        theta, least = further, reached
    return theta


def _slope(loss: Callable[[Array], float], at: Array) -> Array:
    steps = 1e-5 * np.eye(len(at))
    return np.array([(loss(at + step) - loss(at - step)) / 2e-5 for step in steps])


def climb(
    loss: Callable[[Array], float], start: Array, bounds: list[tuple[float, float]]
) -> Array | None:
    """Return the minimum near ``start`` within the bounds, or None where the slope does not
    vanish.
    """
    low, high = np.array(bounds).T
    theta = np.clip(start, low, high)

    def slope(at: Array) -> Array:
        return _slope(loss, at)

    def flat(at: Array) -> bool:
        # a slope out of the bounds is no slope
        return bool(np.abs(np.clip(at - slope(at), low, high) - at).max() < FLAT)

    if flat(theta):
        return np.asarray(theta, dtype=np.float64)
    for _ in range(
        3
    ):  # L-BFGS-B may stop early on a ridge; begun anew it forgets its false curvature
        theta = minimize(
            loss,
            theta,
            jac=slope,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 300},
        ).x
        if flat(theta):
            return np.asarray(theta, dtype=np.float64)
    return None

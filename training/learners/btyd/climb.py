"""Minimisation over a handful of parameters, with gradients by finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from stagecast.features.arrays import Array

# Largest slope of the mean log-likelihood, per unit of log-parameter, that counts as zero: the
# remaining gain is then below 1e-4 over 10,000 customers.
FLAT = 1e-5


def newton(
    loss: Callable[[Array], float],
    approximate_loss: Callable[[Array], float],
    start: Array,
    bounds: list[tuple[float, float]],
) -> Array:
    """Return the point after a few Newton steps from ``start``.

    Parameters
    ----------
    loss
        Function to minimise; gives the gradients.
    approximate_loss
        A cheaper function with about the same curvature.
    start
        Where the steps begin, shape (n_parameters,); returned where the curvature is not positive.
    bounds
        Lower and upper bound of each parameter.
    """
    low, high = np.array(bounds).T
    curvature = np.array(
        [
            _slope(approximate_loss, start + step) - _slope(approximate_loss, start - step)
            for step in 1e-3 * np.eye(len(start))
        ]
    )
    curvature = (curvature + curvature.T) / (2 * 2e-3)
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature)[0] <= 0:
        return start
    theta, best_loss = start, loss(start)
    for _ in range(6):
        gradient = _slope(loss, theta)
        if np.abs(gradient).max() < FLAT:
            break
        candidate = np.clip(
            theta - np.clip(np.linalg.solve(curvature, gradient), -0.5, 0.5), low, high
        )
        candidate_loss = loss(candidate)
        if not candidate_loss < best_loss:
            break
        theta, best_loss = candidate, candidate_loss
    return theta


def _slope(loss: Callable[[Array], float], theta: Array) -> Array:
    steps = 1e-5 * np.eye(len(theta))
    return np.array([(loss(theta + step) - loss(theta - step)) / 2e-5 for step in steps])


def climb(
    loss: Callable[[Array], float], start: Array, bounds: list[tuple[float, float]]
) -> Array | None:
    """Return the minimum near ``start`` within the bounds; None where the slope stays above 0."""
    low, high = np.array(bounds).T
    theta = np.clip(start, low, high)

    slopes: dict[bytes, Array] = {}

    def slope(point: Array) -> Array:
        # asked for twice where an optimisation begins and where it ends
        at = point.tobytes()
        if at not in slopes:
            slopes[at] = _slope(loss, point)
        return slopes[at].copy()

    def flat(point: Array) -> bool:
        # a slope that points out of the bounds does not count
        return bool(np.abs(np.clip(point - slope(point), low, high) - point).max() < FLAT)

    if flat(theta):
        return np.asarray(theta, dtype=np.float64)
    # L-BFGS-B may stop early on a ridge; a restart discards its wrong estimate of the curvature
    for _ in range(3):
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

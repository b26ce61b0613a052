"""Minimisation over a handful of parameters, by functions that return their slopes, too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from stagecast.features.arrays import Array

# Largest slope of the mean log-likelihood, per unit of log-parameter, that counts as zero, and the
# gain that may remain where the curvature is known: 1e-4 over 10,000 customers.
FLAT = 1e-5
LEAST_GAIN = 1e-8

Loss = Callable[[Array], tuple[float, Array]]
"""A function of parameters, shape (n_parameters,): its value, and its slope in each of them."""


def newton(
    loss: Loss, approximate_loss: Loss, start: Array, bounds: list[tuple[float, float]]
) -> Array:
    """Return the point after a few Newton steps from ``start``.

    Parameters
    ----------
    loss
        Function to minimise.
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
            approximate_loss(start + step)[1] - approximate_loss(start - step)[1]
            for step in 1e-3 * np.eye(len(start))
        ]
    )
    curvature = (curvature + curvature.T) / (2 * 2e-3)
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature)[0] <= 0:
        return start
    theta, (best_loss, gradient) = start, loss(start)
    for _ in range(6):
        if np.abs(gradient).max() < FLAT:
            break
        candidate = np.clip(
            theta - np.clip(np.linalg.solve(curvature, gradient), -0.5, 0.5), low, high
        )
        candidate_loss, candidate_gradient = loss(candidate)
        if not candidate_loss < best_loss:
            break
        theta, best_loss, gradient = candidate, candidate_loss, candidate_gradient
    return theta


def climb(loss: Loss, start: Array, bounds: list[tuple[float, float]]) -> Array | None:
    """Return the minimum near ``start`` within the bounds; None where there is more to gain.

    A minimum is a point at which the slope counts as zero. Where the curvature is large, as of the
    parameters of regular gaps, the last digit of the loss hides a slope above that; then it is one
    from which a Newton step would gain next to nothing.
    """
    low, high = np.array(bounds).T
    theta = np.asarray(np.clip(start, low, high), dtype=np.float64)

    evaluated: dict[bytes, tuple[float, Array]] = {}

    def value_and_slope(point: Array) -> tuple[float, Array]:
        # asked for twice where an optimisation begins and where it ends
        at = point.tobytes()
        if at not in evaluated:
            evaluated[at] = loss(point)
        value, slope = evaluated[at]
        return value, slope.copy()

    def flat(point: Array) -> bool:
        # a slope that points out of the bounds does not count
        slope = value_and_slope(point)[1]
        return bool(np.abs(np.clip(point - slope, low, high) - point).max() < FLAT)

    if flat(theta):
        return theta
    # L-BFGS-B may stop early on a ridge; a restart discards its wrong estimate of the curvature
    for _ in range(3):
        optimum = minimize(
            value_and_slope,
            theta,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 300},
        )
        theta = np.asarray(optimum.x, dtype=np.float64)
        if flat(theta):
            return theta
    return theta if _gain_left(value_and_slope, theta, low, high) < LEAST_GAIN else None


def _gain_left(loss: Loss, point: Array, low: Array, high: Array) -> float:
    """Return what a Newton step within the bounds would gain; infinite where it is no minimum."""
    slope = loss(point)[1]
    free = ((point > low) | (slope < 0)) & ((point < high) | (slope > 0))
    if not np.isfinite(slope).all():
        return np.inf
    if not free.any():
        return 0.0
    steps = 1e-4 * np.eye(len(point))[free]
    curvature = np.array([loss(point + step)[1] - loss(point - step)[1] for step in steps])
    curvature = curvature[:, free] / 2e-4
    curvature = (curvature + curvature.T) / 2
    if not np.isfinite(curvature).all():
        return np.inf
    curvatures, directions = np.linalg.eigh(curvature)
    slopes = directions.T @ slope[free]
    steep = np.abs(slopes) >= FLAT  # along a ridge the slope is as flat as the curvature
    if (curvatures[steep] <= 0).any():
        return np.inf
    return float((slopes[steep] ** 2 / curvatures[steep]).sum()) / 2

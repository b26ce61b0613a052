"""How the members are put together: weights learned on what they did not see, and the level that
a season asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, brentq, minimize
from scipy.special import expit

from stagecast.features.arrays import Array

# Strength of the pull towards the weights to begin with, in customers: the penalty is PULL /
# customers times the squared distance.
PULL = 20.0
# Share of a past level that is expected to come again, and how large it must be to be more than
# noise.
CARRIED, NOISE = 0.6, 0.15


def pool_weights(
    margins: Mapping[str, Array],
    target: NDArray[np.bool_],
    start: Mapping[str, float] | None = None,
    least_pull: float = 0.0,
) -> dict[str, float]:
    """Return the weights of a pool of log odds: not negative, summing to 1, pulled towards a start.

    Parameters
    ----------
    margins
        Member -> log odds of rows that the members were not fitted on, best of a later window.
    target
        What came, one per row.
    start
        Weights to begin with, summing to 1; equal ones where it is None.
    least_pull
        The pull is no weaker than this, however many rows there are.

    Notes
    -----
    Minimises the mean log loss plus the pull. An intercept is fitted along and thrown away, so that
    the level of one short window does not choose the members.
    """
    names = list(margins)
    begin = np.array([1.0 / len(names) if start is None else start[name] for name in names])
    if len(names) == 1 or target.all() or not target.any():
        return dict(zip(names, begin.tolist(), strict=True))
    X = np.column_stack([margins[name] for name in names])
    sign = np.where(target, 1.0, -1.0)
    penalty = max(PULL / len(target), least_pull)

    def loss(theta: Array) -> float:
        w, level = theta[:-1], theta[-1]
        return float(
            np.logaddexp(0.0, -sign * (X @ w + level)).mean() + penalty * np.sum((w - begin) ** 2)
        )

    def gradient(theta: Array) -> Array:
        w, level = theta[:-1], theta[-1]
        slope = -sign * expit(-sign * (X @ w + level)) / len(target)
        return np.asarray(np.r_[X.T @ slope + 2 * penalty * (w - begin), slope.sum()])

    found = minimize(
        loss,
        np.r_[begin, 0.0],
        jac=gradient,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(names) + [(-3.0, 3.0)],
        constraints=[LinearConstraint(np.r_[np.ones(len(names)), 0.0], 1.0, 1.0)],
        options={"ftol": 1e-10, "maxiter": 200},
    )
    w = np.clip(found.x[:-1], 0.0, 1.0) if found.success else begin
    return dict(zip(names, (w / w.sum()).tolist(), strict=True))


def pool_class_weights(
    logs: Mapping[str, Array], target: NDArray[np.int64], start: Mapping[str, float]
) -> dict[str, float]:
    """Return the weights of a pool of log probabilities of classes: not negative, summing to 1,
    pulled towards a start.

    Parameters
    ----------
    logs
        Member -> log probabilities of rows that the members were not fitted on, of a later window,
        shape (rows, classes); minus infinity, in all members alike, where a class cannot be.
    target
        The class that came, one per row; one that could be.
    """
    names = list(logs)
    begin = np.array([start[name] for name in names])
    cube = np.stack([logs[name] for name in names])
    possible = np.isfinite(cube[0])
    cube = np.where(possible, cube, 0.0)
    rows = np.arange(len(target))
    came = cube[:, rows, target]
    penalty = PULL / len(target)

    def loss(w: Array) -> tuple[float, Array]:
        mixed = np.where(possible, np.tensordot(w, cube, 1), -np.inf)
        top = mixed.max(axis=1, keepdims=True)
        p = np.exp(mixed - top)
        total = p.sum(axis=1, keepdims=True)
        value = float((np.log(total[:, 0]) + top[:, 0] - mixed[rows, target]).mean())
        slope = (cube * (p / total)).sum(axis=2).mean(axis=1) - came.mean(axis=1)
        return value + penalty * float(np.sum((w - begin) ** 2)), slope + 2 * penalty * (w - begin)

    found = minimize(
        loss,
        begin,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(names),
        constraints=[LinearConstraint(np.ones(len(names)), 1.0, 1.0)],
        options={"ftol": 1e-10, "maxiter": 200},
    )
    w = np.clip(found.x, 0.0, 1.0) if found.success else begin
    return dict(zip(names, (w / w.sum()).tolist(), strict=True))


def level_shift(margin: Array, target: NDArray[np.bool_] | Array) -> float:
    """Return what must be added to the log odds for their mean probability to be the share that
    came.

    ``target`` may be probabilities, too: then their mean is met.
    """
    share = float(np.clip(target.mean(), 0.5 / len(target), 1 - 0.5 / len(target)))

    def gap(shift: float) -> float:
        return float(expit(margin + shift).mean() - share)

    return float(brentq(gap, -20.0, 20.0)) if gap(-20.0) < 0 < gap(20.0) else 0.0


def carried_level(shift: float) -> float:
    """Return how much of a past window's shift is expected again: what exceeds the noise, and of
    that a share.

    >>> carried_level(0.1), round(carried_level(-0.65), 2)
    (0.0, -0.3)
    """
    return CARRIED * float(np.sign(shift)) * max(abs(shift) - NOISE, 0.0)

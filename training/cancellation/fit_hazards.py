"""The complementary log-log regression of grouped survival times, fitted by Newton's method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.cancellation.cloglog import _HIGH, _LOW, GroupedHazards
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.glm import learn_design

_STEPS = 60


def fit_grouped(
    recipe: Recipe,
    columns: Mapping[str, Array],
    cancelled: NDArray[np.bool_],
    weight: Array,
    penalty: float,
) -> GroupedHazards:
    """Fit on rows of contracts at risk through a whole step.

    Parameters
    ----------
    recipe, columns
        How each column enters, and its values, one per row.
    cancelled, weight
        Whether it came in the step, and how much the row counts; one per row.
    penalty
        Ridge penalty on standardised columns.
    """
    design = learn_design(recipe, columns)
    total, hits = float(weight.sum()), float(weight[cancelled].sum())
    base = float(np.log(-np.log1p(-(hits + 0.5) / (total + 1.0))))
    width = len(design.mean)
    if not design.terms or hits <= 0 or hits >= total:
        return GroupedHazards(design, base, np.zeros(width))
    X = np.column_stack([np.ones(len(weight)), design.matrix(columns)])
    ridge = np.r_[0.0, np.full(width, penalty)]

    def loss(w: Array) -> float:
        h = np.exp(np.clip(X @ w, _LOW, _HIGH))
        return float(
            (weight * np.where(cancelled, -np.log(-np.expm1(-h)), h)).sum()
            + 0.5 * (ridge * w * w).sum()
        )

    w = np.r_[base, np.zeros(width)]
    now = loss(w)
    for _ in range(_STEPS):
        h = np.exp(np.clip(X @ w, _LOW, _HIGH))
        odds = h / np.expm1(h)
        slope = X.T @ (weight * np.where(cancelled, -odds, h)) + ridge * w
        # expected information: positive whatever the step, which the observed one is not
        curve = weight * h * odds
        step = np.linalg.solve((X * curve[:, None]).T @ X + np.diag(ridge + 1e-9), slope)
        size = 1.0
        while size > 1e-4 and not loss(w - size * step) <= now:
            size /= 2
        then = loss(w - size * step)
        if not then < now - 1e-9 * (1.0 + abs(now)):
            break
        w, now = w - size * step, then
    return GroupedHazards(design, float(w[0]), w[1:])

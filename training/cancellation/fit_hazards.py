"""Fitting of the complementary log-log regression, with a ridge penalty, by Newton's method."""

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
    """Fit the regression on contracts at risk at the beginning of a step.

    Parameters
    ----------
    recipe
        Columns to use.
    columns
        Name -> values, shape (rows,).
    cancelled
        Whether the contract was cancelled in the step, shape (rows,).
    weight
        Weight of each row, shape (rows,).
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
    current_loss = loss(w)
    for _ in range(_STEPS):
        h = np.exp(np.clip(X @ w, _LOW, _HIGH))
        odds = h / np.expm1(h)
        gradient = X.T @ (weight * np.where(cancelled, -odds, h)) + ridge * w
        # the expected information, which is always positive, unlike the observed one
        curvature = weight * h * odds
        step = np.linalg.solve((X * curvature[:, None]).T @ X + np.diag(ridge + 1e-9), gradient)
        size = 1.0
        while size > 1e-4 and not loss(w - size * step) <= current_loss:
            size /= 2
        new_loss = loss(w - size * step)
        if not new_loss < current_loss - 1e-9 * (1.0 + abs(current_loss)):
            break
        w, current_loss = w - size * step, new_loss
    return GroupedHazards(design, float(w[0]), w[1:])

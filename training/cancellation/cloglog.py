"""The complementary log-log regression of grouped survival times, with a ridge penalty, by Newton's method.

P(cancelled in a step) is 1 - exp(-exp(b + x w)): proportional hazards that are seen in steps only.

Source: Prentice and Gloeckler (1978), "Regression analysis of grouped survival data with application to breast cancer
data", Biometrics 34, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.design import Design, Recipe, learn_design

Array = NDArray[np.float64]

_STEPS = 60
# Beyond these a probability is 0 or 1 in double precision.
_LOW, _HIGH = -30.0, 3.5


@dataclass(frozen=True)
class GroupedHazards:
    """Log hazard of a step: ``intercept`` plus the design times ``weights``."""

    design: Design
    intercept: float
    weights: Array

    def log_hazard(self, columns: Mapping[str, Array]) -> Array:
        """Return the log of the hazard of the step, one per row."""
        if not self.design.terms:
            return np.full(len(next(iter(columns.values()))), self.intercept)
        return np.clip(self.intercept + self.design.matrix(columns) @ self.weights, _LOW, _HIGH)

    def to_json(self) -> dict[str, Any]:
        return {"design": self.design.to_json(), "intercept": self.intercept, "weights": self.weights.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupedHazards:
        """Read what :meth:`to_json` gives.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        design, weights = Design.from_json(data["design"]), np.array(data["weights"], dtype=np.float64)
        if set(data) != {"design", "intercept", "weights"} or weights.shape != design.mean.shape:
            raise ValueError("a regression has a design, an intercept and a weight for each column of the design")
        if not np.isfinite([float(data["intercept"]), *weights, *design.mean, *design.scale]).all():
            raise ValueError("a weight of the regression is no finite number")
        return cls(design, float(data["intercept"]), weights)


def fit_grouped(
    recipe: Recipe, columns: Mapping[str, Array], cancelled: NDArray[np.bool_], weight: Array, penalty: float
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
        return float((weight * np.where(cancelled, -np.log(-np.expm1(-h)), h)).sum() + 0.5 * (ridge * w * w).sum())

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

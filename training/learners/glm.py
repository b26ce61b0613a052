"""Ridge-penalised logistic, multinomial and linear models: fitted with scikit-learn, evaluated by
ourselves.

A fit is a handful of numbers per column, saved as JSON; evaluating it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from stagecast.features.arrays import Array
from stagecast.training.learners.design import Design, Linear, Recipe, learn_design

# Second order: a few passes over many rows and few columns, several times as fast here as L-BFGS.
SOLVER = "newton-cholesky"


class LogisticModel(Linear):
    """A fitted binary logistic model; its margin is the log odds."""

    def probability(self, columns: Mapping[str, Array]) -> Array:
        return np.asarray(expit(self.margin(columns)))


def fit_logistic(
    recipe: Recipe,
    columns: Mapping[str, Array],
    target: NDArray[np.bool_],
    weight: Array,
    penalty: float = 1.0,
) -> LogisticModel:
    """Fit a ridge-penalised logistic regression.

    Parameters
    ----------
    columns
        Feature name -> values, one per row.
    target
        One per row; where all are alike the model is the smoothed base rate.
    weight
        One per row, positive.
    penalty
        Ridge penalty on standardised columns, as 1/C of scikit-learn.
    """
    from sklearn.linear_model import LogisticRegression

    design = learn_design(recipe, columns)
    total, hits = float(weight.sum()), float(weight[target].sum())
    base = math.log((hits + 0.5) / (total - hits + 0.5))
    if not design.terms or hits == 0 or hits == total:
        return LogisticModel(design, base, np.zeros(len(design.mean)))
    model = LogisticRegression(C=1.0 / penalty, solver=SOLVER, max_iter=200, tol=1e-6)
    model.fit(design.matrix(columns), target, sample_weight=weight)
    return LogisticModel(design, float(model.intercept_[0]), model.coef_[0].astype(np.float64))


@dataclass(frozen=True)
class MultinomialModel:
    """A fitted multinomial logistic model over the classes ``classes`` (positions in the
    scheme's stages).
    """

    design: Design
    classes: tuple[int, ...]
    intercepts: Array
    weights: Array

    def probability(self, columns: Mapping[str, Array]) -> Array:
        """Return P(class), shape (rows, classes)."""
        rows = len(next(iter(columns.values())))
        margins = np.tile(self.intercepts, (rows, 1))
        if self.design.terms:
            margins = margins + self.design.matrix(columns) @ self.weights.T
        return np.asarray(softmax(margins, axis=1))

    def to_json(self) -> dict[str, Any]:
        return {
            "design": self.design.to_json(),
            "classes": list(self.classes),
            "intercepts": self.intercepts.tolist(),
            "weights": self.weights.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MultinomialModel:
        return cls(
            Design.from_json(data["design"]),
            tuple(data["classes"]),
            np.array(data["intercepts"], dtype=np.float64),
            np.array(data["weights"], dtype=np.float64),
        )


def fit_multinomial(
    recipe: Recipe,
    columns: Mapping[str, Array],
    target: NDArray[np.int64],
    weight: Array,
    penalty: float = 1.0,
) -> MultinomialModel:
    """Fit a ridge-penalised multinomial logistic regression over the classes that occur."""
    from sklearn.linear_model import LogisticRegression

    design = learn_design(recipe, columns)
    classes = np.unique(target)
    width = len(design.mean)
    if len(classes) == 1 or not design.terms:
        shares = np.array([weight[target == c].sum() + 0.5 for c in classes])
        return MultinomialModel(
            design, tuple(int(c) for c in classes), np.log(shares), np.zeros((len(classes), width))
        )
    model = LogisticRegression(C=1.0 / penalty, solver=SOLVER, max_iter=200, tol=1e-6)
    model.fit(design.matrix(columns), target, sample_weight=weight)
    weights, intercepts = model.coef_, model.intercept_
    if len(classes) == 2:  # scikit-learn gives one row for two classes
        weights, intercepts = (
            np.vstack([np.zeros_like(weights[0]), weights[0]]),
            np.r_[0.0, intercepts[0]],
        )
    return MultinomialModel(
        design,
        tuple(int(c) for c in classes),
        intercepts.astype(np.float64),
        weights.astype(np.float64),
    )


def fit_linear(
    recipe: Recipe, columns: Mapping[str, Array], target: Array, weight: Array, penalty: float = 1.0
) -> Linear:
    """Fit a ridge regression on standardised columns."""
    from sklearn.linear_model import Ridge

    design = learn_design(recipe, columns)
    mean = float(np.average(target, weights=weight))
    if not design.terms:
        return Linear(design, mean, np.zeros(0))
    model = Ridge(alpha=penalty)
    model.fit(design.matrix(columns), target, sample_weight=weight)
    return Linear(design, float(model.intercept_), model.coef_.astype(np.float64))

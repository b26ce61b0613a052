"""Ridge-penalised logistic, multinomial and linear models, fitted with scikit-learn.

A fit is a handful of numbers per column, saved as JSON; its evaluation needs only NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.compiled_terms import Term
from stagecast.training.learners.design import Design, Recipe
from stagecast.training.learners.linear import Linear, LogisticModel, MultinomialModel

# Second order: a few passes over many rows and few columns, several times as fast here as L-BFGS.
SOLVER = "newton-cholesky"


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
    recipe
        Columns to use.
    columns
        Feature name -> values, shape (rows,).
    target
        Outcomes, shape (rows,); where all are equal the model is the smoothed base rate.
    weight
        Positive weights, shape (rows,).
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


def learn_design(recipe: Recipe, columns: Mapping[str, Array]) -> Design:
    """Return the design of a recipe for these training rows, without columns that do not vary."""
    terms = []
    for name, (log, knots) in recipe.columns.items():
        values = columns[name]
        x = np.log1p(np.maximum(values, 0.0)) if log else values
        finite = x[np.isfinite(x)]
        if not len(finite):
            continue
        low, high = float(finite.min()), float(finite.max())
        if high - low < 1e-12:
            continue
        positions = (
            np.unique(np.quantile(finite, np.linspace(0.05, 0.95, knots))) if knots else np.zeros(0)
        )
        # knots that differ only by rounding of the quantile would be divided by their distance
        positions = positions[np.diff(positions, prepend=-np.inf) > 1e-6 * (high - low)]
        spline = tuple(float(k) for k in positions) if len(positions) >= 3 else ()
        terms.append(
            Term(name, log, spline, low, high, float(np.median(finite)), bool(len(finite) < len(x)))
        )
    if not terms:
        return Design((), np.zeros(0), np.ones(0))
    raw = np.column_stack([term.expand(columns[term.column]) for term in terms])
    scale = raw.std(axis=0)
    scale[scale < 1e-9] = 1.0
    return Design(tuple(terms), raw.mean(axis=0), scale)

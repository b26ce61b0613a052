"""Pools of the estimators: their members, and fits and evaluations of both.

The weights of the members are learned by stacking (Wolpert 1992; Breiman 1996): each member
predicts rows that it was not fitted on, and the weights that are best there are shrunk towards
equal ones by :mod:`stagecast.training.learners.blend`. Then the members are fitted on all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from stagecast.features.arrays import Array, Integers
from stagecast.training.estimators.folds import fold_numbers
from stagecast.training.estimators.inputs import (
    Sample,
    Settings,
    rows_by_weight,
    take_rows,
)
from stagecast.training.learners import blend, boosting, glm
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.linear import Linear
from stagecast.training.learners.pool import (
    ClassMember,
    CustomerBaseOdds,
    Member,
    Pool,
    pooled,
    pooled_classes,
)

Flags = NDArray[np.bool_]
Columns = Mapping[str, Array]


def fit_binary(
    columns: Columns, base_columns: Columns, target: Flags, training: Sample, settings: Settings
) -> Pool:
    """Fit the pool of log odds.

    Parameters
    ----------
    columns
        Name -> values in logs, shape (rows,).
    base_columns
        Columns of the customer-base models, empty without them; the splines and the trees use them,
        and ``btyd_none`` is a member. These models do not use the target, so that they are the same
        in all folds.
    target
        Outcomes of both classes, shape (rows,).
    training
        Weights and customers of the rows.
    settings
        Parameters of the estimator.
    """
    weight = training.weight
    all_columns = {**columns, **base_columns}
    fitted = _fit_binary_members(columns, all_columns, target, weight, settings)
    fold = fold_numbers(target.astype(np.int64), settings.folds, settings.seed, training.group)
    sample = rows_by_weight(weight)
    if fold is None:
        margins = fitted.margins(all_columns, settings.threads)
        weights = dict.fromkeys(margins, 1.0 / len(margins))
    else:
        margins = {}
        for k in range(int(fold.max()) + 1):
            inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            members = _fit_binary_members(
                take_rows(columns, inside),
                take_rows(all_columns, inside),
                target[inside],
                weight[inside],
                settings,
            )
            for name, margin in members.margins(
                take_rows(all_columns, outside), settings.threads
            ).items():
                margins.setdefault(name, np.empty(len(target)))[outside] = margin
        weights = blend.pool_weights(
            take_rows(margins, sample), target[sample], min_pull=blend.PULL / training.customers
        )
    # the customer-base models were not fitted on the target, and the level of a sum of log odds
    # differs from the levels of its members
    level = blend.level_shift(pooled(margins, weights)[sample], target[sample])
    return replace(fitted, weights=weights, level=level)


def gains_of(pool: Pool | ClassPool) -> Array:
    """Return the gain of the trees of a pool by column, shape (columns,)."""
    trees = pool.members["trees"] if isinstance(pool, Pool) else pool.trees.model
    return trees.gains() if isinstance(trees, Boosted) else np.zeros(0)


def _fit_binary_members(
    columns: Columns, all_columns: Columns, target: Flags, weight: Array, settings: Settings
) -> Pool:
    without_base = (
        np.isnan(all_columns["btyd_none"])
        if "btyd_none" in all_columns
        else np.zeros(len(target), dtype=np.bool_)
    )
    rows = without_base if without_base.any() else np.ones(len(target), dtype=np.bool_)
    hits = float(weight[rows & target].sum())
    # log odds of the rows that the customer-base models cannot predict
    log_odds_without_base = math.log((hits + 0.5) / (float(weight[rows].sum()) - hits + 0.5))
    members: dict[str, Member] = {
        "linear": glm.fit_logistic(_recipe(columns, 0), columns, target, weight, settings.penalty),
        "splines": glm.fit_logistic(
            _recipe(all_columns, settings.knots), all_columns, target, weight, settings.penalty
        ),
        "trees": _fit_trees(all_columns, target.astype(np.float64), weight, "binary", settings),
    }
    if "btyd_none" in all_columns:
        members["btyd"] = CustomerBaseOdds(log_odds_without_base)
    return Pool(members)


def _recipe(columns: Columns, knots: int) -> Recipe:
    # the columns are in logs already
    return Recipe(dict.fromkeys(columns, (False, knots if knots >= 3 else 0)))


def _fit_trees(
    columns: Columns,
    target: Array,
    weight: Array,
    objective: str,
    settings: Settings,
    classes: int | None = None,
) -> Boosted:
    return boosting.fit(
        columns,
        list(columns),
        target,
        weight,
        objective,
        trees=settings.trees,
        seed=settings.seed,
        classes=classes,
        learning_rate=settings.learning_rate,
        num_leaves=settings.leaves,
        num_threads=settings.threads,
        # a single row cannot be sampled
        bagging_fraction=boosting.COMMON["bagging_fraction"] if len(target) > 1 else 1.0,
    )


@dataclass(frozen=True)
class ClassPool:
    """P(class) as a weighted sum of log probabilities of a regression and of trees."""

    linear: ClassMember
    trees: ClassMember
    weights: Mapping[str, float] = field(default_factory=dict)

    def logs(self, columns: Columns, threads: int) -> dict[str, Array]:
        """Return the log probabilities of each member, shape (rows, classes)."""
        members = {"linear": self.linear, "trees": self.trees}
        return {name: member.log_probability(columns, threads) for name, member in members.items()}

    def probability(self, columns: Columns, threads: int) -> Array:
        """Return P(class), shape (rows, classes); rows sum to 1."""
        return pooled_classes(self.logs(columns, threads), self.weights)


def fit_classes(
    columns: Columns, target: Integers, classes: int, training: Sample, settings: Settings
) -> ClassPool:
    """Fit the pool of log probabilities.

    Parameters
    ----------
    columns
        Name -> values in logs, shape (rows,).
    target
        Position of the class of each row, shape (rows,).
    classes
        Number of classes.
    training
        Weights and customers of the rows.
    settings
        Parameters of the estimator.
    """
    weight = training.weight
    fitted = _fit_class_members(columns, target, classes, weight, settings)
    equal = {"linear": 0.5, "trees": 0.5}
    fold = fold_numbers(target, settings.folds, settings.seed, training.group)
    if fold is None:
        return replace(fitted, weights=equal)
    logs = {name: np.empty((len(target), classes)) for name in equal}
    for k in range(int(fold.max()) + 1):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        members = _fit_class_members(
            take_rows(columns, inside), target[inside], classes, weight[inside], settings
        )
        for name, values in members.logs(take_rows(columns, outside), settings.threads).items():
            logs[name][outside] = values
    sample = rows_by_weight(weight)
    return replace(
        fitted,
        weights=blend.pool_class_weights(
            take_rows(logs, sample), target[sample], equal, blend.PULL / training.customers
        ),
    )


def _fit_class_members(
    columns: Columns, target: Integers, classes: int, weight: Array, settings: Settings
) -> ClassPool:
    classes_present, coded = np.unique(target, return_inverse=True)
    several = len(classes_present) > 1
    linear = glm.fit_multinomial(
        _recipe(columns, settings.knots), columns, coded, weight, settings.penalty
    )
    objective, count = ("multiclass", len(classes_present)) if several else ("regression", None)
    trees = _fit_trees(columns, coded.astype(np.float64), weight, objective, settings, count)
    positions = tuple(int(position) for position in classes_present)
    return ClassPool(
        ClassMember(linear, positions, classes), ClassMember(trees, positions, classes)
    )


@dataclass(frozen=True)
class AmountPool:
    """E[amount | any] up to a factor, as a weighted sum of logs of two members.

    Parameters
    ----------
    linear
        Ridge regression of the log amounts.
    trees
        Trees with gamma loss.
    low, high
        Logs of the smallest and the largest amount of the training; predictions are clipped to
        them.
    weights
        Weights of the members.
    """

    linear: Linear
    trees: Boosted
    low: float
    high: float
    weights: Mapping[str, float] = field(default_factory=dict)

    def logs(self, columns: Columns, threads: int) -> dict[str, Array]:
        """Return the log amounts of each member, shape (rows,)."""
        margins = {"linear": self.linear.margin(columns), "trees": self.trees.raw(columns, threads)}
        return {name: np.clip(values, self.low, self.high) for name, values in margins.items()}

    def amount(self, columns: Columns, threads: int) -> Array:
        """Return the pooled amounts, shape (rows,), which the caller must scale."""
        return np.exp(pooled(self.logs(columns, threads), self.weights))


def fit_amounts(
    columns: Columns, amount: Array, training: Sample, settings: Settings
) -> AmountPool:
    """Fit the pool of log amounts; the amounts are positive and have a mean of about 1."""
    weight = training.weight
    fitted = _fit_amount_members(columns, amount, weight, settings)
    share = 0.5
    fold = fold_numbers(
        np.zeros(len(amount), dtype=np.int64), settings.folds, settings.seed, training.group
    )
    if fold is not None:
        logs = {name: np.empty(len(amount)) for name in ("linear", "trees")}
        for k in range(int(fold.max()) + 1):
            inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            members = _fit_amount_members(
                take_rows(columns, inside), amount[inside], weight[inside], settings
            )
            for name, values in members.logs(take_rows(columns, outside), settings.threads).items():
                logs[name][outside] = values
        share = _share_of_trees(logs["linear"], logs["trees"], amount, weight, training.customers)
    return replace(fitted, weights={"linear": 1.0 - share, "trees": share})


def _fit_amount_members(
    columns: Columns, amount: Array, weight: Array, settings: Settings
) -> AmountPool:
    logs = np.log(amount)
    return AmountPool(
        glm.fit_linear(_recipe(columns, settings.knots), columns, logs, weight, settings.penalty),
        _fit_trees(columns, amount, weight, "gamma", settings),
        float(logs.min()),
        float(logs.max()),
    )


def _share_of_trees(
    linear: Array, trees: Array, amount: Array, weight: Array, customers: int
) -> float:
    """Return the weight of the trees with the least gamma deviance, shrunk towards a half.

    The level is fitted, too, and dropped: with ``m`` the pooled logs, the mean gamma loss ``log mu
    + y / mu`` at the best ``mu = c exp(m)`` is ``log(mean(y exp(-m))) + mean(m) + 1``.
    """
    penalty = blend.PULL / customers

    def loss(share: float) -> float:
        pooled_logs = share * trees + (1.0 - share) * linear
        # twice, as in the other pools, where the weights of both members contribute to the squared
        # distance
        squared_distance = 2.0 * (share - 0.5) ** 2
        level = math.log(float(np.average(amount * np.exp(-pooled_logs), weights=weight)))
        return level + float(np.average(pooled_logs, weights=weight)) + penalty * squared_distance

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)

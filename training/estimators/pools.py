"""The members of the estimators, and how they are put together: fits and evaluations beside each
other.

Members' weights are learned by stacking (Wolpert 1992; Breiman 1996): each member speaks of rows
that it was not fitted on, and the weights that would have done best there are drawn towards equal
ones as :mod:`stagecast.training.learners.blend` does. Then the members are fitted again on all
rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from stagecast.features.arrays import Array
from stagecast.training.estimators.inputs import Settings, copies, fold_numbers, some
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
Whole = NDArray[np.int64]
Columns = Mapping[str, Array]


def fit_binary(
    columns: Columns, told: Columns, target: Flags, weight: Array, how: Settings
) -> Pool:
    """Fit the pool of log odds.

    Parameters
    ----------
    columns
        Name -> values, in logs.
    told
        What the customer-base models say, if they were fitted: the splines and the trees hear it,
        and ``btyd_none`` is a member of its own. These models do not look at the target, so no fold
        needs others.
    target
        One per row, of both kinds.
    weight
        One per row, of mean 1.
    """
    every = {**columns, **told}
    fitted = _fit_binary_members(columns, every, target, weight, how)
    fold = fold_numbers(target.astype(np.int64), how.folds, how.seed)
    counted = copies(weight)
    if fold is None:
        margins = fitted.margins(every, how.threads)
        weights = dict.fromkeys(margins, 1.0 / len(margins))
    else:
        margins = {}
        for k in range(int(fold.max()) + 1):
            inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            part = _fit_binary_members(
                some(columns, inside), some(every, inside), target[inside], weight[inside], how
            )
            for name, margin in part.margins(some(every, outside), how.threads).items():
                margins.setdefault(name, np.empty(len(target)))[outside] = margin
        weights = blend.pool_weights(some(margins, counted), target[counted])
    # the customer-base models have never seen the share that came, and a sum of log odds is not its
    # members' level
    level = blend.level_shift(pooled(margins, weights)[counted], target[counted])
    return replace(fitted, weights=weights, level=level)


def gains_of(pool: Pool | ClassPool) -> Array:
    """Return how much the trees of a pool gained by each of their columns."""
    trees = pool.members["trees"] if isinstance(pool, Pool) else pool.trees.model
    return trees.gains() if isinstance(trees, Boosted) else np.zeros(0)


def _fit_binary_members(
    columns: Columns, every: Columns, target: Flags, weight: Array, how: Settings
) -> Pool:
    unheard = (
        np.isnan(every["btyd_none"])
        if "btyd_none" in every
        else np.zeros(len(target), dtype=np.bool_)
    )
    rows = unheard if unheard.any() else np.ones(len(target), dtype=np.bool_)
    hits = float(weight[rows & target].sum())
    # log odds of the rows that the customer-base models know nothing of
    unknown = math.log((hits + 0.5) / (float(weight[rows].sum()) - hits + 0.5))
    members: dict[str, Member] = {
        "linear": glm.fit_logistic(_recipe(columns, 0), columns, target, weight, how.penalty),
        "splines": glm.fit_logistic(_recipe(every, how.knots), every, target, weight, how.penalty),
        "trees": _fit_trees(every, target.astype(np.float64), weight, "binary", how),
    }
    if "btyd_none" in every:
        members["btyd"] = CustomerBaseOdds(unknown)
    return Pool(members)


def _recipe(columns: Columns, knots: int) -> Recipe:
    # the columns come in logs
    return Recipe(dict.fromkeys(columns, (False, knots if knots >= 3 else 0)))


def _fit_trees(
    columns: Columns,
    target: Array,
    weight: Array,
    objective: str,
    how: Settings,
    classes: int | None = None,
) -> Boosted:
    return boosting.fit(
        columns,
        list(columns),
        target,
        weight,
        objective,
        trees=how.trees,
        seed=how.seed,
        classes=classes,
        learning_rate=how.learning_rate,
        num_leaves=how.leaves,
        num_threads=how.threads,
        # of a single row no part can be drawn
        bagging_fraction=boosting.COMMON["bagging_fraction"] if len(target) > 1 else 1.0,
    )


@dataclass(frozen=True)
class ClassPool:
    """P(class) as a weighted sum of log probabilities of a regression (``linear``) and of
    ``trees``.
    """

    linear: ClassMember
    trees: ClassMember
    weights: Mapping[str, float] = field(default_factory=dict)

    def logs(self, columns: Columns, threads: int) -> dict[str, Array]:
        """Return each member's log probabilities, shape (rows, classes)."""
        members = {"linear": self.linear, "trees": self.trees}
        return {name: m.log_probability(columns, threads) for name, m in members.items()}

    def probability(self, columns: Columns, threads: int) -> Array:
        """Return P(class), shape (rows, classes); rows sum to 1."""
        return pooled_classes(self.logs(columns, threads), self.weights)


def fit_classes(
    columns: Columns, target: Whole, classes: int, weight: Array, how: Settings
) -> ClassPool:
    """Fit the pool of log probabilities; ``target`` is the position of each row's class among
    ``classes``.
    """
    fitted = _fit_class_members(columns, target, classes, weight, how)
    equal = {"linear": 0.5, "trees": 0.5}
    fold = fold_numbers(target, how.folds, how.seed)
    if fold is None:
        return replace(fitted, weights=equal)
    logs = {name: np.empty((len(target), classes)) for name in equal}
    for k in range(int(fold.max()) + 1):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        part = _fit_class_members(
            some(columns, inside), target[inside], classes, weight[inside], how
        )
        for name, found in part.logs(some(columns, outside), how.threads).items():
            logs[name][outside] = found
    counted = copies(weight)
    return replace(
        fitted, weights=blend.pool_class_weights(some(logs, counted), target[counted], equal)
    )


def _fit_class_members(
    columns: Columns, target: Whole, classes: int, weight: Array, how: Settings
) -> ClassPool:
    seen, coded = np.unique(target, return_inverse=True)
    several = len(seen) > 1
    linear = glm.fit_multinomial(_recipe(columns, how.knots), columns, coded, weight, how.penalty)
    objective, count = ("multiclass", len(seen)) if several else ("regression", None)
    trees = _fit_trees(columns, coded.astype(np.float64), weight, objective, how, count)
    positions = tuple(int(value) for value in seen)
    return ClassPool(
        ClassMember(linear, positions, classes), ClassMember(trees, positions, classes)
    )


@dataclass(frozen=True)
class AmountPool:
    """E[amount | any] up to a factor, as a weighted sum of logs of a ridge regression and of trees
    with gamma loss.

    ``low`` and ``high`` are the logs of the smallest and the largest amount of the training: no
    mean lies beyond.
    """

    linear: Linear
    trees: Boosted
    low: float
    high: float
    weights: Mapping[str, float] = field(default_factory=dict)

    def logs(self, columns: Columns, threads: int) -> dict[str, Array]:
        """Return each member's log amount, one per row."""
        found = {"linear": self.linear.margin(columns), "trees": self.trees.raw(columns, threads)}
        return {name: np.clip(values, self.low, self.high) for name, values in found.items()}

    def amount(self, columns: Columns, threads: int) -> Array:
        """Return the pooled amounts, one per row; their level is the caller's business."""
        return np.exp(pooled(self.logs(columns, threads), self.weights))


def fit_amounts(columns: Columns, amount: Array, weight: Array, how: Settings) -> AmountPool:
    """Fit the pool of log amounts, which are positive and of mean about 1."""
    fitted = _fit_amount_members(columns, amount, weight, how)
    share = 0.5
    fold = fold_numbers(np.zeros(len(amount), dtype=np.int64), how.folds, how.seed)
    if fold is not None:
        logs = {name: np.empty(len(amount)) for name in ("linear", "trees")}
        for k in range(int(fold.max()) + 1):
            inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            part = _fit_amount_members(some(columns, inside), amount[inside], weight[inside], how)
            for name, found in part.logs(some(columns, outside), how.threads).items():
                logs[name][outside] = found
        share = _share_of_trees(logs["linear"], logs["trees"], amount, weight)
    return replace(fitted, weights={"linear": 1.0 - share, "trees": share})


def _fit_amount_members(
    columns: Columns, amount: Array, weight: Array, how: Settings
) -> AmountPool:
    logs = np.log(amount)
    return AmountPool(
        glm.fit_linear(_recipe(columns, how.knots), columns, logs, weight, how.penalty),
        _fit_trees(columns, amount, weight, "gamma", how),
        float(logs.min()),
        float(logs.max()),
    )


def _share_of_trees(linear: Array, trees: Array, amount: Array, weight: Array) -> float:
    """Return the weight of the trees that has the least gamma deviance, drawn to a half as the
    other pools are.

    The level is fitted along and thrown away: with ``m`` the pooled logs, the mean gamma loss ``log
    mu + y / mu`` at the best ``mu = c exp(m)`` is ``log(mean(y exp(-m))) + mean(m) + 1``.
    """
    pull = blend.PULL / len(amount)

    def loss(share: float) -> float:
        pooled = share * trees + (1.0 - share) * linear
        # the weights of the other pools have two members move apart at once: the squared distance
        # counts twice
        apart = 2.0 * (share - 0.5) ** 2
        level = math.log(float(np.average(amount * np.exp(-pooled), weights=weight)))
        return level + float(np.average(pooled, weights=weight)) + pull * apart

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)

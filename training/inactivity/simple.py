"""Simple methods of P(no purchase), and when one of them replaces the pool.

The share of the customers, the days since the last purchase, the regression on RFM and the customer
base are what a pool must not be worse than. A method replaces the pool where its log loss on
customers or dates that neither was fitted on is lower beyond chance. All are compared at the level
of that date: the level is set in a step of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.inactivity.recipes import RECENCY, RFM
from stagecast.training.learners import blend, glm
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.metrics import losses
from stagecast.training.learners.pool import Member, Pool
from stagecast.training.learners.resampling import mean_of
from stagecast.training.panel import Frame, stack, varying

LABELS: Mapping[str, str] = {
    "share": "the same share for all customers",
    "recency": "the days since the last purchase",
    "rfm": "the regression on RFM",
    "btyd": "the customer base",
}
"""Simple method -> how it is called in a note."""

RECIPES: Mapping[str, Recipe] = {"share": Recipe({}), "recency": RECENCY, "rfm": RFM}
FOLDS = 4


def fit_simple(
    dates: Sequence[Frame], names: Sequence[str] = tuple(RECIPES), penalty: float = 1.0
) -> dict[str, Member]:
    """Return simple methods as members of a pool, fitted on the buyers of these dates.

    Parameters
    ----------
    names
        Keys of :data:`RECIPES`.
    penalty
        Ridge penalty on standardised columns.
    """
    columns = stack(dates)
    usable = varying(dates, list(columns))
    inactive = np.concatenate([frame.inactive for frame in dates])
    weight = np.ones(len(inactive))

    def fit(recipe: Recipe) -> Member:
        terms = {name: term for name, term in recipe.columns.items() if name in usable}
        return glm.fit_logistic(Recipe(terms), columns, inactive, weight, penalty)

    return {name: fit(RECIPES[name]) for name in names}


def out_of_fold_margins(
    dates: Sequence[Frame], fit: Callable[[Sequence[Frame]], Mapping[str, Member]]
) -> dict[str, Array]:
    """Return the log odds of each member on the newest date, fitted on other customers.

    Customers are divided into folds, the same at all dates; the log odds of a fold come from
    members fitted on the other folds.
    """
    customers = np.unique(np.concatenate([frame.customer for frame in dates]))
    folds = [np.searchsorted(customers, frame.customer) % FOLDS for frame in dates]
    margins: dict[str, Array] = {}
    for k in range(FOLDS):
        inside = [
            frame.of(np.flatnonzero(fold != k)) for frame, fold in zip(dates, folds, strict=True)
        ]
        outside = np.flatnonzero(folds[0] == k)
        of_fold = Pool(fit(inside)).margins(dates[0].of(outside).columns)
        for name, margin in of_fold.items():
            margins.setdefault(name, np.empty(len(dates[0])))[outside] = margin
    return margins


def better_alone(
    pooled: Array, alone: Mapping[str, Array], target: NDArray[np.bool_], seed: int
) -> str | None:
    """Return the simple method that is better than the pool beyond chance; None where none is.

    Of several, the one with the least log loss.

    Parameters
    ----------
    pooled
        Log odds of the pool, shape (n_customers,).
    alone
        Method -> its log odds, of the same shape.
    target
        Whether there was no purchase within the horizon, of the same shape.
    seed
        Of the draws of customers.
    """
    if target.all() or not target.any():
        return None
    ours = _losses_at_level(pooled, target)
    differences = {
        name: mean_of(_losses_at_level(margin, target) - ours, seed)
        for name, margin in alone.items()
    }
    better = [name for name, difference in differences.items() if difference.high < 0]
    return min(better, key=lambda name: differences[name].value, default=None)


def _losses_at_level(margin: Array, target: NDArray[np.bool_]) -> Array:
    return losses(target, expit(margin + blend.level_shift(margin, target)))

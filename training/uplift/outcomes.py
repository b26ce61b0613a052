"""Expected outcomes of each arm, learned without the row that they are for (cross-fitted)."""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.boosting import fit
from stagecast.training.uplift.folds import FOLDS, folds_of
from stagecast.training.uplift.model import mean_outcome, named_columns
from stagecast.training.uplift.pseudo_outcomes import Outcomes
from stagecast.training.uplift.trial import Trial

FEWEST_OF_ARM = 50
"""Rows of an arm below which nothing is learned from it."""
TREES = 100
EVENTS_OF_LEAF = 25
"""Outcomes other than 0 that a leaf has on the average: a mean of fewer is mostly chance."""


def leaf_rows(y: Array, share_of_rows: float, events: int = EVENTS_OF_LEAF) -> int:
    """Return the fewest rows of a leaf: a share of the rows, more where outcomes are rare.

    Parameters
    ----------
    y
        Outcomes, shape (n,).
    share_of_rows
        Of the rows, where outcomes are common.
    events
        Outcomes other than 0 that a leaf has on the average.
    """
    rate = max(float((y != 0).mean()), 1 / len(y))
    return int(np.clip(max(share_of_rows * len(y), events / rate), 10, max(len(y) / 4, 10)))


def fit_outcome(X: Array, y: Array, binary: bool, seed: int, **more: Array) -> Boosted:
    """Fit the expected outcome given the features, and given the columns ``more``.

    Parameters
    ----------
    X
        Features, shape (n, k).
    y
        Outcomes, shape (n,).
    binary
        Whether the trees give log odds.
    seed
        Of LightGBM.
    more
        Further columns by name, shape (n,).
    """
    columns = named_columns(X, **more)
    return fit(
        columns,
        list(columns),
        y,
        np.ones(len(y)),
        "binary" if binary else "regression",
        trees=TREES,
        seed=seed,
        min_data_in_leaf=leaf_rows(y, 1 / 100),
    )


def refuse_too_few(trial: Trial) -> None:
    """Raise NotEnoughDataError where an arm has too few rows, or no outcome differs from another.

    Raises
    ------
    NotEnoughDataError
        See above.
    """
    counts = (int((~trial.contacted).sum()), int(trial.contacted.sum()))
    if min(counts) < FEWEST_OF_ARM:
        raise NotEnoughDataError(
            f"{counts[1]} customers were contacted and {counts[0]} left alone; a learner needs "
            f"{FEWEST_OF_ARM} of each: put more plans together, or draw a larger hold-out"
        )
    if len(np.unique(trial.y)) < 2:
        raise NotEnoughDataError(
            f"the outcome is {trial.y[0]:g} for all {len(trial)} customers; wait for the "
            "horizon to pass, or take an outcome that happens more often, such as visits"
        )


def cross_fit(trial: Trial, folds: int = FOLDS, seed: int = 0) -> Outcomes:
    """Return the expected outcomes of each row, by models that did not see its fold.

    Parameters
    ----------
    trial
        The contacts.
    folds
        Number of folds.
    seed
        Of the folds and of LightGBM.

    Raises
    ------
    NotEnoughDataError
        An arm has fewer than ``FEWEST_OF_ARM`` rows, or all outcomes are equal.

    Source: Chernozhukov et al. (2018), "Double/debiased machine learning for treatment and
    structural parameters", definition 3.1.
    """
    refuse_too_few(trial)
    fold: Integers = folds_of(trial, folds, seed)
    alone, contacted = np.empty(len(trial)), np.empty(len(trial))
    for k in range(folds):
        columns = named_columns(trial.X[fold == k])
        for arm, values in ((False, alone), (True, contacted)):
            rows = (fold != k) & (trial.contacted == arm)
            trees = fit_outcome(trial.X[rows], trial.y[rows], trial.binary, seed)
            values[fold == k] = mean_outcome(trees, columns, trial.binary)
    return Outcomes(alone, contacted)

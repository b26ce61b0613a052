"""Folds by customer: which rows are left out together."""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Integers
from stagecast.features.errors import UsageError
from stagecast.training.uplift.trial import Trial

FOLDS = 5


def folds_of(trial: Trial, folds: int = FOLDS, seed: int = 0) -> Integers:
    """Return the fold of each row, shape (n,); all rows of a customer are in one.

    The customers are dealt out arm by arm, so that each fold has its share of the contacted.

    Parameters
    ----------
    trial
        The contacts.
    folds
        Number of folds, at least 2.
    seed
        Of the deal.

    Raises
    ------
    UsageError
        There are fewer than two folds, or fewer customers than folds.
    """
    customers = int(trial.customer.max()) + 1
    ids, first = np.unique(trial.customer, return_index=True)
    if folds < 2 or len(ids) < folds:
        raise UsageError(
            f"{len(ids)} customers cannot be dealt into {folds} folds; give 2 folds or more, and "
            "at least as many customers"
        )
    order = np.random.default_rng(seed).permutation(len(ids))
    # a stable sort by arm keeps the random order within the arm; the outcome evens out rare ones
    key = 2 * trial.contacted[first[order]] + (trial.y[first[order]] != 0)
    order = order[np.argsort(key, kind="stable")]
    fold = np.zeros(customers, dtype=np.int64)
    fold[ids[order]] = np.arange(len(ids)) % folds
    return np.asarray(fold[trial.customer])

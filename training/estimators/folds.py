"""Random folds of the rows of a table, stratified by class, that do not divide a customer."""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Integers


def fold_numbers(
    coded: Integers, folds: int | None, seed: int, group: Integers | None = None
) -> Integers | None:
    """Return the fold of each row, at random and stratified by class; a group is in one fold.

    Parameters
    ----------
    coded
        The class of each row, shape (rows,).
    folds
        Number of folds; fewer where the second most frequent class has fewer rows.
    seed
        Seed of the shuffle.
    group
        Number of the group of each row; None where each row is one. Groups are stratified by the
        rarest class that they hold.

    Returns
    -------
    array of int, or None
        None where folds would have one class only, or ``folds`` is None.

    >>> fold_numbers(np.array([0, 0, 0, 0, 1, 1]), 5, seed=1).max()
    np.int64(1)
    """
    if group is not None:
        return _folds_of_groups(coded, folds, seed, group)
    counts = np.sort(np.unique(coded, return_counts=True)[1])
    folds = min(folds or 0, int(counts[-2]) if len(counts) > 1 else int(counts[-1]))
    if folds < 2:
        return None
    order = np.random.default_rng(seed).permutation(len(coded))
    order = order[np.argsort(coded[order], kind="stable")]
    fold = np.empty(len(coded), dtype=np.int64)
    fold[order] = np.arange(len(coded)) % folds
    return fold


def _folds_of_groups(
    coded: Integers, folds: int | None, seed: int, group: Integers
) -> Integers | None:
    # of the rows of a group, that of the rarest class comes first
    order = np.argsort(np.bincount(coded)[coded], kind="stable")
    _, first, group_of = np.unique(group[order], return_index=True, return_inverse=True)
    fold_of_group = fold_numbers(coded[order][first], folds, seed)
    if fold_of_group is None:
        return None
    fold = np.empty(len(coded), dtype=np.int64)
    fold[order] = fold_of_group[group_of.ravel()]
    classes = len(np.unique(coded))
    for k in range(int(fold.max()) + 1):
        if classes > 1 and len(np.unique(coded[fold != k])) < 2:
            return None
    return fold

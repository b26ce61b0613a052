"""Rows of the same customer: which belong together, and which are copies of each other.

Folds must not divide a customer, or members that learn by heart (the trees) get too much weight:
the same rows three times moved the weight of the trees from 0.27 to 0.65.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import pandas as pd

from stagecast.features.arrays import Array, Integers

# That the counts of fewer distinct rows have a common divisor can be chance.
_FEWEST_DISTINCT = 20


def group_codes(groups: Any, rows: Integers, length: int) -> Integers | None:
    """Return the number of the group of each row, in order of appearance; None without groups.

    Parameters
    ----------
    groups
        One label per row of X, or a frame with the column ``customer_id``, or None.
    rows
        Rows of X that are used.
    length
        Number of rows of X.

    Raises
    ------
    ValueError
        Groups of another length, or a missing label.
    """
    if groups is None:
        return None
    if "customer_id" in list(getattr(groups, "columns", ())):
        groups = groups["customer_id"]
    labels = np.asarray(groups)
    if labels.shape != (length,):
        raise ValueError(
            f"groups has shape {labels.shape}; give one label per row of X, shape ({length},): "
            "the customer of the row"
        )
    codes = pd.factorize(labels[rows])[0].astype(np.int64)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(
            f"groups holds no label at row {rows[missing[0]]}; give each row its customer"
        )
    return np.asarray(codes)


def without_copies(
    X: Array, y: Any, weight: Array, group: Integers | None
) -> tuple[Integers, Array]:
    """Return the rows that stay when copies become one row, and their weights (of mean 1).

    With groups, rows of one group with equal X and y become one, with the sum of their weights.
    Without, equal rows may be of different customers; only a table that is the same rows several
    times over is reduced to them.

    Parameters
    ----------
    X
        Shape (rows, columns).
    y
        Outcomes, shape (rows,).
    weight
        Positive weights, shape (rows,).
    group
        Number of the group of each row.

    >>> X, y = np.array([[1.0], [2.0], [1.0], [1.0]]), np.array([0, 1, 0, 1])
    >>> stay, weight = without_copies(X, y, np.ones(4), np.array([0, 1, 0, 0]))
    >>> stay.tolist(), weight.tolist()
    ([0, 1, 3], [1.5, 0.75, 0.75])
    """
    # + 0.0 makes -0.0 equal to 0.0; all NaN get the same bits
    parts = np.column_stack(
        [
            np.where(np.isnan(X), np.nan, X) + 0.0,
            pd.factorize(np.asarray(y))[0],
            np.zeros(len(X)) if group is None else group,
        ]
    )
    keys = np.ascontiguousarray(parts, dtype=np.float64)
    rows = keys.view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
    _, first, row_of = np.unique(rows, return_index=True, return_inverse=True)
    row_of = row_of.ravel()
    if group is None:
        stay = _one_of_several_tables(row_of, weight)
        return stay, weight[stay]
    total = np.bincount(row_of, weights=weight)
    order = np.argsort(first)
    return first[order].astype(np.int64), np.asarray(total[order] / total.mean())


def _one_of_several_tables(row_of: Integers, weight: Array) -> Integers:
    """Return the rows of the first table where several equal ones stand below each other."""
    times = np.bincount(row_of)
    several = gcd(*times.tolist())
    if several == 1 or len(times) < _FEWEST_DISTINCT or weight.min() < weight.max():
        return np.arange(len(row_of))
    order = np.argsort(row_of, kind="stable")
    rank = np.empty(len(row_of), dtype=np.int64)
    rank[order] = np.arange(len(row_of)) - np.repeat(np.cumsum(times) - times, times)
    return np.flatnonzero(rank < times[row_of] // several).astype(np.int64)

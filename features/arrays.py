"""Array types named in signatures, and helpers for runs of equal entries in ordered arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def run_bounds(customer: Integers) -> tuple[Integers, Integers]:
    """Return the first and the last row of each run of the same customer.

    Parameters
    ----------
    customer
        Shape (n_rows,), the rows of one customer next to each other.

    Returns
    -------
    tuple of arrays
        First row and last row (inclusive) of each run, shape (n_runs,).

    >>> [rows.tolist() for rows in run_bounds(np.array([4, 4, 7]))]
    [[0, 2], [1, 2]]
    """
    if not len(customer):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
    return starts, np.r_[starts[1:], len(customer)] - 1


def position_within(customer: Integers) -> Integers:
    """Return 0, 1, 2, ... within each run of the same customer.

    Parameters
    ----------
    customer
        Shape (n_rows,), the rows of one customer next to each other.

    >>> position_within(np.array([4, 4, 7])).tolist()
    [0, 1, 0]
    """
    starts = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
    return np.arange(len(customer)) - np.repeat(starts, np.diff(np.r_[starts, len(customer)]))

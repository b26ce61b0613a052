"""Coverage and width of 90 % ranges by groups of customers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stagecast.features.arrays import Array


def fifths(expected: Array) -> NDArray[np.int64]:
    """Return the fifth of each customer by size, 1 the smallest, shape (n,)."""
    rank = np.argsort(np.argsort(expected, kind="stable"), kind="stable")
    return np.asarray(rank * 5 // len(expected) + 1, dtype=np.int64)


def by_group(
    group: NDArray[Any], outcome: Array, expected: Array, low: Array, high: Array
) -> pd.DataFrame:
    """Return coverage, misses on each side and the width over the mean expectation of each group.

    Parameters
    ----------
    group
        Of each customer, shape (n,), as all arrays here.
    outcome
        What came; below 0 counts as 0.
    expected, low, high
        The expectation, and the ends of its range.
    """
    came = np.maximum(outcome, 0.0)
    known = np.isfinite(low) & np.isfinite(high)
    table = pd.DataFrame(
        {
            "group": group,
            "customers": 1.0,
            "covered": (came >= low) & (came <= high),
            "below": came < low,
            "above": came > high,
            "two_sided": low > 0,
            "expected": expected,
            "came": came,
            "width": high - low,
        }
    )[known]
    means = table.groupby("group").agg(
        {name: "sum" if name == "customers" else "mean" for name in table.columns[1:]}
    )
    means["width"] /= means["expected"]
    return means.round(3).reset_index()

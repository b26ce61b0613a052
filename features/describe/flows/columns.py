"""Arrow columns of the tables, and sums of money in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.describe.flows.periods import Periods

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

INSTANT = pa.timestamp("us", "UTC")


def numbers(values: Floats | Sequence[float | None]) -> pa.Array:
    """Return numbers as a column of doubles; NaN and None become null."""
    return pa.array(values, pa.float64(), from_pandas=True)


def counts(values: Ints | Sequence[int]) -> pa.Array:
    """Return integers as a column."""
    return pa.array(values, pa.int64())


def names(ids: Sequence[str], position: Ints) -> pa.Array:
    """Return the ids at positions as a column of text; a position of -1 becomes null."""
    return pa.array(ids, pa.string()).take(pa.array(position, pa.int64(), mask=position < 0))


def spans(periods: Periods, position: Ints) -> dict[str, pa.Array]:
    """Return ``period_start``, ``period_end`` and ``complete`` of the periods at positions."""
    return {
        "period_start": pa.array(periods.start[position], INSTANT),
        "period_end": pa.array(periods.end[position], INSTANT),
        "complete": pa.array(periods.complete[position], pa.bool_()),
    }


def share(part: Ints | Floats, whole: Ints | Floats) -> Floats:
    """Return ``part / whole``; NaN where ``whole`` is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def money(group: Ints, spend: Floats, groups: int) -> Floats:
    """Return the spend of each group, to the millionth (amounts have six decimals).

    Integers are summed, so the result does not depend on the order of the rows.

    Parameters
    ----------
    group
        Group of each row, from 0, shape (n_rows,).
    spend
        Spend of each row, shape (n_rows,).
    groups
        Number of groups.
    """
    return np.bincount(group, weights=np.rint(spend * 1e6), minlength=groups) / 1e6

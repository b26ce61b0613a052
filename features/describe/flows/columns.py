"""How the tables of this package become Arrow columns, and how money is added up for them."""

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
    """Return numbers as a column of doubles; NaN and None are null."""
    return pa.array(values, pa.float64(), from_pandas=True)


def counts(values: Ints | Sequence[int]) -> pa.Array:
    """Return whole numbers as a column."""
    return pa.array(values, pa.int64())


def names(ids: Sequence[str], position: Ints) -> pa.Array:
    """Return the ids at positions as a column of text; a position of -1 is null."""
    return pa.array(ids, pa.string()).take(pa.array(position, pa.int64(), mask=position < 0))


def spans(periods: Periods, position: Ints) -> dict[str, pa.Array]:
    """Return ``period_start``, ``period_end`` and ``complete`` of the periods at positions."""
    return {
        "period_start": pa.array(periods.start[position], INSTANT),
        "period_end": pa.array(periods.end[position], INSTANT),
        "complete": pa.array(periods.complete[position], pa.bool_()),
    }


def share(part: Ints | Floats, whole: Ints | Floats) -> Floats:
    """Return ``part / whole``; NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def money(group: Ints, spend: Floats, groups: int) -> Floats:
    """Return the spend of each of ``groups`` groups, to the millionth (amounts have six decimals).

    Whole millionths are added, so the sum does not hang on the order of the rows.
    """
    return np.bincount(group, weights=np.rint(spend * 1e6), minlength=groups) / 1e6

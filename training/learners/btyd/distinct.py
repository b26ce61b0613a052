"""Grouping of equal histories, so that a model evaluates each distinct history once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stagecast.features.arrays import Array


def packed(columns: Sequence[Array]) -> Array | None:
    """Return one key per row that sorts as the columns do, much faster than they.

    None where a column holds other than whole numbers from 0 on, or the key would need more than
    53 bits.
    """
    key = np.zeros(columns[0].shape)
    combinations = 1.0
    for column in columns:
        if not len(column) or not (
            np.isfinite(column).all() and (column == np.floor(column)).all() and column.min() >= 0
        ):
            return None
        size = float(column.max()) + 1.0
        combinations *= size
        if combinations >= 2.0**53:
            return None
        key = key * size + column
    return key

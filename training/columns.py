"""The columns that models see of buyers, from the features of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.customer_base import CustomerBase


def rows_of(columns: Mapping[str, Array], rows: NDArray[np.int64]) -> dict[str, Array]:
    """Return some rows of every column."""
    return {name: values[rows] for name, values in columns.items()}


def buyer_columns(
    features: Mapping[str, Array],
    rows: NDArray[np.int64],
    base: CustomerBase | None,
    horizon_days: int,
) -> dict[str, Array]:
    """Return the columns that models of buyers see: the features of these rows and what the
    customer base says.
    """
    columns = rows_of(features, rows)
    return columns if base is None else {**columns, **base.columns(columns, horizon_days)}

"""The columns that models see of buyers, from the features of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.customer_base import CustomerBase

AnyArray = TypeVar("AnyArray", bound=NDArray[Any])


def rows_of(columns: Mapping[str, AnyArray], rows: NDArray[np.int64]) -> dict[str, AnyArray]:
    """Return some rows of every column."""
    return {name: cast(AnyArray, values[rows]) for name, values in columns.items()}


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

"""Columns of scores in the Arrow types of the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.serving.scoring.compact_columns import COMPACT


def arrow_column(values: Any, field: pa.Field) -> pa.Array:
    """Return a column in the type of the contract; NaN becomes null.

    Parameters
    ----------
    values
        Values of all rows: an array, a list, a matrix with a row of a list column each, or a column
        of :mod:`stagecast.serving.scoring.compact_columns`.
    field
        Type of the contract, and whether null is allowed.

    Raises
    ------
    ValueError
        There is a null and the contract allows none, which is a bug of stagecast.
    """
    if isinstance(values, pa.Array):
        array = values
    elif isinstance(values, COMPACT):
        array = values.to_arrow(field.type)
    elif isinstance(values, np.ndarray) and values.ndim == 2:
        array = _lists(values)
    elif pa.types.is_list(field.type) or not isinstance(values, np.ndarray):
        array = pa.array(values, field.type)
    elif values.dtype == np.float64 and not pa.types.is_floating(field.type):
        array = pa.array(values, pa.float64(), from_pandas=True).cast(
            pa.int64() if field.type == pa.int64() else pa.int32()
        )
        array = array.cast(field.type)
    elif values.dtype == np.float64:
        array = pa.array(values, field.type, from_pandas=True)
    elif pa.types.is_timestamp(field.type):
        array = pa.array(values, pa.int64()).cast(field.type)
    else:
        array = pa.array(values.tolist(), field.type)
    if array.null_count and not field.nullable:
        raise ValueError(
            f"{array.null_count} scores have no {field.name}, which every score must have"
        )
    return array


def _lists(values: Array) -> pa.Array:
    """Return the rows of a matrix as lists; a row of NaN becomes null."""
    null: NDArray[np.bool_] = np.any(np.isnan(values), axis=1)
    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1])
    flat = pa.array(np.where(null[:, None], 0.0, values).ravel(), pa.float64())
    return pa.ListArray.from_arrays(offsets, flat, mask=pa.array(null))

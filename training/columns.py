"""Columns of buyers that models are evaluated on, from the features of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.customer_base import CustomerBase

AnyArray = TypeVar("AnyArray", bound=NDArray[Any])


def rows_of(columns: Mapping[str, AnyArray], rows: NDArray[np.int64]) -> dict[str, AnyArray]:
    """Return these rows of every column."""
    return {name: cast(AnyArray, values[rows]) for name, values in columns.items()}


def buyer_columns(
    features: Mapping[str, Array],
    rows: NDArray[np.int64],
    base: CustomerBase | None,
    horizon_days: int,
) -> dict[str, Array]:
    """Return the features of these rows with the columns of the customer base, if there is one.

    Where everybody pays on a date of the year, histories begin as the customer base has them, see
    :meth:`CustomerBase.histories`.

    Parameters
    ----------
    features
        Features of a snapshot, shape (n_customers,) each.
    rows
        Rows of buyers in it.
    base
        Customer-base models; None where they cannot be fitted.
    horizon_days
        Horizon of the customer base's predictions, in days.
    """
    everybody = np.array_equal(rows, np.arange(len(next(iter(features.values())))))
    columns = dict(features) if everybody else rows_of(features, rows)
    if base is None:
        return columns
    histories = base.histories(columns)
    return {**histories, **base.columns(histories, horizon_days)}

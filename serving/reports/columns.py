"""Columns of scores as NumPy arrays, and their aggregates over groups of customers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stagecast.features.arrays import Array

Codes = NDArray[np.int64]

BANDS = ("low", "medium", "high")
STATES = ("prospect", "active", "lapsed")
GROUP_MEASURES: Mapping[str, Callable[[Array], Any]] = {
    "spend": np.sum,
    "expected_spend": np.sum,
    "value_at_risk": np.sum,
    "value_gone": np.sum,
    "recency_days": np.median,
    "churn_probability": np.mean,
}


def numbers(scores: pa.Table, name: str) -> Array:
    """Return a column as numbers, NaN where it is null."""
    return np.asarray(scores[name].to_numpy(), dtype=np.float64)


def codes(scores: pa.Table, name: str, values: Sequence[str]) -> Codes:
    """Return each row's position in values, -1 where the column is null."""
    import pyarrow.compute as pc

    positions = pc.fill_null(pc.index_in(scores[name], value_set=pa.array(values, pa.string())), -1)
    return np.asarray(positions.to_numpy(), dtype=np.int64)


def present(scores: pa.Table, name: str) -> list[str]:
    """Return the values that a column of texts has."""
    import pyarrow.compute as pc

    return [value for value in pc.unique(scores[name]).to_pylist() if value is not None]


def measured(values: Array, measure: Callable[[Array], Any]) -> float | None:
    """Return a measure of the values that are known; None where none is."""
    known = values[~np.isnan(values)]
    return float(measure(known)) if len(known) else None


def total(values: Array) -> float | None:
    """Return the sum of the values that are known; None where none is."""
    return measured(values, np.sum)


def share_of(part: float | None, whole: float | None) -> float | None:
    """Return a part over the whole; None where either is not known, or the whole is nothing."""
    return None if part is None or not whole else part / whole


def by_group(scores: pa.Table, name: str, values: Sequence[str]) -> list[dict[str, Any]]:
    """Return :data:`GROUP_MEASURES` and the count of the customers with each value of a column."""
    of_rows = codes(scores, name, values)
    columns = {column: numbers(scores, column) for column in GROUP_MEASURES}
    rows: list[dict[str, Any]] = []
    for code, value in enumerate(values):
        members = np.flatnonzero(of_rows == code)
        measures = {
            column: measured(columns[column][members], measure)
            for column, measure in GROUP_MEASURES.items()
        }
        share = share_of(len(members), scores.num_rows) or 0.0
        rows.append({"id": value, "customers": len(members), "share": share, **measures})
    return rows

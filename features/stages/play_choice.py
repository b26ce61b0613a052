"""Which play each customer has, and the percentiles that plays compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.stages.plays import Play


def learn_bounds(
    plays: Sequence[Play], columns: Mapping[str, Array], buyers: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the percentiles that plays compare with, like ``value_at_risk p80``.

    They are over the buyers with any such money: where most have nothing at risk, p80 of all would
    be nothing, too.

    Parameters
    ----------
    plays
        Of the scheme.
    columns
        Column in money -> values at the training, shape (rows,); NaN is null.
    buyers
        Rows of buyers, shape (rows,).
    """
    bounds = {}
    for comparison in (c for play in plays for c in play.comparisons):
        percentile = comparison.percentile
        if percentile is None:
            continue
        values = columns[comparison.column][buyers]
        values = values[np.isfinite(values) & (values > 0)]
        if len(values):
            limit = float(np.quantile(values, percentile / 100, method="inverted_cdf"))
            bounds[f"{comparison.column} {comparison.bound}"] = limit
    return bounds


def assign_plays(
    plays: Sequence[Play], columns: Mapping[str, Any], bounds: Mapping[str, float], rows: int
) -> NDArray[np.int64]:
    """Return the position of each customer's play, shape (rows,); -1 where none holds.

    Parameters
    ----------
    plays
        Tried in this order.
    columns
        Columns of a score, see :meth:`Comparison.holds`.
    bounds
        By :func:`learn_bounds`.
    rows
        Number of customers.
    """
    chosen = np.full(rows, -1, dtype=np.int64)
    for position, play in enumerate(plays):
        chosen[(chosen < 0) & play.holds(columns, bounds)] = position
    return chosen

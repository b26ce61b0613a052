"""Prediction intervals of future spend, by conformal prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array

COVERAGE = 0.90
# Least number of predictions in a bin, and largest number of bins.
ROWS_PER_BIN, MAX_BINS = 200, 10


@dataclass(frozen=True)
class Intervals:
    """90 % intervals as multiples of the prediction, by size of the prediction.

    Parameters
    ----------
    edges
        Upper ends of all bins but the last, in units of the prediction.
    low, high
        Ends of the interval over the prediction, one entry per bin.
    """

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def around(self, prediction: Array) -> tuple[Array, Array]:
        """Return the lower and upper ends, which enclose the prediction."""
        bins = np.searchsorted(self.edges, prediction, side="left")
        low, high = np.array(self.low)[bins] * prediction, np.array(self.high)[bins] * prediction
        return np.minimum(low, prediction), np.maximum(high, prediction)

    def to_json(self) -> dict[str, Any]:
        return {"edges": list(self.edges), "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Intervals:
        return cls(tuple(data["edges"]), tuple(data["low"]), tuple(data["high"]))


def conformal(prediction: Array, outcome: Array) -> Intervals:
    """Return intervals that cover ``COVERAGE`` of the outcomes in each bin of predictions.

    A bin has at least ``ROWS_PER_BIN`` predictions. Where at least 5 % of its outcomes are 0, as in
    most shops, the interval is one-sided: from 0 to the quantile of the coverage. Otherwise 5 % of
    the outcomes lie on either side.

    Parameters
    ----------
    prediction, outcome
        Predicted and observed money, shape (n_rows,), at a date later than those that the
        predicting models were fitted on.
    """
    usable = np.isfinite(prediction) & (prediction > 0)
    prediction, outcome = prediction[usable], np.maximum(outcome[usable], 0.0)
    if not len(prediction):
        return Intervals((), (0.0,), (10.0,))
    count = int(np.clip(len(prediction) // ROWS_PER_BIN, 1, MAX_BINS))
    edges = (
        np.unique(np.quantile(prediction, np.linspace(0, 1, count + 1)[1:-1]))
        if count > 1
        else np.zeros(0)
    )
    bins = np.searchsorted(edges, prediction, side="left")
    low, high = [], []
    for k in range(len(edges) + 1):
        ratio = np.sort(outcome[bins == k] / prediction[bins == k])
        if not len(ratio):
            low.append(0.0)
            high.append(10.0)
            continue
        tail = (1 - COVERAGE) / 2
        one_sided = float((ratio <= 0).mean()) >= tail
        low.append(0.0 if one_sided else _quantile(ratio, tail, upper=False))
        high.append(_quantile(ratio, COVERAGE if one_sided else 1 - tail, upper=True))
    return Intervals(tuple(float(e) for e in edges), tuple(low), tuple(high))


def _quantile(ordered: Array, share: float, *, upper: bool) -> float:
    """Return the conformal quantile, a little further out than the empirical one.

    It allows for the outcome that is still to be observed: its rank is among n + 1 outcomes.
    """
    n = len(ordered)
    # rounding of the share must not move an integer rank to its neighbour
    rank = np.ceil((n + 1) * share - 1e-9) if upper else np.floor((n + 1) * share + 1e-9)
    return float(ordered[int(np.clip(rank, 1, n)) - 1])

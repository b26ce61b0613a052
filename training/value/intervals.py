"""Intervals of money to come, by conformal prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array

COVERAGE = 0.90


ROWS_PER_BIN = 200


MOST_BINS = 10


@dataclass(frozen=True)
class Intervals:
    """90 % intervals as multiples of the prediction, by size of the prediction.

    ``edges`` are the upper ends of the bins but the last; ``low`` and ``high`` have one entry per
    bin.
    """

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def around(self, prediction: Array) -> tuple[Array, Array]:
        """Return lower and upper ends; both enclose the prediction's own scale and are never
        negative.
        """
        bins = np.searchsorted(self.edges, prediction, side="left")
        low, high = np.array(self.low)[bins] * prediction, np.array(self.high)[bins] * prediction
        return np.minimum(low, prediction), np.maximum(high, prediction)

    def to_json(self) -> dict[str, Any]:
        return {"edges": list(self.edges), "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Intervals:
        return cls(tuple(data["edges"]), tuple(data["low"]), tuple(data["high"]))


def conformal(prediction: Array, outcome: Array) -> Intervals:
    """Return intervals that cover ``COVERAGE`` of these outcomes, in bins of at least
    ``ROWS_PER_BIN`` predictions.

    Where at least 5 % of a bin's outcomes are 0, as with most shops, the interval is one-sided:
    from 0 to the quantile that covers. Otherwise 5 % lie on either side.

    Parameters
    ----------
    prediction, outcome
        Money, one per row, at a date later than the models that predicted were fitted on.
    """
    kept = np.isfinite(prediction) & (prediction > 0)
    prediction, outcome = prediction[kept], np.maximum(outcome[kept], 0.0)
    if not len(prediction):
        return Intervals((), (0.0,), (10.0,))
    count = int(np.clip(len(prediction) // ROWS_PER_BIN, 1, MOST_BINS))
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
    """Return the conformal quantile: with one more outcome to come, so a little outside the
    plain one.
    """
    n = len(ordered)
    # a rank that is whole must not become its neighbour by a rounding of the share
    rank = np.ceil((n + 1) * share - 1e-9) if upper else np.floor((n + 1) * share + 1e-9)
    return float(ordered[int(np.clip(rank, 1, n)) - 1])

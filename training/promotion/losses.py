"""Losses of two models on the same customers at the same dates: what the gate decides on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array


@dataclass(frozen=True)
class Paired:
    """Losses of champion and challenger for the same customers, shape (n_rows,); less is better."""

    customers: NDArray[np.object_]
    champion: Array
    challenger: Array

    def __len__(self) -> int:
        return len(self.customers)

    @property
    def difference(self) -> Array:
        """Challenger less champion; below 0 the challenger is better."""
        return self.challenger - self.champion

    def of(self, rows: NDArray[np.bool_]) -> Paired:
        """Return the losses of some rows."""
        return Paired(self.customers[rows], self.champion[rows], self.challenger[rows])


@dataclass(frozen=True)
class DateLosses:
    """Both models at one date, judged by what came within the horizon after it.

    Parameters
    ----------
    as_of
        The date; the champion was trained at or before it, the challenger's procedure on it.
    churn
        Log loss (nats) of the probability of leaving, of all who could leave.
    left
        Whether each of them left, shape (n_rows,).
    p_champion, p_challenger
        Their probabilities of leaving.
    segments
        Segment -> which of them are in it.
    next_stage
        Log loss (nats) of the stage at the end of the horizon; None where the schemes differ.
    spend, clv
        Absolute error in money, of the spend within the horizon and of the discounted value over
        the days that have passed, at most the value horizon; None in a log without amounts.
    seconds
        Processor time of the challenger's predictions, per customer.
    """

    as_of: datetime
    churn: Paired
    left: NDArray[np.bool_]
    p_champion: Array
    p_challenger: Array
    segments: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    next_stage: Paired | None = None
    spend: Paired | None = None
    clv: Paired | None = None
    seconds: float = 0.0

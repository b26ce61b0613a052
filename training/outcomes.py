"""Outcomes observed after a snapshot, which predictions are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Later:
    """Outcomes within a horizon of a panel's as_of, one entry per row of its snapshot.

    Parameters
    ----------
    orders, spend
        Number of purchase days and the money spent on them.
    stage
        Position of the stage at the end of the horizon.
    cancelled
        Whether the contract was cancelled. None where churn is not cancellation.
    had_contract
        Whether the customer had a contract at the as_of by what is known now: a contract that
        seemed open then may have been cancelled before and recorded late. None where churn is not
        cancellation.
    """

    orders: Array
    spend: Array
    stage: Integers
    cancelled: Flags | None = None
    had_contract: Flags | None = None


@dataclass(frozen=True)
class Churned:
    """Customers who could leave within a horizon: whether they left, and the predictions.

    Parameters
    ----------
    rows
        Rows of the snapshot; the other arrays have one entry per row here.
    left
        Whether the customer left.
    ours
        Probability of leaving by the trained models.
    method
        Method that gave ``ours``.
    predictions
        Baseline -> its probability of leaving.
    """

    rows: Integers
    left: Flags
    ours: Array
    method: str
    predictions: Mapping[str, Array]

    def of(self, rows: Integers) -> Churned:
        """Return some of the customers, by their positions among :attr:`rows`."""
        return replace(
            self,
            rows=self.rows[rows],
            left=self.left[rows],
            ours=self.ours[rows],
            predictions={name: p[rows] for name, p in self.predictions.items()},
        )

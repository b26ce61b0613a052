"""What happened after a snapshot: the outcomes that predictions are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
        Purchase days and their money.
    stage
        Position of the stage at the end of the horizon.
    cancelled
        Whose contract was cancelled. None where churn is no cancellation, as ``had_contract``.
    had_contract
        Who had a contract at the as_of after all: one that was open as far as was known then may
        have been cancelled, and recorded late.
    """

    orders: Array
    spend: Array
    stage: Integers
    cancelled: Flags | None = None
    had_contract: Flags | None = None


@dataclass(frozen=True)
class Churned:
    """Who could leave within a horizon, who did, and what each method predicted; one entry per
    row that could.

    Parameters
    ----------
    rows
        Rows of the snapshot.
    left
        Whether the customer left.
    ours
        Our probability of leaving.
    method
        What gave it.
    predictions
        Baseline -> its probability of leaving.
    """

    rows: Integers
    left: Flags
    ours: Array
    method: str
    predictions: Mapping[str, Array]

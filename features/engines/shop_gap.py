"""The shop's usual gap between two purchase days of a customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array, run_bounds
from stagecast.features.record import PurchaseDays

FEWEST_GAPS = 20
"""With fewer completed gaps than this, the shop's own gaps are too uncertain to be used."""

FALLBACK_GAP_DAYS = 60.0
"""Gap in days of a shop with fewer than :data:`FEWEST_GAPS` gaps."""


@dataclass(frozen=True)
class MeanGaps:
    """Mean gaps of repeat buyers.

    Parameters
    ----------
    mean
        Mean gap of each repeat buyer in days, shape (n_repeat_buyers,).
    gaps
        Number of gaps of all of them.
    """

    mean: Array
    gaps: int


def mean_gaps(days: PurchaseDays) -> MeanGaps:
    """Return the mean gap of each customer with more than one purchase day.

    Parameters
    ----------
    days
        Purchase days, ordered by customer and day.
    """
    starts, ends = run_bounds(days.customer)
    count = (ends - starts).astype(np.float64)
    repeat = count > 0
    span = (days.day[ends] - days.day[starts]).astype(np.float64)
    return MeanGaps(np.asarray(span[repeat] / count[repeat]), int(count.sum()))


def shop_gap_days(parts: Sequence[MeanGaps]) -> float:
    """Return the median of the customers' mean gaps in days.

    Parameters
    ----------
    parts
        Mean gaps of disjoint parts of the shop's customers.
    """
    if sum(part.gaps for part in parts) < FEWEST_GAPS:
        return FALLBACK_GAP_DAYS
    return float(np.median(np.concatenate([part.mean for part in parts])))

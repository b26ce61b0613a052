"""The shop's usual gap between two purchase days of a customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array, run_bounds
from stagecast.features.record import PurchaseDays

# With fewer completed gaps than this the shop's own gaps say too little; these stand in for them.
FEWEST_GAPS = 20


FALLBACK_GAP_DAYS = 60.0


@dataclass(frozen=True)
class MeanGaps:
    """The mean gap in days of each repeat buyer, and how many gaps there are among all of them."""

    mean: Array
    gaps: int


def mean_gaps(days: PurchaseDays) -> MeanGaps:
    """Return the mean gap of each customer with more than one purchase day."""
    starts, ends = run_bounds(days.customer)
    count = (ends - starts).astype(np.float64)
    repeat = count > 0
    span = (days.day[ends] - days.day[starts]).astype(np.float64)
    return MeanGaps(np.asarray(span[repeat] / count[repeat]), int(count.sum()))


def shop_gap_days(parts: Sequence[MeanGaps]) -> float:
    """Return the median over customers of their mean gap, from all parts of the customers."""
    if sum(part.gaps for part in parts) < FEWEST_GAPS:
        return FALLBACK_GAP_DAYS
    return float(np.median(np.concatenate([part.mean for part in parts])))

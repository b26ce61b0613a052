"""Learning of what is still expected of buyers whose contract is over, at past dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.training.panel import Frame

PRIOR: Final = 1.0
"""Purchases, expected and come, that are supposed beside those of past dates."""


def learned_share(
    spells: Spells, dates: Sequence[Frame], p_inactive: Callable[[Mapping[str, Array]], Array]
) -> float:
    """Return the share of the purchases expected after a contract that came, at most 1.

    The ratio of the sums over all dates, with ``PRIOR`` added to both (the posterior mean of a
    Poisson rate with a gamma prior around 1).

    Parameters
    ----------
    spells
        All contracts, as known at the as_of of the panel.
    dates
        Frames of buyers.
    p_inactive
        Columns of buyers -> P(no purchase in the horizon), shape (rows,) each.
    """
    observed = expected = PRIOR
    for frame in dates:
        rows = np.flatnonzero(_over_at(spells, frame))
        if not len(rows):
            continue
        frame = frame.of(rows)
        observed += float((~frame.inactive).sum())
        expected += float((1.0 - p_inactive(frame.columns)).sum())
    return min(observed / expected, 1.0)


def _over_at(spells: Spells, frame: Frame) -> NDArray[np.bool_]:
    """Return whether a contract of each row of a frame is over, and none open, shape (rows,)."""
    at = spells.as_of - frame.back * DAY_MICROSECONDS
    began = spells.start < at
    is_open = began & (spells.end >= at)
    customers = len(spells.customers)
    had = np.bincount(spells.customer[began], minlength=customers)[frame.customer] > 0
    has = np.bincount(spells.customer[is_open], minlength=customers)[frame.customer] > 0
    return np.asarray(had & ~has)

"""How long customers stay on a stage: restricted mean of the product-limit estimate, and each
customer's part in it.

The mean stay is cut at a limit, because nobody is seen for longer than the window, and the far tail
of the estimate rests on a handful of spells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.effectiveness.windows import Window
from stagecast.features.stages.journeys import Journeys
from stagecast.features.stages.thresholds import survival


@dataclass(frozen=True)
class Stay:
    """Mean days on a stage within a limit, and how far each customer moves it.

    ``mean_days`` is NaN where it cannot be told: no spell was seen up to the limit and not all had
    ended before it. ``influence`` has one value per customer: by how much the mean moves, to first
    order, if that customer were there once more. ``customers`` counts those with a spell.
    """

    mean_days: float
    influence: Array
    customers: int


def spell_ends(journeys: Journeys) -> NDArray[np.int64]:
    """Return when each spell ends, in microseconds since 1970; the largest integer for each
    customer's last.
    """
    ends = np.full(len(journeys.start), np.iinfo(np.int64).max, dtype=np.int64)
    followed = np.flatnonzero(journeys.customer[1:] == journeys.customer[:-1])
    ends[followed] = journeys.start[followed + 1]
    return ends


def stay(
    journeys: Journeys,
    ends: NDArray[np.int64],
    stage: int,
    window: Window,
    limit_days: float,
    customers: int,
) -> Stay:
    """Return how long customers stay on a stage, from the spells that begin in a window.

    A spell that goes on at the window's end is cut off there, so that windows of one length are
    observed alike.

    Parameters
    ----------
    journeys, ends, stage
        Spells, where each ends (:func:`spell_ends`), and a position in the stages of their scheme.
    limit_days
        Days up to which a stay counts; a longer one counts as this.
    customers
        How many there are in all.
    """
    start, end = window.start * DAY_MICROSECONDS, window.end * DAY_MICROSECONDS
    here = np.flatnonzero(
        (journeys.stage == stage) & (journeys.start >= start) & (journeys.start < end)
    )
    # one that ends at the window's end itself was not seen to end
    ended = ends[here] < end
    seen_days = (np.minimum(ends[here], end) - journeys.start[here]) / DAY_MICROSECONDS
    mean_days, moved = restricted_mean(seen_days, ended, limit_days)
    influence = np.asarray(
        np.bincount(journeys.customer[here], weights=moved, minlength=customers), dtype=np.float64
    )
    whose = journeys.customer[here]
    return Stay(mean_days, influence, int(np.count_nonzero(np.diff(whose, prepend=-1))))


def restricted_mean(days: Array, ended: NDArray[np.bool_], limit: float) -> tuple[float, Array]:
    """Return the mean of durations cut at a limit, of which some were seen only in part, and each
    one's influence.

    Parameters
    ----------
    days, ended
        Length of each spell as far as it was seen, and whether it was seen to end.
    limit
        In days.

    Returns
    -------
    float
        Area under the product-limit estimate up to the limit; NaN where that is not known so far.
    numpy.ndarray
        Derivative of it by the weight of each spell. They add up to zero, and their squares to the
        variance of the mean after Greenwood (1926).

    Source: Kaplan and Meier (1958), section 4; Efron (1982), "The Jackknife, the Bootstrap and
    Other Resampling Plans", chapter 6, for the derivative ("infinitesimal jackknife").

    >>> mean, influence = restricted_mean(np.array([1.0, 3.0]), np.array([True, True]), 2.0)
    >>> mean, influence.tolist()
    (1.5, [-0.25, 0.25])
    """
    ended = ended & (days <= limit)
    days = np.minimum(days, limit)
    if not len(days) or (days.max() < limit and not ended[days == days.max()].all()):
        return float("nan"), np.zeros(len(days))
    if not ended.any():
        return float(limit), np.zeros(len(days))
    times, alive = survival(days[ended], days[~ended])
    steps = np.diff(np.r_[times, limit]) * alive
    # area under the curve to the right of each time
    beyond = np.cumsum(steps[::-1])[::-1]
    ordered = np.sort(days)
    at_risk = len(days) - np.searchsorted(ordered, times, side="left")
    ends = np.unique(days[ended], return_counts=True)[1]
    left = at_risk - ends
    # where all who were at risk ended there is nothing beyond, and no weight can change that
    per_end = np.divide(beyond, left, out=np.zeros(len(times)), where=left > 0)
    passed = np.r_[0.0, np.cumsum(per_end * ends / at_risk)]
    influence = passed[np.searchsorted(times, days, side="right")]
    influence[ended] -= per_end[np.searchsorted(times, days[ended])]
    return float(times[0] + steps.sum()), influence

"""Time on a stage: restricted mean of the product-limit estimate, and customers' influence on it.

The mean stay is cut at a limit, because nobody is observed for longer than the window, and the tail
of the estimate rests on a few spells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.describe.effectiveness.windows import Window
from stagecast.features.stages.journeys import Journeys
from stagecast.features.survival import survival


@dataclass(frozen=True)
class Stay:
    """Mean days on a stage within a limit, and the influence of each customer on it.

    Parameters
    ----------
    mean_days
        NaN if it is unknown: no spell was observed up to the limit, and not all ended before.
    influence
        Change of the mean, to first order, if the customer were there once more, shape
        (n_customers,).
    customers
        Number of customers with a spell.
    """

    mean_days: float
    influence: Array
    customers: int


def spell_ends(journeys: Journeys) -> NDArray[np.int64]:
    """Return when each spell ends, in microseconds since 1970, UTC.

    It is the largest integer for the last spell of each customer.
    """
    ends = np.full(len(journeys.start), np.iinfo(np.int64).max, dtype=np.int64)
    has_next = np.flatnonzero(journeys.customer[1:] == journeys.customer[:-1])
    ends[has_next] = journeys.start[has_next + 1]
    return ends


def mean_stay(
    journeys: Journeys,
    ends: NDArray[np.int64],
    stage: int,
    window: Window,
    limit_days: float,
    customers: int,
) -> Stay:
    """Return how long customers stay on a stage, from the spells that begin in a window.

    A spell that lasts beyond the window's end is censored there, so that windows of the same length
    are comparable.

    Parameters
    ----------
    journeys, ends
        Spells, and the result of :func:`spell_ends`.
    stage
        Position in the stages of the scheme.
    window
        Days in which the spells begin.
    limit_days
        Longer stays count as this number of days.
    customers
        Number of customers in all.
    """
    start, end = window.start * DAY_MICROSECONDS, window.end * DAY_MICROSECONDS
    spells = np.flatnonzero(
        (journeys.stage == stage) & (journeys.start >= start) & (journeys.start < end)
    )
    # a spell that ends exactly at the window's end is censored
    ended = ends[spells] < end
    observed_days = (np.minimum(ends[spells], end) - journeys.start[spells]) / DAY_MICROSECONDS
    mean_days, spell_influence = restricted_mean(observed_days, ended, limit_days)
    influence = np.asarray(
        np.bincount(journeys.customer[spells], weights=spell_influence, minlength=customers),
        dtype=np.float64,
    )
    spell_customer = journeys.customer[spells]
    return Stay(mean_days, influence, int(np.count_nonzero(np.diff(spell_customer, prepend=-1))))


def restricted_mean(days: Array, ended: NDArray[np.bool_], limit: float) -> tuple[float, Array]:
    """Return the mean of durations cut at a limit, some of them censored, and their influence.

    Parameters
    ----------
    days, ended
        Observed length of each spell in days, and whether its end was observed, shape (n_spells,).
    limit
        In days.

    Returns
    -------
    float
        Area under the product-limit estimate up to the limit; NaN if it is not known that far.
    numpy.ndarray
        Derivative of the mean by the weight of each spell, shape (n_spells,). They add up to zero,
        and their squares to the variance of the mean after Greenwood (1926).

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
    times, probability = survival(days[ended], days[~ended])
    steps = np.diff(np.r_[times, limit]) * probability
    # area under the curve to the right of each time
    area_after = np.cumsum(steps[::-1])[::-1]
    ordered = np.sort(days)
    at_risk = len(days) - np.searchsorted(ordered, times, side="left")
    end_counts = np.unique(days[ended], return_counts=True)[1]
    survivors = at_risk - end_counts
    # where all spells at risk ended, the area after is 0 whatever the weights
    per_end = np.divide(area_after, survivors, out=np.zeros(len(times)), where=survivors > 0)
    accumulated = np.r_[0.0, np.cumsum(per_end * end_counts / at_risk)]
    influence = accumulated[np.searchsorted(times, days, side="right")]
    influence[ended] -= per_end[np.searchsorted(times, days[ended])]
    return float(times[0] + steps.sum()), influence

"""The peaks of a log that is too young to show a season, and what is expected of them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.learners.blend import CARRIED, carried_share
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.fit_season import PRIOR_ORDERS, came_and_usual
from stagecast.training.learners.pace_of_log import PART_DAYS, PaceOfLog
from stagecast.training.learners.season_of_purchases import BINS

FEWEST_ORDERS: Final = 10.0
"""Usual orders of a part, and orders of all ordinary parts, with which they can be told."""
ERRORS: Final = 4.0
LEAST_PACE: Final = 1.5
"""Standard errors and pace beyond which a part is a peak."""
ERRORS_BESIDE: Final = 2.0
LEAST_BESIDE: Final = 1.2
"""The same of the parts beside a peak, which it may reach into."""
LONGEST: Final = 7
"""Parts of a peak at most; where many orders last longer, the shop has grown."""
MOST: Final = 1.0 / 3.0
"""Share of the parts that are peaks at most: what is usual is no peak."""
LEAST_SPREAD: Final = 0.1
"""Least standard deviation, in logs, of ordinary parts beyond chance."""


def pace_of_log(
    days: PurchaseDays, as_of_day: float, history_days: float, model: Model
) -> PaceOfLog | None:
    """Return the pace of a log in which a peak is over; None where there is none.

    What came in each part is compared with what customers of those ages usually order, by the
    model. A peak is what stands out of the ordinary parts beyond chance and is over; what has
    lasted up to the as_of may go on. Of the pace of the same weeks in the years before, as far as
    the log holds them, a share is expected again: that of a level of one year, and more where two
    agree.

    Parameters
    ----------
    days
        The purchase days, ordered by customer and day.
    as_of_day
        The as_of as a day number (days since 1970).
    history_days
        Days of the log before the as_of.
    model
        Model of the purchases of these customers with random gaps.
    """
    parts = int(history_days // PART_DAYS)
    if parts < LONGEST:
        return None
    came, usual = came_and_usual(days, as_of_day, parts, model)
    is_known = usual >= FEWEST_ORDERS
    if is_known.sum() < LONGEST:
        return None
    log_pace = np.log((came + PRIOR_ORDERS) / (usual + PRIOR_ORDERS))
    peak = np.zeros(parts, dtype=np.bool_)
    for _ in range(3):  # without its peaks, what is ordinary is lower
        peaks = _peaks(log_pace, usual, is_known, is_known & ~peak)
        if np.array_equal(peaks, peak):
            break
        peak = peaks
    if not peak.any() or peak.sum() > MOST * is_known.sum():
        return None
    calm = is_known & ~peak
    if came[calm].sum() < FEWEST_ORDERS:  # a shop that sells at one time alone has no other days
        return None
    ordinary = float(np.log(came[calm].sum() / max(usual[calm].sum(), 1e-9)))
    excess = (came + PRIOR_ORDERS) / (usual * np.exp(ordinary) + PRIOR_ORDERS)
    past = np.where(peak, np.maximum(excess, 1.0), 1.0)
    return PaceOfLog(tuple(map(float, past)), _ahead(past, usual), as_of_day)


def _peaks(
    log_pace: Array, usual: Array, is_known: NDArray[np.bool_], calm: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which parts are of a peak that is over, given the ordinary ones, shape (parts,)."""
    ordinary = float(np.median(log_pace[calm]))
    chance = 1.0 / (usual * np.exp(ordinary) + PRIOR_ORDERS)
    spread = 1.4826 * float(np.median(np.abs(log_pace[calm] - ordinary)))
    beyond = max(spread**2 - float(np.median(chance[calm])), LEAST_SPREAD**2)
    excess, error = log_pace - ordinary, np.sqrt(chance + beyond)
    core = is_known & (excess > np.maximum(ERRORS * error, np.log(LEAST_PACE)))
    beside = is_known & (excess > np.maximum(ERRORS_BESIDE * error, np.log(LEAST_BESIDE)))
    peak = np.zeros(len(log_pace), dtype=np.bool_)
    for start, stop in _runs(beside | core):
        if core[start:stop].any() and start > 0 and stop - start <= LONGEST:
            peak[start:stop] = True
    return peak


def _runs(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the begin and the end of each run of chosen parts.

    >>> _runs(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _ahead(past: Array, usual: Array) -> tuple[float, ...]:
    """Return what is expected of each part of the year ahead, from the same parts of the past."""
    ahead = []
    for part in range(BINS):
        same = np.arange(BINS - 1 - part, len(past), BINS)
        logs, known = np.log(past[same]), usual[same] + 1.0
        if not logs.any():
            ahead.append(1.0)
            continue
        mean = float(np.average(logs, weights=known))
        ahead.append(
            float(np.exp(carried_share(CARRIED, logs.tolist(), known=known.tolist()) * mean))
        )
    return tuple(ahead)

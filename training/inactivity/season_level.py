"""The level of P(no purchase) in a shop with a season: by past years, and by a model of the season.

The pool at the same time of past years says how far it is off there. What the pool is off by is
what its members do not know of the season, and they know more with each year: a customer base that
has seen one summer without sales takes everybody for gone, and after three it does not. Their
shifts then are no level of the season but steps on a way, and their mean is too large. A model of
the season itself (:mod:`stagecast.training.learners.btyd.seasonal_pareto`) needs no such shift, and
says what it is off by at the same dates. It takes the place of past years as far as it did better
there than these agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.columns import rows_of
from stagecast.training.learners.blend import PRIOR_YEARS, information_of, level_shift
from stagecast.training.learners.customer_base import log_odds
from stagecast.training.panel import Frame

MAX_CUSTOMERS: Final = 5_000
"""About how many customers of a date the level is worked out on."""
PRIOR_SPREAD: Final = 0.15
"""What either is supposed to be off by before a date tells, in log odds, as by ``PRIOR_YEARS``."""
LEVEL_SPREAD: Final = 0.1
"""Spread among logs, in log odds, of the level that a model of the season misses every year."""

NoneBySeason = Callable[[Mapping[str, Array]], Array]
"""Returns P(no purchase in the horizon) of buyers of a date by the model of the season, (rows,)."""


def towards_season(
    level: float,
    shifts: Sequence[float],
    seasons: Sequence[Frame],
    none_by_season: NoneBySeason,
    margin_now: Callable[[Mapping[str, Array]], Array],
    current: Mapping[str, Array],
) -> tuple[float, float]:
    """Return the level of the pool, moved to the model of the season, and how far it is, 0 to 1.

    Parameters
    ----------
    level
        The level that past years say, in log odds.
    shifts
        By how much the pool was off at the same time of each of them, in log odds.
    seasons
        Frames of these dates, as many.
    none_by_season
        P(no purchase) by the model of the season.
    margin_now
        Log odds of the pool without its level.
    current
        Columns of the buyers at the as_of, or of a sample of them, shape (rows,) each.
    """
    own = np.array([_own_shift(frame, none_by_season) for frame in seasons])
    information = sum(information_of(frame.inactive) for frame in seasons)
    missed = float(own.mean()) * information / (information + 1.0 / LEVEL_SPREAD**2)
    sample = _sampled(current)
    ahead = expit(log_odds(none_by_season(sample)) + missed)
    wanted = level_shift(margin_now(sample), ahead)
    share = share_of_season(shifts, own)
    return level + share * (wanted - level), share


def share_of_season(shifts: Sequence[float], own: Sequence[float] | Array) -> float:
    """Return the share of the model of the season in the level, 0 to 1.

    None where the model did no better at the dates of past years than these agree, and what of
    their mean square error it does not make where it did better.

    Parameters
    ----------
    shifts
        By how much the pool was off at each date, in log odds; at least one.
    own
        By how much the model was off at the same dates.

    >>> round(share_of_season([-0.7, -1.1, -3.1], [0.2, -0.1, 0.0]), 2)  # they do not agree
    0.98
    >>> round(share_of_season([-0.5, -0.6], [-0.1, 0.0]), 2)
    0.17
    >>> share_of_season([-0.5, -0.5], [-0.4, -0.5])  # the model is off as well
    0.0
    """
    prior, n = PRIOR_YEARS * PRIOR_SPREAD**2, len(shifts)
    around = np.asarray(shifts) - np.mean(shifts)
    of_years = (prior + float(around @ around)) / (PRIOR_YEARS + n - 1)
    of_model = (prior + float(np.square(own).sum())) / (PRIOR_YEARS + n)
    return max(0.0, 1.0 - of_model / of_years)


def _own_shift(frame: Frame, none_by_season: NoneBySeason) -> float:
    """Return by how much the model of the season is off at a date, in log odds."""
    rows = _every(len(frame))
    return level_shift(log_odds(none_by_season(rows_of(frame.columns, rows))), frame.inactive[rows])


def _sampled(columns: Mapping[str, Array]) -> Mapping[str, Array]:
    return rows_of(columns, _every(len(columns["T_days"])))


def _every(rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return every k-th of so many rows."""
    return np.arange(0, rows, max(1, -(-rows // MAX_CUSTOMERS)))

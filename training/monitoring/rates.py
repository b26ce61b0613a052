"""Events per day: by what factor they changed, what chance explains, and since which day."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from stagecast.features.arrays import Array

WEEK = 7
FEWEST_WEEKS = 2
"""Shorter windows are not compared."""
ABRUPT = 0.6
"""A change is abrupt where this share of it, in logarithms, comes from one week to the next."""
NEAR_WEEKS = 2
_HALF = 0.5


@dataclass(frozen=True)
class RateChange:
    """Events per day in two windows.

    Parameters
    ----------
    before, now
        Events per day in the reference and in the current window.
    factor
        ``now`` over ``before``, with half an event added to each count.
    low, high
        Its interval: a factor of 1 lies outside it by chance with probability ``alpha`` where
        the rate did not change, and weeks vary as they do within the windows.
    """

    before: float
    now: float
    factor: float
    low: float
    high: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the factor differs from 1 by more than chance explains."""
        return not self.low <= 1.0 <= self.high


def weekly(daily: Array) -> Array:
    """Return sums of whole weeks, counted back from the last day, oldest first.

    >>> weekly(np.ones(16)).tolist()
    [7.0, 7.0]
    """
    weeks = len(daily) // WEEK
    return np.asarray(daily[len(daily) - WEEK * weeks :].reshape(weeks, WEEK).sum(axis=1))


def rate_change(before: Array, now: Array, alpha: float) -> RateChange | None:
    """Return how the rate of two windows differs; None where either is too short.

    Parameters
    ----------
    before, now
        Events of each day, shape (days,) each; whole weeks are compared.
    alpha
        Chance that a factor of 1 lies outside the interval.
    """
    weeks = [weekly(before), weekly(now)]
    if min(map(len, weeks)) < FEWEST_WEEKS:
        return None
    totals = [float(part.sum()) + _HALF for part in weeks]
    freedom = sum(len(part) - 1 for part in weeks)
    # variance of a week over its mean: 1 for a Poisson count, more where weeks vary more
    excess = sum(float(part.var() * len(part) / max(part.mean(), _HALF)) for part in weeks)
    spread = math.sqrt(max(1.0, excess / freedom) * sum(1 / total for total in totals))
    days = [WEEK * len(part) for part in weeks]
    ratio = math.log(totals[1] / days[1]) - math.log(totals[0] / days[0])
    reach = float(student.ppf(1 - alpha / 2, freedom)) * spread
    return RateChange(
        *(float(part.sum()) / length for part, length in zip(weeks, days, strict=True)),
        *(math.exp(at) for at in (ratio, ratio - reach, ratio + reach)),
    )


def changed_since(daily: Array) -> int | None:
    """Return the first day of a lasting, abrupt change of a level; None where there is none.

    The day splits the counts into the two parts with the highest likelihood of Poisson counts of
    constant rate each. The change is abrupt where most of it comes from the two weeks before that
    day to the two after it; a slow change has no day.

    Parameters
    ----------
    daily
        Events of consecutive days, shape (days,).

    >>> changed_since(np.r_[np.full(30, 10.0), np.full(30, 2.0)])
    30
    """
    days = len(daily)
    if days < 2 * FEWEST_WEEKS * WEEK or not daily.sum():
        return None
    length = np.arange(1.0, days)
    left = np.cumsum(daily)[:-1]
    right = daily.sum() - left

    def likelihood(count: Array, span: Array) -> Array:
        return np.asarray(count * np.log(np.maximum(count, _HALF) / span))

    score = likelihood(left, length) + likelihood(right, days - length)
    margin = FEWEST_WEEKS * WEEK // 2
    inner = score[margin - 1 : days - margin]
    day = int(margin + np.argmax(inner))
    near = NEAR_WEEKS * WEEK
    whole = _log_ratio(daily[:day], daily[day:])
    step = _log_ratio(daily[max(0, day - near) : day], daily[day : day + near])
    if abs(whole) < math.log(1.25) or step / whole < ABRUPT:
        return None
    return day


def _log_ratio(before: Array, now: Array) -> float:
    return math.log((float(now.sum()) + _HALF) / len(now)) - math.log(
        (float(before.sum()) + _HALF) / len(before)
    )

"""The hazard of a cancellation by age, fitted: a life table of days, smoothed where it is thin."""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Spells
from stagecast.training.cancellation.ages import _LEAST, _MOST, AgeHazard

FEWEST_IN_GROUP = 5
"""Cancellations, seen or expected at the rate of all ages, that a group of days needs to stand
on its own.
"""


def life_table(spells: Spells) -> tuple[Integers, Integers]:
    """Return, for each day of age, how many contracts were at risk on it and how many were
    cancelled on it.

    Only days that were over before the as_of count; day ``a`` is ``[start + a, start + a + 1)``, in
    days of 24 hours.

    Returns
    -------
    at_risk, cancelled
        One entry per day of age from 0 on, shape (longest age seen,).
    """
    seen = (spells.as_of - spells.start) // DAY_MICROSECONDS
    lasted = np.where(
        spells.end == NEVER, NEVER, (np.minimum(spells.end, spells.as_of) - spells.start)
    )
    over = np.where(spells.end == NEVER, seen, lasted // DAY_MICROSECONDS)
    cancelled = (spells.end != NEVER) & (over < seen)
    days = np.where(cancelled, over + 1, np.minimum(over, seen))
    most = int(days.max()) if len(days) else 0
    # a spell of so many days was at risk on each of them
    lengths = np.bincount(days, minlength=most + 1)
    at_risk = (len(days) - np.cumsum(lengths))[:most]
    return at_risk.astype(np.int64), np.bincount(over[cancelled], minlength=most).astype(np.int64)[
        :most
    ]


def fit_ages(spells: Spells, horizon_days: int, *, by_age: bool = True) -> AgeHazard:
    """Fit the hazard by age on everything known before the as_of.

    Parameters
    ----------
    spells
        With their as_of.
    horizon_days
        Half a cancellation in two horizons is what is expected where nothing was seen.
    by_age
        False: one rate for all ages, the smoothed share.
    """
    at_risk, cancelled = life_table(spells)
    share = (float(cancelled.sum()) + 0.5) / (float(at_risk.sum()) + 2.0 * horizon_days)
    edges = _edges(at_risk, cancelled) if by_age else []
    starts = np.array([0, *edges])
    if not len(at_risk):
        return AgeHazard((), (share,))
    risk, hits = np.add.reduceat(at_risk, starts), np.add.reduceat(cancelled, starts)
    rates, before = [], share
    for n, d in zip(risk.tolist(), hits.tolist(), strict=True):
        # no stronger than at the average rate: days without any would hold down a renewal that
        # follows them
        strength = min(1.0 / before, 1.0 / share)
        before = min(max((d + before * strength) / (n + strength), _LEAST * share), _MOST)
        rates.append(before)
    return AgeHazard(tuple(edges), tuple(rates) if edges else (min(share, _MOST),))


def _edges(at_risk: Integers, cancelled: Integers) -> list[int]:
    """Return the days at which a new group begins, so that each has enough to tell its rate."""
    risks, hits = np.r_[0, np.cumsum(at_risk)], np.r_[0, np.cumsum(cancelled)]
    last = len(at_risk)
    edges, first = [], 0

    def enough(low: int, high: int) -> bool:
        # where many were expected, to see few is as telling as to see many: it parts a renewal from
        # the days before it
        expected = hits[-1] / risks[-1] * (risks[high] - risks[low])
        return bool(max(hits[high] - hits[low], expected) >= FEWEST_IN_GROUP)

    for day in range(1, last):
        if enough(first, day) and enough(day, last):
            edges.append(day)
            first = day
    return edges

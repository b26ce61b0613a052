"""Fitting of the hazard of a cancellation by age: a life table of days, smoothed."""

from __future__ import annotations

import numpy as np

from stagecast.features.arrays import Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Spells
from stagecast.training.cancellation.ages import _MAX_RATE, _MIN_RATE_SHARE, AgeHazard

FEWEST_IN_GROUP = 5
"""Least number of cancellations, observed or expected at the average rate, in a group of days."""


def life_table(spells: Spells) -> tuple[Integers, Integers]:
    """Return the number of contracts at risk and of cancellations on each day of age.

    Only days that ended before the as_of count; day ``a`` is ``[start + a, start + a + 1)``, in
    days of 24 hours.

    Returns
    -------
    at_risk, cancelled
        One entry per day of age from 0 on, shape (longest observed age,).
    """
    days_observed = (spells.as_of - spells.start) // DAY_MICROSECONDS
    duration = np.where(
        spells.end == NEVER, NEVER, (np.minimum(spells.end, spells.as_of) - spells.start)
    )
    days_completed = np.where(spells.end == NEVER, days_observed, duration // DAY_MICROSECONDS)
    cancelled = (spells.end != NEVER) & (days_completed < days_observed)
    days = np.where(cancelled, days_completed + 1, np.minimum(days_completed, days_observed))
    longest = int(days.max()) if len(days) else 0
    # a spell is at risk on each of its days
    lengths = np.bincount(days, minlength=longest + 1)
    at_risk = (len(days) - np.cumsum(lengths))[:longest]
    return at_risk.astype(np.int64), np.bincount(
        days_completed[cancelled], minlength=longest
    ).astype(np.int64)[:longest]


def fit_ages(spells: Spells, horizon_days: int, *, by_age: bool = True) -> AgeHazard:
    """Fit the hazard by age on everything known before the as_of.

    Parameters
    ----------
    spells
        All contracts, with their as_of.
    horizon_days
        Smoothing of the average rate, in days: half a cancellation in two horizons is added.
    by_age
        False fits one rate for all ages, the smoothed share.
    """
    at_risk, cancelled = life_table(spells)
    share = (float(cancelled.sum()) + 0.5) / (float(at_risk.sum()) + 2.0 * horizon_days)
    edges = _edges(at_risk, cancelled) if by_age else []
    starts = np.array([0, *edges])
    if not len(at_risk):
        return AgeHazard((), (share,))
    risk, hits = np.add.reduceat(at_risk, starts), np.add.reduceat(cancelled, starts)
    rates, rate = [], share
    for n, d in zip(risk.tolist(), hits.tolist(), strict=True):
        # no stronger than at the average rate: days without cancellations would lower the rate of a
        # renewal that follows them
        strength = min(1.0 / rate, 1.0 / share)
        rate = min(max((d + rate * strength) / (n + strength), _MIN_RATE_SHARE * share), _MAX_RATE)
        rates.append(rate)
    return AgeHazard(tuple(edges), tuple(rates) if edges else (min(share, _MAX_RATE),))


def _edges(at_risk: Integers, cancelled: Integers) -> list[int]:
    """Return the days at which a new group begins, so that each has enough cancellations."""
    cumulative_risk, cumulative_hits = np.r_[0, np.cumsum(at_risk)], np.r_[0, np.cumsum(cancelled)]
    end = len(at_risk)
    edges, first = [], 0

    def has_enough(low: int, high: int) -> bool:
        # few cancellations where many are expected are as informative as many: they separate a
        # renewal from the days before it
        expected = (
            cumulative_hits[-1]
            / cumulative_risk[-1]
            * (cumulative_risk[high] - cumulative_risk[low])
        )
        return bool(max(cumulative_hits[high] - cumulative_hits[low], expected) >= FEWEST_IN_GROUP)

    for day in range(1, end):
        if has_enough(first, day) and has_enough(day, end):
            edges.append(day)
            first = day
    return edges

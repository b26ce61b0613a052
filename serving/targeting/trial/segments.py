"""The effect by play, stage or band, each shrunk to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval

GRID = 400
STEPS = 60


@dataclass(frozen=True)
class Segment:
    """The effect within one segment.

    Parameters
    ----------
    label
        Name of the play, stage or band.
    contacted, held_out
        Numbers of customers.
    alone
        Effect per contacted customer from this segment alone; None if it is too small for one.
    shrunk
        The same, shrunk to the whole; the one to read.
    """

    label: str
    contacted: int
    held_out: int
    alone: Interval | None
    shrunk: Interval


@dataclass(frozen=True)
class Shrunk:
    """Effects shrunk to their mean.

    Parameters
    ----------
    effects
        Shape (k,), one per estimate.
    unknown
        Interval of a segment of the same kind that has no estimate of its own.
    between_sd
        Posterior median of the standard deviation of the true effects.
    """

    effects: tuple[Interval, ...]
    unknown: Interval
    between_sd: float


def shrink(effects: Array, standard_errors: Array, level: float = LEVEL) -> Shrunk:
    """Shrink effects to their mean by as much as they differ beyond chance.

    True effects are normal around a mean; how much they differ (tau) is averaged over rather than
    plugged in, so that the intervals hold what is not known of it, which with the three or four
    segments of a campaign is nearly all. The mean has a flat prior, tau the weakly informative one
    s / (s + tau)^2, with s^2 the harmonic mean of the squared standard errors.

    Parameters
    ----------
    effects, standard_errors
        Shape (k,), k at least 1; standard errors above 0.
    level
        Probability that an interval holds.

    Source: Gelman et al. (2013), Bayesian Data Analysis, equations 5.17, 5.20 and 5.21; prior of
    tau: DuMouchel, in Spiegelhalter, Abrams and Myles (2004), section 5.7.3.
    """
    variance = standard_errors**2
    scale = float(np.sqrt(len(variance) / np.sum(1 / variance)))
    rank = (np.arange(GRID) + 0.5) / GRID  # equal steps of the prior's distribution function
    tau2 = (scale * rank / (1 - rank)) ** 2
    total = variance[:, None] + tau2
    precision = np.sum(1 / total, axis=0)
    mean = np.sum(effects[:, None] / total, axis=0) / precision
    log_weight = -0.5 * (
        np.log(precision) + np.sum(np.log(total) + (effects[:, None] - mean) ** 2 / total, axis=0)
    )
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    pull = variance[:, None] / total
    centre = pull * mean + (1 - pull) * effects[:, None]
    spread = np.sqrt((1 - pull) * variance[:, None] + pull**2 / precision)
    centres = np.vstack([centre, mean])
    spreads = np.vstack([spread, np.sqrt(tau2 + 1 / precision)])
    low, high = (_quantile(centres, spreads, weight, q) for q in ((1 - level) / 2, (1 + level) / 2))
    estimate = centres @ weight
    intervals = [
        Interval(float(e), float(a), float(b)) for e, a, b in zip(estimate, low, high, strict=True)
    ]
    median = int(np.searchsorted(np.cumsum(weight), 0.5))
    return Shrunk(tuple(intervals[:-1]), intervals[-1], float(np.sqrt(tau2[median])))


def _quantile(centre: Array, spread: Array, weight: Array, probability: float) -> Array:
    """Return a quantile of mixtures of normal distributions, one a row, by bisection."""
    from scipy.special import ndtr  # a read-out needs it, the start of the server does not

    low = (centre - 40 * spread).min(axis=1)
    high = (centre + 40 * spread).max(axis=1)
    for _ in range(STEPS):
        middle = (low + high) / 2
        below = ndtr((middle[:, None] - centre) / spread) @ weight < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(high, dtype=np.float64)


def by_segment(
    outcome: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None,
    labels: Sequence[str],
    *,
    level: float = LEVEL,
) -> tuple[Segment, ...]:
    """Estimate the effect within each segment, and shrink the segments to the whole.

    Parameters
    ----------
    outcome, contacted, stratum, covariates, level
        As in :func:`stagecast.serving.targeting.trial.effect.effect_of`.
    labels
        Segment of each customer, shape (n,).

    Returns
    -------
    tuple of Segment
        In the order of the labels; empty if no segment has an estimate.
    """
    label = np.asarray(labels, dtype=object)
    names = sorted(set(labels))
    alone: dict[str, tuple[Interval, float]] = {}
    for name in names:
        rows = label == name
        try:
            effect = effect_of(
                outcome[rows],
                contacted[rows],
                stratum[rows],
                None if covariates is None else covariates[rows],
                level=level,
            )
        except NotEnoughDataError:
            continue  # too small for an estimate of its own: it gets that of the whole
        alone[name] = effect.per_customer, effect.standard_error
    if not alone:
        return ()
    shrunk = shrink(
        np.array([interval.estimate for interval, _ in alone.values()]),
        np.array([error for _, error in alone.values()]),
        level,
    )
    own = dict(zip(alone, shrunk.effects, strict=True))
    return tuple(
        Segment(
            name,
            int(contacted[label == name].sum()),
            int((~contacted[label == name]).sum()),
            alone[name][0] if name in alone else None,
            own.get(name, shrunk.unknown),
        )
        for name in names
    )

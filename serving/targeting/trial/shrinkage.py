"""Effects of one kind shrunk to their mean by as much as they differ beyond chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval

PRIOR_SCALE = 4.0
GRID = 300
STEPS = 50


@dataclass(frozen=True)
class Shrunk:
    """Effects shrunk to their mean.

    Parameters
    ----------
    effects
        Shape (k,), one per estimate.
    unknown
        Interval for the true effect of one more of the same kind, of which nothing is measured.
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
    s / (s + tau)^2 with s four times the root mean square of the standard errors: so wide that the
    intervals hold also where the effects differ much more than their errors.

    Parameters
    ----------
    effects, standard_errors
        Shape (k,), k at least 1; standard errors above 0.
    level
        Probability that an interval holds.

    Source: Gelman et al. (2013), Bayesian Data Analysis, equations 5.17, 5.20 and 5.21; form of
    the prior of tau: DuMouchel, in Spiegelhalter, Abrams and Myles (2004), section 5.7.3.
    """
    variance = standard_errors**2
    scale = PRIOR_SCALE * float(np.sqrt(np.mean(variance)))
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

    low, high = (centre - 10 * spread).min(axis=1), (centre + 10 * spread).max(axis=1)
    for _ in range(STEPS):
        middle = (low + high) / 2
        below = ndtr((middle[:, None] - centre) / spread) @ weight < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(high, dtype=np.float64)

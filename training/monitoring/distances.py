"""How far a sample has moved from another: population stability index and Wasserstein distance,
each with what two samples of the same population show by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from stagecast.features.arrays import Array, Integers

BINS = 10
ROWS_PER_BIN = 40
"""With fewer the index exceeds its chance level more often than it should."""
FEWEST_ROWS = ROWS_PER_BIN
"""Samples of fewer rows are not compared."""
_SMOOTHING = 0.5
_NORMAL_IQR = 1.349


@dataclass(frozen=True)
class Distance:
    """How far two samples are apart.

    Parameters
    ----------
    psi
        Population stability index, the symmetric Kullback-Leibler divergence over bins (nats).
    psi_by_chance
        What it exceeds with the chance ``alpha`` where both are samples of the same population.
    wasserstein
        Wasserstein-1 distance over the spread of the reference; None for categories, and where the
        reference does not vary.
    wasserstein_by_chance
        Its mean where both are samples of the same population.
    """

    psi: float
    psi_by_chance: float
    wasserstein: float | None = None
    wasserstein_by_chance: float | None = None

    @property
    def beyond_chance(self) -> bool:
        """Whether the index is larger than chance explains."""
        return self.psi > self.psi_by_chance


def numbers_apart(
    reference: Array, current: Array, alpha: float, sizes: tuple[float, float] | None = None
) -> Distance | None:
    """Return how far two samples of a number are apart; None where either is too small.

    Bins are quantiles of the reference; missing values are a bin of their own.

    Parameters
    ----------
    reference, current
        The samples, shapes (n,) and (m,); NaN is a missing value.
    alpha
        Chance of a larger index in samples of the same population, such as 0.05 over the number of
        comparisons.
    sizes
        Numbers of independent rows where these are fewer than n and m, see
        :func:`independent_rows`.
    """
    n, m = sizes or (float(len(reference)), float(len(current)))
    if min(n, m) < FEWEST_ROWS:
        return None
    known, now = reference[np.isfinite(reference)], current[np.isfinite(current)]
    edges = _edges(known, int(np.clip(min(n, m) // ROWS_PER_BIN, 2, BINS)))
    counts = [
        np.append(np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1), missing)
        for part, missing in (
            (known, len(reference) - len(known)),
            (now, len(current) - len(now)),
        )
    ]
    psi, by_chance = _index(counts[0], counts[1], n, m, alpha)
    spread = _spread(known)
    if spread == 0 or not len(now):
        return Distance(psi, by_chance)
    share = 1 / n + 1 / m
    return Distance(
        psi,
        by_chance,
        wasserstein(known, now) / spread,
        float(np.sqrt(2 / np.pi * share)) * _width(np.concatenate([known, now])) / spread,
    )


def categories_apart(
    reference: NDArray[np.object_], current: NDArray[np.object_], alpha: float
) -> Distance | None:
    """Return how far two samples of a category are apart; None where either is too small.

    Parameters
    ----------
    reference, current
        Texts, shapes (n,) and (m,); None is a category of its own.
    alpha
        As of :func:`numbers_apart`.
    """
    n, m = len(reference), len(current)
    if min(n, m) < FEWEST_ROWS:
        return None
    names = sorted({str(name) for name in (*reference, *current)})
    place = {name: k for k, name in enumerate(names)}
    counts = [
        np.bincount([place[str(name)] for name in part], minlength=len(names))
        for part in (reference, current)
    ]
    return Distance(*_index(counts[0], counts[1], n, m, alpha))


def wasserstein(left: Array, right: Array) -> float:
    """Return the Wasserstein-1 distance of two samples: the area between their distributions.

    >>> wasserstein(np.array([0.0, 1.0]), np.array([3.0, 4.0]))
    3.0
    """
    left, right = np.sort(left), np.sort(right)
    points = np.sort(np.concatenate([left, right]))
    below = points[:-1]
    gap = np.searchsorted(left, below, side="right") / len(left)
    gap -= np.searchsorted(right, below, side="right") / len(right)
    return float(np.sum(np.abs(gap) * np.diff(points)))


def independent_rows(counts: Sequence[float] | Array | Integers) -> float:
    """Return the number of independent rows that rows of groups are worth, at the least.

    Rows of a group, such as the orders of a customer, may be as alike as copies; this is the
    effective sample size of weights as large as the groups (Kish, 1965, "Survey Sampling").

    Parameters
    ----------
    counts
        Rows of each group.

    >>> independent_rows([1.0, 1.0, 1.0]), independent_rows([2.0, 1.0])
    (3.0, 1.8)
    """
    sizes = np.asarray(counts, dtype=np.float64)
    squares = float((sizes**2).sum())
    return float(sizes.sum() ** 2 / squares) if squares else 0.0


def _edges(known: Array, bins: int) -> Array:
    if not len(known):
        return np.zeros(0)
    shares = np.arange(1, bins) / bins
    # a value on an edge is below it, so that a frequent value has a bin of its own
    return np.unique(np.quantile(known, shares, method="inverted_cdf"))


def _index(
    reference: NDArray[np.int64], current: NDArray[np.int64], n: float, m: float, alpha: float
) -> tuple[float, float]:
    """Return the index over bins, and what it exceeds by chance.

    In samples of the same population the index is about chi-squared with as many degrees of freedom
    as there are bins less 1, times ``1/n + 1/m``: Yurdakul and Naranjo (2020), "Statistical
    properties of the population stability index", Journal of Risk Model Validation 14.
    """
    used = (reference + current) > 0
    p, q = (
        (counts[used] + _SMOOTHING) / (counts.sum() + _SMOOTHING * used.sum())
        for counts in (reference, current)
    )
    psi = float(np.sum((q - p) * np.log(q / p)))
    freedom = max(int(used.sum()) - 1, 1)
    return psi, float(chi2.ppf(1 - alpha, freedom)) * (1 / n + 1 / m)


def _spread(values: Array) -> float:
    """Return the interquartile range in standard deviations of a normal distribution; the standard
    deviation where more than half of the values are equal.
    """
    if not len(values):
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    return float((high - low) / _NORMAL_IQR if high > low else values.std())


def _width(values: Array) -> float:
    """Return the integral of sqrt(F (1 - F)), which the distance of two samples of F grows with:
    del Barrio, Gine and Matran (1999), Annals of Probability 27.
    """
    points = np.sort(values)
    share = np.arange(1, len(points)) / len(points)
    return float(np.sum(np.sqrt(share * (1 - share)) * np.diff(points)))

"""How far the scores of two models are apart on the same customers, with NumPy alone.

The server compares while it runs, so that SciPy and the tables of `stagecast monitor` stay out.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

BINS = 10
FEWEST = 40
"""Fewer pairs are not compared: their index says little else than chance."""
_SMOOTHING = 0.5


def psi(reference: Array, other: Array) -> float | None:
    """Return the population stability index of two samples; None where one of them is too small.

    Parameters
    ----------
    reference
        Scores, shape (n,); NaN where there is none. Its quantiles are the bins, and what is missing
        is a bin of its own.
    other
        Scores of the other model, shape (m,).

    >>> values = np.arange(200) / 200
    >>> psi(values, values), round(psi(values, values + 0.5), 1)
    (0.0, 2.7)
    """
    if min(len(reference), len(other)) < FEWEST:
        return None
    counts = [
        np.bincount(_bins(reference, values), minlength=BINS + 1) for values in (reference, other)
    ]
    used = counts[0] + counts[1] > 0
    p, q = ((c[used] + _SMOOTHING) / (c.sum() + _SMOOTHING * used.sum()) for c in counts)
    return float(np.sum((q - p) * np.log(q / p)))


def psi_by_chance(rows: int, chance: float, bins: int = BINS) -> float:
    """Return what the index of two samples of one population exceeds with so small a chance.

    It is about chi-squared with ``bins - 1`` degrees of freedom times ``2 / rows``: Yurdakul and
    Naranjo (2020), "Statistical properties of the population stability index", Journal of Risk
    Model Validation 14. The quantile is that of Wilson and Hilferty (1931).

    Parameters
    ----------
    rows
        Size of each of the two samples.
    chance
        The chance, in (0, 1).

    >>> round(psi_by_chance(500, 0.001), 3)
    0.112
    """
    freedom = bins - 1
    spread = 2 / (9 * freedom)
    quantile: float = freedom * (1 - spread + NormalDist().inv_cdf(1 - chance) * spread**0.5) ** 3
    return quantile * 2 / rows


def rank_correlation(one: Array, other: Array) -> float | None:
    """Return Spearman's correlation of pairs without missing values; None where a side is constant.

    >>> rank_correlation(np.arange(50.0), np.arange(50.0) ** 3)
    1.0
    """
    if len(one) < FEWEST:
        return None
    ranks = [_ranks(values) - (len(values) - 1) / 2 for values in (one, other)]
    size = float(np.sqrt(np.sum(ranks[0] ** 2) * np.sum(ranks[1] ** 2)))
    return float(np.sum(ranks[0] * ranks[1]) / size) if size else None


def _bins(reference: Array, values: Array) -> NDArray[np.intp]:
    known = reference[~np.isnan(reference)]
    shares = np.arange(1, BINS) / BINS
    edges = np.quantile(known, shares, method="inverted_cdf") if len(known) else np.zeros(0)
    # a value on an edge is below it; what is missing has the last bin
    bins = np.searchsorted(np.unique(edges), values, side="left")
    bins[np.isnan(values)] = BINS
    return bins


def _ranks(values: Array) -> Array:
    """Return ranks from 0; equal values have the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - (counts + 1) / 2)[places]
    return ranks

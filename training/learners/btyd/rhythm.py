"""Choice of the regularity k of MBG/CNBD-k, by the gaps of the customers.

    LogGaps -> choose_regularity -> a model whose k is above 1 where that is beyond chance

k is chosen by the logs of the gaps. It is above 1 only where the digamma values of the gaps, too,
speak against random gaps, see :mod:`stagecast.training.learners.btyd.gaps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import numpy as np
from scipy.special import digamma

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.closed_forms import Model
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.repeated import fit

GRID: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96, 192, 384)
# The largest that is chosen, as a rule: a fit takes as many terms.
LARGEST: Final = 96
# Log-likelihood, and Vuong's statistic, that a regular model must have above random gaps.
LEAST_GAIN, LEAST_Z = 10.0, 2.0
# A weaker regularity is no reason to leave random gaps: on an online grocer with k = 2 the orders
# came out better, but the log loss of P(no purchase) rose by an eighth, since a silence of a few
# gaps then rules a return out that one customer in 25 makes.
LEAST_REGULARITY: Final = 4
# Number of customers that is enough to choose k.
SAMPLE_CUSTOMERS = 2_000


def vuong_statistic(differences: Array) -> float:
    """Return ``sum(d) / (sqrt(n) sd(d))`` of differences of log-likelihoods; 0 where all are equal.

    Source: Vuong (1989), eq. 5.6.
    """
    spread = float(differences.std()) * np.sqrt(len(differences))
    return float(differences.sum() / spread) if spread > 0 else 0.0


def choose_regularity(
    random: Model,
    x: Array,
    t_x: Array,
    T: Array,
    gaps: LogGaps,
    start: Model | None = None,
    least: int = LEAST_REGULARITY,
    largest: int = LARGEST,
) -> Model:
    """Return the start of a fit of MBG/NBD with the regularity that explains the gaps best.

    It is that on :data:`GRID` of the largest likelihood, on every n-th customer; ``random`` itself
    where no regularity is better than random gaps by ``LEAST_GAIN`` and ``LEAST_Z``, or the best
    is below ``least``. A regularity whose fit has no optimum is not chosen; the others still are.

    Parameters
    ----------
    random
        MBG/NBD with random gaps, fitted on these customers.
    x, t_x, T
        History, see :class:`Model`, shape (n_customers,).
    gaps
        Sums over the gaps.
    start
        A fit of another date, from which the optimisation starts.
    least, largest
        Least and largest regularity, in phases.
    """
    rows = slice(None, None, max(1, len(x) // SAMPLE_CUSTOMERS))
    history, sample = (x[rows], t_x[rows], T[rows]), gaps.of_rows(rows)
    near = start if start is not None and start.regularity > 1 else random
    grid = tuple(k for k in GRID if k <= largest)

    @cache
    def model(i: int) -> Model | None:
        try:
            return fit("mbg_nbd", *history, start=near, regularity=grid[i])
        except FitError:
            return None

    def likelihood(i: int) -> float:
        fitted = model(i)
        if fitted is None:
            return -np.inf
        return float(fitted.log_likelihood_of(*history, sample.log).sum())

    def beyond_chance(i: int) -> bool:
        fitted = model(i)
        if fitted is None:
            return False
        gain = fitted.log_likelihood_of(*history, sample.digamma)
        gain = gain - random.log_likelihood_of(*history)
        return float(gain.sum()) > LEAST_GAIN and vuong_statistic(gain) > LEAST_Z

    if model(1) is not None and not beyond_chance(1):
        return random
    near_best = max(1, _by_moments(grid, history[0], history[1], sample.log))
    best = _highest(likelihood, near_best, len(grid))
    while best > 1 and not beyond_chance(best):
        best -= 1
    chosen = model(best) if grid[best] >= least else None
    return random if chosen is None else chosen


def _highest(value: Callable[[int], float], start: int, size: int) -> int:
    """Return the position on the grid of the maximum next to ``start``, above 0.

    Where ``value`` is minus infinity at ``start``, the nearest position with a value takes its
    place.
    """
    values: dict[int, float] = {}

    def at(i: int) -> float:
        if i not in values:
            values[i] = value(i) if 1 <= i < size else -np.inf
        return values[i]

    nearest = sorted(range(1, size), key=lambda i: abs(i - start))
    best = next((i for i in nearest if at(i) > -np.inf), start)
    for step in (1, -1):
        while at(best + step) > at(best):
            best += step
    return best


def _by_moments(grid: Sequence[int], x: Array, t_x: Array, log_gaps: Array) -> int:
    """Return the position on the grid at which the gaps vary as much within customers as here.

    The mean of ``x log(t_x / x) - sum(log gap)`` depends on k alone, whatever the rates.
    """
    repeaters = x > 1
    x, spread = x[repeaters], x[repeaters] * np.log(t_x[repeaters] / x[repeaters])
    excess = float((spread - log_gaps[repeaters]).sum())
    expected = [float((x * (digamma(k * x) - np.log(x) - digamma(float(k)))).sum()) for k in grid]
    return int(np.argmin(np.abs(np.log(np.array(expected) + 1e-9) - np.log(max(excess, 1e-9)))))

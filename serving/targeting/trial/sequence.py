"""Intervals that hold at all looks together, while outcomes of a fixed list still come in.

Why not a confidence sequence over a growing sample (a normal mixture): here the list is fixed, and
with each look the same customers' totals grow. For first purchases the increments of a customer
are negatively correlated (who has bought cannot buy first again), for spend positively (customers'
rates differ), so that no one intrinsic time makes the estimates a Gaussian walk. What holds for
both: the estimates at the looks are jointly normal, and their correlation can be estimated from the
customers, since all are the same weighted sum. The error of 5 % is spent over the looks by the
share of the window that has passed (Lan and DeMets 1983), most of it at the end (O'Brien and
Fleming), which keeps the last interval close to the fixed one. Each boundary needs the looks up to
its own only, and any days can be looks. What the normal boundary leaves outside is then cut off the
tails of the look's own estimate, which are those of redrawn hold-outs where outcomes are skewed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import UsageError
from stagecast.serving.targeting.trial.intervals import (
    LEVEL,
    NORMAL,
    Interval,
    critical_value,
)
from stagecast.serving.targeting.trial.measurement import Measurement, measure

PATHS = 50_000
"""Simulated paths behind a boundary: the last 1 % of error is then known to within 5 % of it."""
FEWEST_PATHS = 30
"""Crossing paths below which a boundary is taken from the normal tail, as if looks were apart."""
RESERVE = 0.2
"""Part of the error that is not spent: normal tails and simulated paths are approximations, and
simulated campaigns that spent all of it held in 94.7 to 96.5 % rather than in 95 % at least."""
SEED = 19830201
SINGULAR = 1e-6
"""What a look adds to those before it, in standard errors, below which it adds nothing."""
SMALLEST_TAIL = 1e-15
"""A smaller error is not spent: its boundary would be far outside of any interval."""


@dataclass(frozen=True)
class Look:
    """The effect on the outcome up to a look, with an interval that holds at all looks together.

    Parameters
    ----------
    elapsed
        Part of the window that has passed, in (0, 1].
    per_customer
        Contacted less held-out, in buyers or money per customer, up to the look.
    total
        The same times the number of contacted customers.
    critical
        Half the width of the interval, in standard errors; its sides need not be equal.
    wider
        How much wider it is than an interval that holds at this look only: 0.1 for a tenth.
    """

    elapsed: float
    per_customer: Interval
    total: Interval
    critical: float
    wider: float


@dataclass(frozen=True)
class Tails:
    """What the intervals of looks are made of, before their ends are sought.

    Parameters
    ----------
    measured
        Estimates at the looks at which outcomes differ.
    elapsed
        Part of the window that has passed at these, shape (n_looks,).
    tails
        Probability that the interval of each misses on a side, shape (n_looks,).
    """

    measured: Measurement
    elapsed: Array
    tails: Array


def looks_at(
    cumulative: Array,
    elapsed: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None = None,
    *,
    level: float = LEVEL,
    paths: int = PATHS,
) -> tuple[Look, ...]:
    """Return the effect at each look, with intervals that hold at all looks together.

    Looks before anybody's outcome differs are left out. A fifth of the error is kept in reserve for
    what is approximate.

    Parameters
    ----------
    cumulative
        Outcome of each customer from the start of the window up to the look, shape (n, n_looks).
    elapsed
        Part of the planned window that has passed at each look, increasing, in (0, 1], shape
        (n_looks,).
    contacted, stratum, covariates, level
        As in :func:`stagecast.serving.targeting.trial.effect.effect_of`.
    paths
        Simulated paths behind the boundaries.

    Raises
    ------
    UsageError
        The looks do not increase within (0, 1], or their number is not that of the outcomes.
    NotEnoughDataError
        An arm has fewer than 3 customers.

    Source: Lan and DeMets (1983), Biometrika 70, with the spending function of O'Brien-Fleming
    type; calendar time: Lan and DeMets (1989), Statistics in Medicine 8.
    """
    at = tails_at(cumulative, elapsed, contacted, stratum, covariates, level=level, paths=paths)
    if at is None:
        return ()
    measured, looks = at.measured, []
    for k, (passed, tail) in enumerate(zip(at.elapsed.tolist(), at.tails.tolist(), strict=True)):
        interval, single = (measured.interval(k, t) for t in (tail, (1 - level) / 2))
        looks.append(
            Look(
                passed,
                interval,
                interval.times(int(contacted.sum())),
                interval.width / 2 / measured.error[k] if measured.error[k] else 0.0,
                interval.width / single.width - 1 if single.width else 0.0,
            )
        )
    return tuple(looks)


def tails_at(
    cumulative: Array,
    elapsed: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None = None,
    *,
    level: float = LEVEL,
    paths: int = PATHS,
) -> Tails | None:
    """Return the estimates at the looks, and what their intervals leave outside on each side.

    Parameters
    ----------
    cumulative, elapsed, contacted, stratum, covariates, level, paths
        As in :func:`looks_at`, which raises the same.

    Returns
    -------
    Tails or None
        None before anybody's outcome differs.
    """
    if cumulative.ndim != 2 or cumulative.shape[1] != len(elapsed):
        raise UsageError(
            f"outcomes of shape {cumulative.shape} at {len(elapsed)} looks; give one column a look"
        )
    if not (np.all(np.diff(elapsed) > 0) and elapsed[0] > 0 and elapsed[-1] <= 1):
        raise UsageError(
            f"looks at {', '.join(f'{t:g}' for t in elapsed)} of the window; they must increase, "
            "from above 0 to at most 1"
        )
    varied = np.ptp(cumulative, axis=0) > 0
    if not varied.any():
        return None
    passed = elapsed[varied]
    measured = measure(cumulative[:, varied], contacted, stratum, covariates)
    inner = 1 - (1 - level) * (1 - RESERVE)
    critical = boundaries(measured.correlation, passed, inner, paths)
    tails = [max(NORMAL.cdf(-value), SMALLEST_TAIL) for value in critical.tolist()]
    return Tails(measured, passed, np.array(tails))


def spent(elapsed: Array, level: float = LEVEL) -> Array:
    """Return the error spent up to each look: 4 - 4 Phi(z / sqrt(elapsed)), z of a quarter of all.

    That is the function of O'Brien-Fleming type for each side, with half of the error.

    Parameters
    ----------
    elapsed
        Part of the window that has passed, in (0, 1], any shape.
    level
        Confidence level; all of 1 - level is spent at the end.

    Source: Lan and DeMets (1983), alpha_1.

    >>> spent(np.array([0.5, 1.0])).round(5).tolist()
    [0.00305, 0.05]
    """
    z = critical_value((1 + level) / 2)
    return np.array([4 * NORMAL.cdf(-z / np.sqrt(t)) for t in elapsed])


def boundaries(
    correlation: Array, elapsed: Array, level: float = LEVEL, paths: int = PATHS
) -> Array:
    """Return the two-sided critical value of each look, in standard errors.

    The probability that jointly normal estimates with this correlation are outside at a look, and
    were inside before, is the error spent between the looks. The paths are simulated from a fixed
    seed; where too few would cross, the tail of the normal distribution is taken, as if the earlier
    looks excluded nothing, which errs on the wide side.

    Parameters
    ----------
    correlation
        Of the estimates at the looks, shape (n_looks, n_looks).
    elapsed
        Part of the window that has passed at each look, shape (n_looks,).
    level, paths
        As in :func:`looks_at`.
    """
    by_look = _factor(correlation) @ _normal_paths(len(elapsed), paths)
    inside = np.ones(paths, dtype=bool)
    values, spent_before = [], 0.0
    for k, error in enumerate(spent(elapsed, level)):
        size = np.abs(by_look[k])
        to_cross = int(error * paths) - int((~inside).sum())
        if to_cross >= FEWEST_PATHS:
            value = float(np.partition(size[inside], -to_cross)[-to_cross])
        else:
            value = -NORMAL.inv_cdf(max((error - spent_before) / 2, SMALLEST_TAIL))
        values.append(value)
        inside &= size < value
        spent_before = float(error)
    return np.array(values)


def _factor(correlation: Array) -> Array:
    """Return the lower triangular root of the correlation, of a singular one (equal looks), too.

    It is triangular so that a boundary stays as it was when later looks are added.
    """
    root = np.zeros_like(correlation)
    for k in range(len(correlation)):
        root[k, k] = np.sqrt(max(correlation[k, k] - root[k, :k] @ root[k, :k], 0.0))
        below = correlation[k + 1 :, k] - root[k + 1 :, :k] @ root[k, :k]
        root[k + 1 :, k] = below / root[k, k] if root[k, k] > SINGULAR else 0.0
    return root


@lru_cache(maxsize=1)
def _normal_paths(looks: int, paths: int) -> Array:
    normal = np.random.default_rng(SEED).standard_normal((looks, paths))
    normal.setflags(write=False)
    return normal

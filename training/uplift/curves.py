"""Qini and the area under the uplift curve.

Customers are sorted by a score, the highest first. The **uplift curve** is

    U(q) = (1/n) sum of g_i over the first share q,      0 <= q <= 1,

with ``g`` the unbiased effects of :mod:`.pseudo_outcomes`: the additional outcomes per customer *of
the whole list* if only the share q is contacted, whatever the propensities were. Customers with
equal scores enter together, on a straight line, so that the order of the rows does not matter.

    AUUC = integral of U over q         Qini = AUUC - U(1) / 2

Both are in the unit of the outcome, per customer. Qini is 0 for a random ranking and negative for
one worse than random; it is *not* divided by the area of a perfect ranking, which for 0/1 outcomes
depends on the base rate and not on the effect. With ``r_i`` the share of customers below i (those
level with i count half), ``Qini = mean(g_i (r_i - 1/2))``; from this the standard error follows.

Source: Radcliffe (2007), "Using control groups to target on predicted lift", for the curve and its
area over random; Devriendt, Van Belle, Guns and Verbeke (2020), "Learning to rank for uplift
modeling", for the variants in use; Yadlowsky, Fleming, Shah, Brunskill and Wager (2021),
"Evaluating treatment prioritization rules via rank-weighted average treatment effects", for the
doubly robust form and its central limit theorem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import UsageError
from stagecast.training.uplift.estimate import Estimate, from_influence, mean_estimate


@dataclass(frozen=True)
class Level:
    """Where each row stands in a ranking.

    Parameters
    ----------
    rank
        Share of the rows below, ties half, shape (n,).
    above
        Sum of the effects of the rows above, ties half, over n, shape (n,).
    """

    rank: Array
    above: Array


def qini(g: Array, score: Array, customer: Integers) -> Estimate:
    """Return the Qini of a ranking, in the unit of the outcome per customer.

    Parameters
    ----------
    g
        Unbiased effect of each row, shape (n,); see :func:`.pseudo_outcomes.effect_values`.
    score
        The highest is contacted first, shape (n,).
    customer
        Customer of each row, shape (n,).

    Raises
    ------
    UsageError
        The shapes do not agree, or a score is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> figure = qini(np.array([4.0, 0.0]), np.array([2.0, 1.0]), np.arange(2))
    >>> figure.value
    0.5
    """
    value, influence = _qini(g, score)
    return from_influence(value, influence, customer)


def qini_difference(g: Array, score: Array, other: Array, customer: Integers) -> Estimate:
    """Return the Qini of ``score`` less that of ``other`` on the same rows; see :func:`qini`."""
    value, influence = _qini(g, score)
    other_value, other_influence = _qini(g, other)
    return from_influence(value - other_value, influence - other_influence, customer)


def auuc(g: Array, score: Array, customer: Integers) -> Estimate:
    """Return the area under the uplift curve, in the unit of the outcome; see :func:`qini`."""
    value, influence = _qini(g, score)
    return from_influence(value + float(g.mean()) / 2, influence + (g - g.mean()) / 2, customer)


def share_contacted(score: Array, depth: float) -> Array:
    """Return the probability with which each row is among the first share ``depth``, shape (n,).

    Rows level with the last one share the places that are left.

    Parameters
    ----------
    score
        The highest is contacted first, shape (n,).
    depth
        Share of the rows, from 0 to 1.

    Raises
    ------
    UsageError
        The depth is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> share_contacted(np.array([3.0, 1.0, 1.0, 0.0]), 0.5).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    if not 0 <= depth <= 1:
        raise UsageError(f"depth is {depth:g}; give a share of the customers between 0 and 1")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    above = len(score) - np.cumsum(counts)
    part = np.clip((depth * len(score) - above) / counts, 0.0, 1.0)
    return np.asarray(part[inverse.reshape(-1)])


def uplift_at(
    g: Array, score: Array, depths: Sequence[float], customer: Integers
) -> tuple[Estimate, ...]:
    """Return the uplift curve at each depth: additional outcomes per customer of the whole list.

    The cut-off is taken as fixed. Parameters as for :func:`qini`.
    """
    _check(g, score)
    return tuple(mean_estimate(share_contacted(score, d) * g, customer) for d in depths)


def level_of(g: Array, score: Array) -> Level:
    """Return where each row stands in a ranking; see :func:`qini`."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    n = len(score)
    sums = np.bincount(inverse, weights=g)
    rank = (np.cumsum(counts) - counts / 2) / n
    above = (sums.sum() - np.cumsum(sums) + sums / 2) / n
    return Level(rank[inverse], above[inverse])


def _qini(g: Array, score: Array) -> tuple[float, Array]:
    """Return the Qini and the influence of each row, which is its Hajek projection.

    A row counts through its own effect, and through the ranks of the rows above, which it raises.
    """
    _check(g, score)
    level = level_of(g, score)
    own = g * (level.rank - 0.5)
    value = float(own.mean())
    return value, own - value + level.above - level.above.mean()


def _check(g: Array, score: Array) -> None:
    if g.shape != score.shape or g.ndim != 1 or not len(g):
        raise UsageError(
            f"effects {g.shape} and scores {score.shape} do not belong together; give one score "
            "per row of the trial"
        )
    if not np.isfinite(score).all():
        row = int(np.flatnonzero(~np.isfinite(score))[0])
        raise UsageError(f"the score of row {row} is {score[row]}; give each row a finite score")

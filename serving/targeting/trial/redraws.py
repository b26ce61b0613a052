"""Intervals from the hold-outs that might have been drawn instead.

Who was held out is known to be random; how outcomes are distributed is not. If contact adds the
same amount to everybody, all outcomes without contact are known, and so is the studentised estimate
that each other hold-out would have shown. An amount belongs to the interval if the actual
estimate is not among the most extreme of these. For such an effect, and so for none, the interval
holds as often as it says whatever the tails of the outcome are; for effects that differ between
customers it holds in large lists, because the estimate is studentised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.serving.targeting.trial.adjustment import residuals
from stagecast.serving.targeting.trial.intervals import student_quantile

REDRAWS = 1_999
FEWEST_REDRAWS = 399
LARGEST = 10_000_000
"""Customers times redraws: about half a second."""
FEWEST_HOLD_OUTS = 400
"""Different hold-outs that must be possible; fewer cannot say what happens once in forty."""
RELIABLE = 10
"""Redraws beyond a quantile that it rests on; further out the shape of Student's t is taken."""
ENOUGH = 25
"""Customers of the smaller arm, per squared skewness, from which Student's t holds."""
SEED = 20210701
DOUBLINGS, HALVINGS = 40, 24
_CHUNK = 1_000_000


def normal_enough(residual: Array, contacted: NDArray[np.bool_]) -> bool:
    """Return whether the smaller arm is so large that Student's t holds without redraws.

    It is with at least 25 customers times the squared skewness of the residuals: a 95 % interval
    then misses in less than 6 %.

    Parameters
    ----------
    residual
        Outcome less what strata, scores and arm explain, shape (n,).
    contacted
        Assigned arm, shape (n,).

    Source: Cochran (1977), Sampling Techniques, equation 2.31.
    """
    square = residual**2
    variance = float(square.mean())
    if not variance:
        return True
    smaller = int(min(contacted.sum(), (~contacted).sum()))
    # a power of 3 is thirty times as dear as a product
    return enough_customers(smaller, float((square * residual).mean()), variance)


def enough_customers(smaller: int, third: float, variance: float) -> bool:
    """Return whether Student's t holds for a smaller arm of residuals with these moments.

    Parameters
    ----------
    smaller
        Customers of the smaller arm.
    third, variance
        Central moments of the residuals; a variance of 0 has no tails.
    """
    return not variance or smaller >= ENOUGH * third**2 / variance**3


@dataclass(frozen=True)
class Redrawn:
    """Numerators and variances of the estimates in hold-outs, as functions of the effect.

    With a the outcome and b the assignment that took place, both less what strata and scores
    explain, the outcome without an effect tau is a - tau b, so that differences of the arms are
    linear and variances quadratic in tau.

    Parameters
    ----------
    difference
        Contacted less held-out of a and of b, shape (2, n_hold_outs, n_outcomes).
    spread
        Variance of the mean of each arm, of a, of a with b and of b, shape (3, 2, n_hold_outs,
        n_outcomes).
    ratio
        Variance of the mean of the held-out over that of the contacted if customers vary alike.
    """

    difference: Array
    spread: Array
    ratio: float

    def studentised(self, outcome: int, effect: float) -> Array:
        """Return the estimate less the effect, over its standard error, shape (n_hold_outs,)."""
        a, b = self.difference[..., outcome]
        aa, ab, bb = self.spread[..., outcome]
        contacted, held_out = np.maximum(aa - 2 * effect * ab + effect**2 * bb, 0.0)
        # nobody bought in an arm: the variance of the other stands for it
        silent = 1e-12 * (contacted + held_out)
        total = np.where(contacted <= silent, held_out / self.ratio, contacted)
        total = total + np.where(held_out <= silent, contacted * self.ratio, held_out)
        error = np.sqrt(total)
        statistic: Array = np.zeros_like(error)
        np.divide(a - effect * b, error, out=statistic, where=error > 0)
        return statistic


@dataclass(frozen=True)
class RedrawTest:
    """The estimates of the hold-out that was drawn, and of others."""

    actual: Redrawn
    others: Redrawn

    def ends(
        self, outcome: int, estimate: float, error: float, degrees: float, tail: float
    ) -> tuple[float, float]:
        """Return the ends of an interval that misses with the probability ``tail`` on each side.

        Parameters
        ----------
        outcome
            Number of the outcome.
        estimate, error
            Estimate and standard error, between and by which the ends are sought.
        degrees, tail
            As in :meth:`excludes`.
        """

        def excluded(effect: float, side: int) -> bool:
            return self.excludes(outcome, effect, side, degrees, tail)

        return _end(excluded, estimate, -error), _end(excluded, estimate, error)

    def excludes(self, outcome: int, effect: float, side: int, degrees: float, tail: float) -> bool:
        """Return whether an effect lies beyond the end on one side of the interval.

        Parameters
        ----------
        outcome
            Number of the outcome.
        effect
            Effect per contacted customer.
        side
            1 for the upper end, -1 for the lower one.
        degrees
            Degrees of freedom of Student's t, of which the shape is taken where the tail lies
            beyond what the redraws can say.
        tail
            Probability on each side, above 0.
        """
        count = self.others.difference.shape[1]
        position = math.floor(tail * (count + 1) + 1e-9)
        stretch = 1.0
        if position < RELIABLE:
            reliable = RELIABLE / (count + 1)
            stretch = student_quantile(tail, degrees) / student_quantile(reliable, degrees)
        statistic = -side * float(self.actual.studentised(outcome, effect)[0])
        others = -side * self.others.studentised(outcome, effect)
        place = count - max(position, RELIABLE)
        critical = float(np.partition(others, place)[place])
        if stretch > 1:
            critical = max(critical * stretch, float(others.max()))
        return statistic > critical


def redraw_test(
    outcomes: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None = None,
) -> RedrawTest | None:
    """Redraw the hold-out within the strata, with the numbers of held-out customers as they were.

    The redraws have a fixed seed and do not depend on the order of the customers. Their number is
    1,999 for lists of up to 5,000 customers and falls to 399 for large ones.

    Parameters
    ----------
    outcomes
        Shape (n, n_outcomes).
    contacted
        Assigned arm, shape (n,).
    stratum
        Codes from :func:`stagecast.serving.targeting.trial.contrast.merge_strata`, shape (n,).
    covariates
        Scores at the assignment, shape (n, k), or None.

    Returns
    -------
    RedrawTest or None
        None if fewer than 400 different hold-outs are possible.

    Source: Rosenbaum (2002), Statistical Science 17; Wu and Ding (2021), JASA 116; Zhao and Ding
    (2021), Journal of Econometrics 225.
    """
    held_out = np.bincount(stratum, ~contacted).astype(np.int64)
    size = np.bincount(stratum)
    if _log_choices(size, held_out) < math.log(FEWEST_HOLD_OUTS):
        return None
    # an order that neither the order of the customers nor a later outcome changes
    scores = () if covariates is None else covariates.T
    order = np.lexsort([*outcomes.T[::-1], *scores, contacted, stratum])
    parts = residuals(np.column_stack([outcomes, contacted]), stratum, covariates)[order]
    a, b = parts[:, :-1], parts[:, -1:]
    columns = np.hstack([a, b, a**2, a * b, b**2])
    stratum = stratum[order]
    actual = _summarise((~contacted[order])[None, :], columns, stratum, size, held_out)
    number = min(max(LARGEST // len(stratum), FEWEST_REDRAWS), REDRAWS)
    step = max(_CHUNK // len(stratum), 1)
    sizes, wanted = tuple(size.tolist()), tuple(held_out.tolist())
    blocks = [
        _summarise(
            _drawn(sizes, wanted, start, min(step, number - start)),
            columns,
            stratum,
            size,
            held_out,
        )
        for start in range(0, number, step)
    ]
    others = Redrawn(
        np.concatenate([block.difference for block in blocks], axis=1),
        np.concatenate([block.spread for block in blocks], axis=2),
        actual.ratio,
    )
    return RedrawTest(actual, others)


@lru_cache(maxsize=16)
def _drawn(
    sizes: tuple[int, ...], held_out: tuple[int, ...], start: int, rows: int
) -> NDArray[np.bool_]:
    """Return hold-outs of lists sorted by stratum, shape (rows, n)."""
    random = np.random.default_rng([SEED, start])
    parts = []
    for n, wanted in zip(sizes, held_out, strict=True):
        key = random.random((rows, n))
        parts.append(key <= np.partition(key, wanted - 1, axis=1)[:, wanted - 1 : wanted])
    drawn = np.hstack(parts)
    drawn.setflags(write=False)
    return drawn


def _summarise(
    drawn: NDArray[np.bool_], columns: Array, stratum: Integers, size: Integers, held_out: Integers
) -> Redrawn:
    """Return differences and variances of hold-outs of shape (n_hold_outs, n)."""
    outcomes = (columns.shape[1] - 2) // 3
    share = size / size.sum()
    difference = np.zeros((2, len(drawn), outcomes))
    spread = np.zeros((3, 2, len(drawn), outcomes))
    for k in range(len(size)):
        rows = stratum == k
        values = columns[rows]
        own = drawn[:, rows].astype(np.float64) @ values
        for arm, sums, n in (
            (0, values.sum(axis=0) - own, size[k] - held_out[k]),
            (1, own, held_out[k]),
        ):
            mean = sums / n
            a, b = mean[:, :outcomes], mean[:, outcomes : outcomes + 1]
            aa, ab = mean[:, outcomes + 1 : -1].reshape(len(drawn), 2, -1).swapaxes(0, 1)
            sign, factor = (1 - 2 * arm) * share[k], share[k] ** 2 / max(n - 1, 1)
            difference[0] += sign * a
            difference[1] += sign * b
            spread[0, arm] += factor * (aa - a**2)
            spread[1, arm] += factor * (ab - a * b)
            spread[2, arm] += factor * (mean[:, -1:] - b**2)
    ratio = np.sum(share**2 / held_out) / np.sum(share**2 / (size - held_out))
    return Redrawn(difference, spread, float(ratio))


def _log_choices(size: Integers, held_out: Integers) -> float:
    return sum(
        math.lgamma(n + 1) - math.lgamma(h + 1) - math.lgamma(n - h + 1)
        for n, h in zip(size.tolist(), held_out.tolist(), strict=True)
    )


def _end(excluded: Callable[[float, int], bool], estimate: float, error: float) -> float:
    """Return an effect on the side of the error from which on effects are excluded.

    By bisection, whose steps do not depend on the last digits of the statistics.
    """
    side = 1 if error > 0 else -1
    inside, outside = estimate, estimate + 2 * error
    for _ in range(DOUBLINGS):
        if excluded(outside, side):
            break
        inside, outside = outside, outside + (outside - estimate)
    else:
        return side * math.inf
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if excluded(middle, side) else (middle, outside)
    return outside

"""Estimates on several outcomes of a campaign, and the interval of each at any level.

The scores are used for the outcomes that they predict, and the hold-outs are redrawn for those
whose tails ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.serving.targeting.trial.adjustment import worth_using
from stagecast.serving.targeting.trial.contrast import check_arms, estimate, merge_strata
from stagecast.serving.targeting.trial.intervals import Interval, around, student_quantile
from stagecast.serving.targeting.trial.redraws import RedrawTest, normal_enough, redraw_test


@dataclass(frozen=True)
class Measurement:
    """Estimates on several outcomes.

    Parameters
    ----------
    effect
        Contacted less held-out per customer, shape (n_outcomes,).
    error
        Standard errors, shape (n_outcomes,).
    degrees
        Degrees of freedom of the standard errors, shape (n_outcomes,).
    influence
        Part of each customer in the error of each estimate, shape (n, n_outcomes).
    redrawn
        For each outcome the redrawn hold-outs and its number in them; None where Student's t
        holds, or too few hold-outs are possible.
    """

    effect: Array
    error: Array
    degrees: Array
    influence: Array
    redrawn: tuple[tuple[RedrawTest, int] | None, ...]

    @property
    def correlation(self) -> Array:
        """Correlation of the estimates, shape (n_outcomes, n_outcomes)."""
        scale = np.where(self.error > 0, self.error, 1.0)
        between = self.influence.T @ self.influence / np.outer(scale, scale)
        np.fill_diagonal(between, 1.0)
        return np.asarray(between, dtype=np.float64)

    def interval(self, outcome: int, tail: float) -> Interval:
        """Return the interval that misses with the probability ``tail`` on each side.

        Parameters
        ----------
        outcome
            Number of the outcome.
        tail
            Probability, between 0 and a half.
        """
        centre, error, degrees = (
            float(values[outcome]) for values in (self.effect, self.error, self.degrees)
        )
        redrawn = self.redrawn[outcome]
        if redrawn is None:
            return around(centre, -student_quantile(tail, degrees) * error)
        test, number = redrawn
        return Interval(centre, *test.ends(number, centre, error, degrees, tail))

    def contains(self, outcome: int, tail: float, value: float) -> bool:
        """Return whether the interval of an outcome contains a value, without seeking its ends.

        Parameters
        ----------
        outcome, tail
            As in :meth:`interval`.
        value
            Effect per contacted customer.
        """
        redrawn = self.redrawn[outcome]
        if redrawn is None:
            interval = self.interval(outcome, tail)
            return interval.low <= value <= interval.high
        test, number = redrawn
        side = 1 if value > self.effect[outcome] else -1
        return not test.excludes(number, value, side, float(self.degrees[outcome]), tail)


def measure(
    outcomes: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None = None,
) -> Measurement:
    """Estimate the effect on each outcome.

    Parameters
    ----------
    outcomes
        Shape (n, n_outcomes).
    contacted, stratum, covariates
        As in :func:`stagecast.serving.targeting.trial.effect.effect_of`.

    Raises
    ------
    NotEnoughDataError
        An arm has fewer than 3 customers.
    """
    check_arms(contacted)
    strata = merge_strata(stratum, contacted)
    count = outcomes.shape[1]
    adjusted = np.array(
        [covariates is not None and worth_using(y, strata, covariates) for y in outcomes.T]
    )
    effect, variance, degrees = (np.zeros(count) for _ in range(3))
    influence = np.zeros_like(outcomes)
    redrawn: list[tuple[RedrawTest, int] | None] = [None] * count
    for scores, chosen in ((covariates, adjusted), (None, ~adjusted)):
        columns = np.flatnonzero(chosen)
        if not len(columns):
            continue
        own = estimate(outcomes[:, columns], contacted, strata, scores)
        effect[columns], variance[columns], degrees[columns] = own.effect, own.variance, own.degrees
        influence[:, columns] = own.influence
        tailed = [
            k
            for k, column in enumerate(columns)
            if variance[column] and not normal_enough(own.residual[:, k], contacted)
        ]
        if tailed:
            test = redraw_test(outcomes[:, columns[tailed]], contacted, strata, scores)
            for number, k in enumerate(tailed):
                redrawn[columns[k]] = None if test is None else (test, number)
    return Measurement(effect, np.sqrt(variance), degrees, influence, tuple(redrawn))

"""The effect of contact: the plain estimate, and the one adjusted by the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval, check_level
from stagecast.serving.targeting.trial.measurement import measure


@dataclass(frozen=True)
class Effect:
    """Effect of the assignment to contact (intention to treat), with its interval.

    Parameters
    ----------
    per_customer
        Contacted less held-out, in buyers or money per customer.
    total
        The same times the number of contacted customers.
    standard_error
        Of the effect per customer; the interval, which knows the tails, may be wider and askew.
    degrees
        Degrees of freedom of the standard error.
    contacted, held_out
        Numbers of customers.
    """

    per_customer: Interval
    total: Interval
    standard_error: float
    degrees: float
    contacted: int
    held_out: int


@dataclass(frozen=True)
class Comparison:
    """The effect on one measure, plain and adjusted by the scores.

    Parameters
    ----------
    plain
        Difference of the arms, post-stratified.
    adjusted
        The same with one slope of the scores for both arms, if they predict customers left out of
        the fit, else the plain one; the estimate to use.
    narrower
        1 less the width of the adjusted interval over that of the plain one; negative if wider.
    largest_share
        Part of the outcome of all customers that the largest customer has; 0 where there is none.
    """

    plain: Effect
    adjusted: Effect
    narrower: float
    largest_share: float


def effect_of(
    outcome: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None = None,
    *,
    level: float = LEVEL,
) -> Effect:
    """Estimate the effect of the assignment on an outcome.

    Nothing is trimmed: the mean is what the money is, and a trimmed one is another question. With
    heavy tails the interval is wide, and `Comparison.largest_share` says on whom it hangs.

    Parameters
    ----------
    outcome
        Bought (0 or 1), or money, of each customer in the window, shape (n,).
    contacted
        Assigned arm, shape (n,), whether or not the contact took place.
    stratum
        Codes of the strata of the draw, shape (n,).
    covariates
        Scores at the freezing of the list, shape (n, k); None for the plain estimate.
    level
        Confidence level.

    Raises
    ------
    NotEnoughDataError
        An arm has fewer than 3 customers, or all outcomes are equal.

    Source: Neyman (1923), with intervals of Student's t (Welch 1947) where the tails allow it, else
    of redrawn hold-outs (Wu and Ding 2021).

    >>> outcome = np.array([3.0, 5.0, 4.0, 1.0, 2.0, 3.0])
    >>> contacted = np.array([True, True, True, False, False, False])
    >>> effect = effect_of(outcome, contacted, np.zeros(6, dtype=np.int64))
    >>> round(effect.per_customer.estimate, 3), round(effect.standard_error, 3), effect.degrees
    (2.0, 0.816, 4.0)
    """
    if not np.ptp(outcome):
        raise NotEnoughDataError(
            f"the outcome of all {len(outcome)} customers is {outcome[0]:g}: there is nothing to "
            "compare yet; wait for the first purchases"
        )
    measured = measure(outcome[:, None], contacted, stratum, covariates)
    per_customer = measured.interval(0, (1 - check_level(level)) / 2)
    n_contacted = int(contacted.sum())
    return Effect(
        per_customer,
        per_customer.times(n_contacted),
        float(measured.error[0]),
        float(measured.degrees[0]),
        n_contacted,
        len(contacted) - n_contacted,
    )


def compare(
    outcome: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array,
    *,
    level: float = LEVEL,
) -> Comparison:
    """Estimate the effect plain and adjusted, and say how much narrower the adjusted interval is.

    Where the scores explain the part R2 of the variance within the strata, the adjusted interval
    is about sqrt(1 - R2) times as wide as the plain one.

    Parameters
    ----------
    outcome, contacted, stratum, level
        As in :func:`effect_of`.
    covariates
        Scores at the freezing of the list, shape (n, k).

    Raises
    ------
    NotEnoughDataError
        As in :func:`effect_of`.

    Source: Deng, Xu, Kohavi and Walker (2013), WSDM, on CUPED.
    """
    plain = effect_of(outcome, contacted, stratum, level=level)
    adjusted = effect_of(outcome, contacted, stratum, covariates, level=level)
    plain_width, total = plain.per_customer.width, float(np.abs(outcome).sum())
    return Comparison(
        plain,
        adjusted,
        1 - adjusted.per_customer.width / plain_width if plain_width else 0.0,
        float(np.abs(outcome).max()) / total if total else 0.0,
    )

"""The extra money up to a cap for each customer: what most customers did, without the largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.serving.targeting.trial.effect import Effect, effect_of
from stagecast.serving.targeting.trial.intervals import LEVEL

CAP_QUANTILE = 0.95
"""Part of the buyers whose whole spend counts."""


@dataclass(frozen=True)
class Capped:
    """A second measure beside the money, never in its place: large customers count in part.

    Parameters
    ----------
    cap
        Most that counts of one customer, in money.
    effect
        Contacted less held-out in money up to the cap; it answers another question than the money
        itself, and understates an effect on the largest customers.
    """

    cap: float
    effect: Effect


def capped_effect(
    money: Array,
    contacted: NDArray[np.bool_],
    stratum: Integers,
    covariates: Array | None = None,
    *,
    level: float = LEVEL,
) -> Capped | None:
    """Estimate the effect on the money up to the 95 % quantile of what buyers spent, arms together.

    Parameters
    ----------
    money
        Money of each customer in the window, shape (n,).
    contacted, stratum, covariates, level
        As in :func:`stagecast.serving.targeting.trial.effect.effect_of`; a covariate is capped
        at its own 95 % quantile.

    Returns
    -------
    Capped or None
        None if nobody spent anything, or nothing is left to compare below the cap.

    Raises
    ------
    NotEnoughDataError
        An arm has fewer than 3 customers.

    >>> money = np.r_[np.tile([0.0, 1.0, 2.0], 20), 900.0]
    >>> capped = capped_effect(money, np.arange(61) % 2 == 0, np.zeros(61, dtype=np.int64))
    >>> capped.cap
    2.0
    """
    spent = money[money > 0]
    if not len(spent):
        return None
    cap = float(np.quantile(spent, CAP_QUANTILE))
    below = np.minimum(money, cap)
    if not np.ptp(below):
        return None
    scores = covariates
    if covariates is not None:
        scores = np.minimum(covariates, np.quantile(covariates, CAP_QUANTILE, axis=0))
    return Capped(cap, effect_of(below, contacted, stratum, scores, level=level))

"""Fitting of :class:`stagecast.training.billing.renewals.Renewals` on past payments."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.billing.renewals import POINTS, Renewals

USUAL_SUM, SPREAD = 20.0, 1.5
"""Prior of the logarithm of alpha + beta, which short histories hardly tell: mean and deviation."""
SUMS: Final = (0.5, 500.0)
UNIFORM: Final = 2.0
"""Contracts that are supposed to have ended at any part of a period."""


def fit_renewals(number: Array, renewed: Array, weight: Array, parts: Array) -> Renewals:
    """Return the renewals that past payments teach, by maximum a posteriori.

    Parameters
    ----------
    number
        Number of each payment within its contract, 1 for the first, shape (n,).
    renewed
        1 where another one followed, else 0, shape (n,).
    weight
        P(the contract has this billing period), shape (n,).
    parts
        Part of the period, 0 to 1, after the last payment at which contracts ended, shape (m,).
    """
    numbers, row = np.unique(number, return_inverse=True)
    went_on = np.bincount(row, weights=weight * renewed, minlength=len(numbers))
    lost = np.bincount(row, weights=weight * (1.0 - renewed), minlength=len(numbers))
    # half a renewal and half a loss more, so that neither is impossible
    start = logit((went_on.sum() + 0.5) / (went_on.sum() + lost.sum() + 1.0))

    def of(point: Array) -> tuple[float, float]:
        first, total = float(expit(point[0])), float(np.exp(point[1]))
        return (1.0 - first) * total, first * total

    def loss(point: Array) -> float:
        alpha, beta = of(point)
        so_far = beta + numbers - 1.0
        fit = went_on @ np.log(so_far / (alpha + so_far)) + lost @ np.log(alpha / (alpha + so_far))
        half = 0.5 * (np.log(beta / (alpha + beta)) + np.log(alpha / (alpha + beta)))
        return -float(fit + half) + 0.5 * float((point[1] - np.log(USUAL_SUM)) / SPREAD) ** 2

    best = minimize(
        loss,
        np.array([start, np.log(USUAL_SUM)]),
        method="L-BFGS-B",
        bounds=[(-8.0, 8.0), tuple(np.log(SUMS))],
    ).x
    grid = np.linspace(0.0, 1.0, POINTS + 1)
    ended = np.searchsorted(np.sort(parts), grid, side="right") + UNIFORM * grid
    return Renewals(*of(best), tuple((ended / (len(parts) + UNIFORM)).tolist()))

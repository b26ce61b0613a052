"""Quality of probabilities before the outcomes are known: what they expect of themselves.

Confidence-based performance estimation: where 100 customers have a probability of 30 %, 30 of them
are expected to leave, so each figure of quality has an expectation. It holds if the probabilities
are calibrated; that customers behave otherwise than before does not show in it, which only
outcomes tell.

Source: the method CBPE as described by NannyML; the expectations are worked out directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.metrics import Flags, finite, losses

DRAWS = 200
_TINY = 1e-6


@dataclass(frozen=True)
class Expected:
    """A figure that is expected, and the ends between which 95 % of draws of outcomes lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class EstimatedQuality:
    """Quality that calibrated probabilities expect of themselves.

    Parameters
    ----------
    customers
        Number of probabilities.
    leaving
        Expected share who leave, 0 to 1.
    log_loss, brier, auc
        The figures; no AUC where all outcomes are certain.
    """

    customers: int
    leaving: float
    log_loss: Expected
    brier: Expected
    auc: Expected | None


def estimated_quality(
    probability: Array, *, draws: int = DRAWS, seed: int = 0
) -> EstimatedQuality | None:
    """Return the quality that probabilities expect of themselves; None where there are none.

    Parameters
    ----------
    probability
        P(leaving) of each customer, shape (n,); NaN is left out.
    draws
        Draws of the outcomes, for the ends of the figures.
    seed
        Of the draws.
    """
    p = np.clip(probability[np.isfinite(probability)], _TINY, 1 - _TINY)
    if not len(p):
        return None
    p = np.sort(p)
    starts = np.flatnonzero(np.diff(p, prepend=-1.0))
    random = np.random.default_rng(seed)
    figures = np.empty((draws, 3))
    for k in range(draws):
        left = random.random(len(p)) < p
        figures[k] = losses(left, p).mean(), np.mean((p - left) ** 2), _auc(left, starts)
    return EstimatedQuality(
        len(p),
        float(p.mean()),
        _expected(float(-np.mean(p * np.log(p) + (1 - p) * np.log1p(-p))), figures[:, 0]),
        _expected(float(np.mean(p * (1 - p))), figures[:, 1]),
        _expected_auc(p, figures[:, 2]),
    )


def expected_auc(probability: Array) -> float:
    """Return the AUC that probabilities expect of themselves; NaN for fewer than two.

    It is the chance that, of a pair of whom the first leaves and the second stays, the first has
    the higher probability; pairs are of two different customers, and ties count half.

    >>> round(expected_auc(np.array([0.8, 0.2])), 4)
    0.9412
    """
    p = np.sort(probability)
    starts = np.flatnonzero(np.diff(p, prepend=-1.0))
    leave, stay = np.add.reduceat(p, starts), np.add.reduceat(1 - p, starts)
    below = np.cumsum(stay) - stay
    same = float(np.sum(p * (1 - p)))
    right = float(np.sum(leave * (below + 0.5 * stay))) - 0.5 * same
    pairs = float(leave.sum() * stay.sum()) - same
    return right / pairs if pairs > 0 else float("nan")


def _auc(left: Flags, starts: NDArray[np.int64]) -> float:
    """Return the AUC of outcomes in the rising order of their probabilities, of which equal ones
    begin at ``starts``; NaN where only one outcome occurs.
    """
    leave = np.add.reduceat(left.astype(np.float64), starts)
    stay = np.diff(starts, append=len(left)) - leave
    below = np.cumsum(stay) - stay
    pairs = float(leave.sum() * stay.sum())
    return float(np.sum(leave * (below + 0.5 * stay))) / pairs if pairs else float("nan")


def _expected_auc(p: Array, drawn: Array) -> Expected | None:
    value = finite(expected_auc(p))
    drawn = drawn[np.isfinite(drawn)]
    return None if value is None or not len(drawn) else _expected(value, drawn)


def _expected(value: float, drawn: Array) -> Expected:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Expected(value, float(low), float(high))

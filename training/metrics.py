"""How good predicted probabilities and amounts are, on what came afterwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A probability of 0 or 1 that turns out wrong costs this much, not infinity.
_SURE = 1e-6


def log_loss(target: Flags, probability: Array) -> float:
    """Return the mean log loss (nats).

    >>> round(log_loss(np.array([True, False]), np.array([0.8, 0.2])), 4)
    0.2231
    """
    p = np.clip(probability, _SURE, 1 - _SURE)
    return float(-np.where(target, np.log(p), np.log1p(-p)).mean())


def auc(target: Flags, score: Array) -> float:
    """Return the area under the ROC curve, ties counted half; NaN where only one class came.

    >>> auc(np.array([True, False, True]), np.array([0.9, 0.1, 0.1]))
    0.75
    """
    positives = int(target.sum())
    negatives = len(target) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[target].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def brier(target: Flags, probability: Array) -> float:
    """Return the mean squared error of the probabilities."""
    return float(((probability - target) ** 2).mean())


def calibration(target: Flags, probability: Array, groups: int = 10) -> list[dict[str, float]]:
    """Return mean predicted and observed shares in equal groups by predicted probability."""
    order = np.argsort(probability, kind="stable")
    return [
        {
            "predicted": float(probability[part].mean()),
            "observed": float(target[part].mean()),
            "customers": float(len(part)),
        }
        for part in np.array_split(order, groups)
        if len(part)
    ]


def calibration_error(target: Flags, probability: Array, groups: int = 10) -> float:
    """Return the mean absolute gap between predicted and observed over equal groups, weighted by size."""
    parts = calibration(target, probability, groups)
    return float(sum(p["customers"] * abs(p["predicted"] - p["observed"]) for p in parts) / len(target))


def capture(target: Flags, score: Array, share: float) -> float:
    """Return the share of all positives among the top ``share`` by score."""
    positives = int(target.sum())
    if not positives:
        return float("nan")
    top = np.argsort(-score, kind="stable")[: max(1, round(share * len(score)))]
    return float(target[top].sum() / positives)


def multiclass_log_loss(target: NDArray[np.int64], probability: Array) -> float:
    """Return the mean log loss (nats) of class probabilities, shape (rows, classes)."""
    p = np.clip(probability[np.arange(len(target)), target], _SURE, 1.0)
    return float(-np.log(p).mean())


def rank_correlation(outcome: Array, prediction: Array) -> float:
    """Return Spearman's rank correlation; NaN where either does not vary."""
    a, b = rankdata(outcome), rankdata(prediction)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])

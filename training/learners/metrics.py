"""Metrics of predicted probabilities and amounts on observed outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from stagecast.features.arrays import Array

Flags = NDArray[np.bool_]

# Probabilities are clipped here, so that a wrong 0 or 1 has a finite loss.
_MIN_PROBABILITY = 1e-6


def finite(value: float) -> float | None:
    """Return the number, or None where it is not finite, because JSON has no NaN."""
    return value if np.isfinite(value) else None


def losses(target: Flags, probability: Array) -> Array:
    """Return the log loss (nats) of each row."""
    p = np.clip(probability, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    return np.asarray(-np.where(target, np.log(p), np.log1p(-p)))


def log_loss(target: Flags, probability: Array) -> float:
    """Return the mean log loss (nats).

    >>> round(log_loss(np.array([True, False]), np.array([0.8, 0.2])), 4)
    0.2231
    """
    return float(losses(target, probability).mean())


def auc(target: Flags, score: Array) -> float:
    """Return the area under the ROC curve, ties counted half; NaN where only one class occurs.

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
            "predicted": float(probability[rows].mean()),
            "observed": float(target[rows].mean()),
            "customers": float(len(rows)),
        }
        for rows in np.array_split(order, groups)
        if len(rows)
    ]


def calibration_error(target: Flags, probability: Array, groups: int = 10) -> float:
    """Return the mean absolute gap between predicted and observed share, weighted by group size."""
    rows = calibration(target, probability, groups)
    return float(
        sum(row["customers"] * abs(row["predicted"] - row["observed"]) for row in rows)
        / len(target)
    )


def capture(target: Flags, score: Array, share: float) -> float:
    """Return the share of all positives among the top ``share`` by score."""
    positives = int(target.sum())
    if not positives:
        return float("nan")
    top = np.argsort(-score, kind="stable")[: max(1, round(share * len(score)))]
    return float(target[top].sum() / positives)


def deciles(
    target: Flags, probability: Array, value: Array | None = None, groups: int = 10
) -> list[dict[str, float]]:
    """Return equal groups of customers from the highest probability to the lowest.

    Parameters
    ----------
    target, probability
        Observed outcome and predicted probability, shape (n_customers,).
    value
        Money of each customer, for example spend or value at risk, shape (n_customers,).
    groups
        Number of groups.

    Returns
    -------
    list
        One row per group: its number of ``customers``, ``predicted`` and ``observed`` share, the
        ``lift`` over all customers, the share of all positives ``captured`` by it and the groups
        before it, and the sum of the ``value``.
    """
    order = np.argsort(-probability, kind="stable")
    all_positives = max(float(target.sum()), 1e-12)
    table, captured = [], 0.0
    for rows in np.array_split(order, groups):
        if not len(rows):
            continue
        captured += float(target[rows].sum())
        row = {
            "customers": float(len(rows)),
            "predicted": float(probability[rows].mean()),
            "observed": float(target[rows].mean()),
            "lift": float(target[rows].mean()) * len(target) / all_positives,
            "captured": captured / all_positives,
        }
        table.append(row if value is None else {**row, "value": float(value[rows].sum())})
    return table


def empc(target: Flags, probability: Array) -> tuple[float, float] | None:
    """Return the expected maximum profit per customer of a campaign, and the share to contact.

    The costs are the published ones: a churner accepts an offer of 10 with probability Beta(6, 14),
    a retained customer is worth 200, a contact costs 1. None where nobody left, or everybody.

    Source: Verbraken, Verbeke and Baesens (2013), "A novel profit maximizing metric for measuring
    classification performance of customer churn prediction models"; computed by ``empulse``.
    """
    if not target.any() or target.all():
        return None
    from empulse.metrics import empc_score

    labels = target.astype(np.int64)
    return float(empc_score(labels, probability)), float(
        empc_score.optimal_rate(labels, probability)
    )


def normalised_gini(outcome: Array, prediction: Array) -> float:
    """Return the Gini coefficient in the order of predictions over that in the order of outcomes.

    1 is a perfect ranking by outcome, 0 a random one; NaN where outcomes do not vary. Rows of equal
    prediction share their outcomes equally.
    """

    def area(by: Array) -> float:
        order = np.argsort(-by, kind="stable")
        ends = np.flatnonzero(np.diff(by[order], append=np.inf))
        cumulated = np.r_[0.0, np.cumsum(outcome[order])[ends]] / outcome.sum()
        fraction = np.r_[0.0, ends + 1.0] / len(by)
        return float(np.sum(np.diff(fraction) * (cumulated[1:] + cumulated[:-1]) / 2.0)) - 0.5

    if not len(outcome) or outcome.sum() == 0 or np.ptp(outcome) == 0:
        return float("nan")
    return area(prediction) / area(outcome)


@dataclass(frozen=True, init=False)
class Ranking:
    """Outcomes in the order of a score, for metrics under many different weights of the rows."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    positive: Array

    def __init__(self, target: Flags, score: Array) -> None:
        order = np.argsort(-score, kind="stable")
        starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "positive", target[order].astype(np.float64))

    def _counted(self, weight: Array) -> tuple[Array, Array]:
        """Return the weight of positives and of all rows from the highest to each score."""
        w = weight[self.order]
        return (
            np.cumsum(np.add.reduceat(w * self.positive, self.starts)),
            np.cumsum(np.add.reduceat(w, self.starts)),
        )

    def figures(self, weight: Array, shares: Sequence[float] = ()) -> dict[str, float]:
        """Return ``auc``, ``pr_auc`` and, for each of ``shares``, ``capture_<per cent>``.

        ``capture`` is the share of the positives among that share of the rows, highest score first.
        Rows of equal score share their positives equally. A figure is NaN where no positive, or no
        negative, has weight.
        """
        positives, rows = self._counted(weight)
        negatives = rows - positives
        steps = np.diff(positives, prepend=0.0)
        below = negatives[-1] - negatives + 0.5 * np.diff(negatives, prepend=0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            figures = {
                "auc": float((steps * below).sum() / (positives[-1] * negatives[-1])),
                "pr_auc": float(
                    (steps * positives / np.maximum(rows, 1e-12)).sum() / positives[-1]
                ),
            }
            for share in shares:
                captured = np.interp(share * rows[-1], np.r_[0.0, rows], np.r_[0.0, positives])
                figures[f"capture_{share:.0%}".removesuffix("%")] = float(captured / positives[-1])
        return figures


def gains(target: Flags, score: Array, shares: Sequence[float]) -> list[dict[str, float]]:
    """Return the share of churners in the top of the list by score; empty where nobody left."""
    if not target.any():
        return []
    return [{"share_contacted": s, "share_of_churners": capture(target, score, s)} for s in shares]


def multiclass_log_loss(target: NDArray[np.int64], probability: Array) -> float:
    """Return the mean log loss (nats) of class probabilities, shape (rows, classes)."""
    p = np.clip(probability[np.arange(len(target)), target], _MIN_PROBABILITY, 1.0)
    return float(-np.log(p).mean())


def rank_correlation(outcome: Array, prediction: Array) -> float:
    """Return Spearman's rank correlation; NaN where either does not vary."""
    a, b = rankdata(outcome), rankdata(prediction)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])

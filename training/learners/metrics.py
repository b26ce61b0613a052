"""Quality of predicted probabilities and amounts, compared with the observed outcomes.

AUC, log loss and Brier score are scikit-learn's, the rank correlation is SciPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray
from scipy.stats import spearmanr

from stagecast.features.arrays import Array
from stagecast.features.plain_json import IF_KNOWN

Flags = NDArray[np.bool_]

# Probabilities are clipped here, so that a wrong 0 or 1 has a finite loss.
_MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class CalibrationGroup:
    """Customers with similar probabilities: mean predicted and observed share, and how many."""

    predicted: float
    observed: float
    customers: float


@dataclass(frozen=True)
class Decile:
    """A tenth of the customers by their probability, highest first.

    Parameters
    ----------
    customers
        Number of customers.
    predicted, observed
        Mean probability, and share of positives.
    lift
        Share of positives over that among all customers.
    captured
        Share of all positives in this tenth and those before it.
    value
        Sum of the customers' money; None where it is not asked for.
    """

    customers: float
    predicted: float
    observed: float
    lift: float
    captured: float
    value: float | None = field(default=None, metadata=IF_KNOWN)


@dataclass(frozen=True)
class GainsPoint:
    """Share of those who left among a share of the customers, highest score first."""

    share_contacted: float
    share_of_churners: float


def finite(value: float) -> float | None:
    """Return the number, or None where it is NaN or infinite: JSON has neither."""
    return value if np.isfinite(value) else None


def losses(target: Flags, probability: Array) -> Array:
    """Return the log loss (nats) of each row.

    For many weights of the same rows: scikit-learn returns means alone, and takes ten times as
    long for one.
    """
    p = np.clip(probability, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    return np.asarray(-np.where(target, np.log(p), np.log1p(-p)))


def log_loss(target: Flags, probability: Array) -> float:
    """Return the mean log loss (nats); NaN where a probability is not finite.

    >>> round(log_loss(np.array([True, False]), np.array([0.8, 0.2])), 4)
    0.2231
    """
    if not np.isfinite(probability).all():
        return float("nan")
    p = np.clip(probability, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    return float(sklearn.metrics.log_loss(target, p, labels=[False, True]))


def auc(target: Flags, score: Array) -> float:
    """Return the area under the ROC curve, ties counted half.

    NaN where there is only one class, or a score is not finite.

    >>> auc(np.array([True, False, True]), np.array([0.9, 0.1, 0.1]))
    0.75
    """
    if target.all() or not target.any() or not np.isfinite(score).all():
        return float("nan")
    return float(sklearn.metrics.roc_auc_score(target, score))


def brier(target: Flags, probability: Array) -> float:
    """Return the mean squared error of the probabilities; NaN where one of them is not finite."""
    if not np.isfinite(probability).all():
        return float("nan")
    return float(sklearn.metrics.brier_score_loss(target, probability, pos_label=True))


def calibration(
    target: Flags, probability: Array, groups: int = 10
) -> tuple[CalibrationGroup, ...]:
    """Return equal groups of customers by probability, lowest first."""
    order = np.argsort(probability, kind="stable")
    return tuple(
        CalibrationGroup(
            predicted=float(probability[rows].mean()),
            observed=float(target[rows].mean()),
            customers=float(len(rows)),
        )
        for rows in np.array_split(order, groups)
        if len(rows)
    )


def calibration_error(target: Flags, probability: Array, groups: int = 10) -> float:
    """Return the mean gap between predicted and observed shares, weighted by size of the group."""
    return float(
        sum(
            group.customers * abs(group.predicted - group.observed)
            for group in calibration(target, probability, groups)
        )
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
) -> tuple[Decile, ...]:
    """Return equal groups of customers from the highest probability to the lowest.

    Parameters
    ----------
    target, probability
        Outcome and prediction of each customer, shape (n_customers,).
    value
        Money of each customer, to be summed by group: observed spend, or value at risk.
    groups
        Number of groups; empty ones are left out.
    """
    order = np.argsort(-probability, kind="stable")
    all_positives = max(float(target.sum()), 1e-12)
    deciles, positives = [], 0.0
    for rows in np.array_split(order, groups):
        if not len(rows):
            continue
        positives += float(target[rows].sum())
        deciles.append(
            Decile(
                customers=float(len(rows)),
                predicted=float(probability[rows].mean()),
                observed=float(target[rows].mean()),
                lift=float(target[rows].mean()) * len(target) / all_positives,
                captured=positives / all_positives,
                value=None if value is None else float(value[rows].sum()),
            )
        )
    return tuple(deciles)


def empc(
    target: Flags,
    probability: Array,
    clv: float = 200.0,
    incentive_cost: float = 10.0,
    contact_cost: float = 1.0,
) -> tuple[float, float] | None:
    """Return the expected maximum profit of a campaign, and the share to contact for it.

    The profit is per customer, with the published setting unless another one is given: a churner
    accepts an offer of 10 with probability Beta(6, 14), a retained customer is worth 200, and to
    contact one costs 1. None where nobody left, or everybody.

    Source: Verbraken, Verbeke and Baesens (2013), "A novel profit maximizing metric for measuring
    classification performance of customer churn prediction models"; computed by ``empulse``.
    """
    if not target.any() or target.all():
        return None
    from empulse.metrics import empc_score

    labels = target.astype(np.int64)
    costs: dict[str, Any] = {
        "clv": clv,
        "incentive_cost": incentive_cost,
        "contact_cost": contact_cost,
    }
    return float(empc_score(labels, probability, **costs)), float(
        empc_score.optimal_rate(labels, probability, **costs)
    )


def normalised_gini(outcome: Array, prediction: Array) -> float:
    """Return the Gini coefficient of outcomes ordered by prediction, over that in their own order.

    1 is a perfect ranking, 0 a random one; NaN where outcomes do not vary. Rows of equal prediction
    share their outcomes equally.
    """

    def area(by: Array) -> float:
        order = np.argsort(-by, kind="stable")
        ends = np.flatnonzero(np.diff(by[order], append=np.inf))
        outcome_share = np.r_[0.0, np.cumsum(outcome[order])[ends]] / outcome.sum()
        row_share = np.r_[0.0, ends + 1.0] / len(by)
        return (
            float(np.sum(np.diff(row_share) * (outcome_share[1:] + outcome_share[:-1]) / 2)) - 0.5
        )

    if not len(outcome) or outcome.sum() == 0 or np.ptp(outcome) == 0:
        return float("nan")
    return area(prediction) / area(outcome)


@dataclass(frozen=True, init=False)
class Ranking:
    """Outcomes ordered by a score, measured with many different weights of the rows.

    The rows are sorted once: for each weight, scikit-learn's AUC and average precision take more
    than a hundred times as long.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    positive: Array

    def __init__(self, target: Flags, score: Array) -> None:
        order = np.argsort(-score, kind="stable")
        starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "positive", target[order].astype(np.float64))

    def _counted(self, weights: Array) -> tuple[Array, Array]:
        """Return cumulative weights of positives and of all rows, from the highest score down.

        Shape (draws, distinct scores).
        """
        w = np.take(weights, self.order, axis=1)
        return (
            np.cumsum(np.add.reduceat(w * self.positive, self.starts, axis=1), axis=1),
            np.cumsum(np.add.reduceat(w, self.starts, axis=1), axis=1),
        )

    def figures(self, weights: Array, shares: Sequence[float] = ()) -> dict[str, Array]:
        """Return ``auc``, ``pr_auc`` and, for each of ``shares``, ``capture_<per cent>``.

        The last is the share of the positives among that share of the rows, highest score first.
        Rows of equal score share their positives equally. A figure for which no positive, or no
        negative, has weight is NaN.

        Parameters
        ----------
        weights
            Of the rows, shape (draws, rows); the figures have shape (draws,).
        """
        positives, rows = self._counted(weights)
        negatives = rows - positives
        steps = np.diff(positives, prepend=0.0)
        below = negatives[:, -1:] - negatives + 0.5 * np.diff(negatives, prepend=0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            figures = {
                "auc": (steps * below).sum(axis=1) / (positives[:, -1] * negatives[:, -1]),
                "pr_auc": (steps * positives / np.maximum(rows, 1e-12)).sum(axis=1)
                / positives[:, -1],
            }
            begin = np.zeros((len(weights), 1))
            captured = np.array(
                [
                    np.interp(np.multiply(shares, of_all[-1]), of_all, of_positives)
                    for of_all, of_positives in zip(
                        np.hstack([begin, rows]), np.hstack([begin, positives]), strict=True
                    )
                ]
            )
            for k, share in enumerate(shares):
                name = f"capture_{share:.0%}".removesuffix("%")
                figures[name] = captured[:, k] / positives[:, -1]
        return figures


def gains(target: Flags, score: Array, shares: Sequence[float]) -> tuple[GainsPoint, ...]:
    """Return the share of positives among each share of the rows; empty without positives."""
    if not target.any():
        return ()
    return tuple(GainsPoint(share, capture(target, score, share)) for share in shares)


def class_losses(target: NDArray[np.int64], probability: Array) -> Array:
    """Return the log loss (nats) of each row of class probabilities, shape (rows, classes).

    Not scikit-learn's, which warns where a row does not sum to 1: a class that came with
    probability 0 is taken at the smallest that is counted.
    """
    p = np.clip(probability[np.arange(len(target)), target], _MIN_PROBABILITY, 1.0)
    return np.asarray(-np.log(p))


def multiclass_log_loss(target: NDArray[np.int64], probability: Array) -> float:
    """Return the mean of :func:`class_losses`."""
    return float(class_losses(target, probability).mean())


def rank_correlation(outcome: Array, prediction: Array) -> float:
    """Return Spearman's rank correlation; NaN where either does not vary."""
    if len(outcome) < 2 or np.ptp(outcome) == 0 or np.ptp(prediction) == 0:
        return float("nan")
    return float(spearmanr(outcome, prediction).statistic)

"""Result of comparing one training with the baselines on a later period.

:class:`Evaluation` is part of ``card.json``: the order of the fields is that of the keys
(:func:`stagecast.features.plain_json.to_json`). Log losses are in nats; money is in the currency of
the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.metrics import CalibrationGroup, GainsPoint

Letter = Literal["A", "B", "C", "D"]

OURS: Final = "stagecast"
"""Name of the model among the methods that are compared."""


@dataclass(frozen=True)
class ChurnFigures:
    """How good a method's probabilities of leaving were.

    Parameters
    ----------
    name, label
        Key of the method, and its label in reports.
    auc
        None where all customers left, or none.
    calibration_error
        Mean gap between predicted and observed shares over tenths of the customers.
    lift_10
        Share that left among the tenth with the highest probability, over the share among all;
        None where nobody left.
    """

    name: str
    label: str
    log_loss: float
    auc: float | None
    brier: float
    calibration_error: float
    lift_10: float | None


@dataclass(frozen=True)
class Difference:
    """Our figure compared with that of a baseline, on the same draws of the customers.

    Parameters
    ----------
    name, label
        Of the baseline.
    difference, low, high
        Our figure less the baseline's, and its 95 % interval; below 0 we are better.
    relative
        Our figure over the baseline's, less 1.
    better_in
        Share of the draws in which we are better, 0 to 1.
    """

    name: str
    label: str
    difference: float | None
    low: float | None
    high: float | None
    relative: float | None
    better_in: float | None


@dataclass(frozen=True)
class StageFigures:
    """How good a method's probabilities of the next stage were.

    ``calibration_error`` is that of the stage for which it is largest.
    """

    name: str
    label: str
    log_loss: float
    calibration_error: float


@dataclass(frozen=True)
class StageLosses:
    """Log losses (nats) of the next stage, one per customer whose stage at the end is known.

    Parameters
    ----------
    customers
        Ids of the customers.
    losses
        Name of the method -> losses, shape (n_customers,).
    """

    customers: tuple[str, ...]
    losses: Mapping[str, Array]

    def with_others(self, others: Mapping[str, StageLosses]) -> StageLosses:
        """Return ours, those of other models of the same customers, and the chain's."""
        alike = {
            name: other.losses[OURS]
            for name, other in others.items()
            if other.customers == self.customers
        }
        rest = {name: losses for name, losses in self.losses.items() if name != OURS}
        return StageLosses(self.customers, {OURS: self.losses[OURS], **alike, **rest})


@dataclass(frozen=True)
class ConversionFigures:
    """How good P(first purchase in the horizon) was for customers without a purchase.

    Parameters
    ----------
    leads, converted
        Number of customers without a purchase, and of those among them who bought.
    expected
        Sum of the probabilities, comparable with ``converted``.
    auc
        None where all bought, or none.
    log_loss_share
        Log loss of the same probability for everybody: the share that converted before.
    """

    leads: int
    converted: int
    expected: float
    auc: float | None
    log_loss: float
    log_loss_share: float
    calibration_error: float


@dataclass(frozen=True)
class SpendFigures:
    """How good a method's expected spend in the horizon was.

    Parameters
    ----------
    mae
        Mean absolute error per customer.
    rank_correlation
        Spearman's; None where spend or expectation is the same for everybody.
    predicted_total, actual_total
        Sums over the customers.
    """

    name: str
    label: str
    mae: float
    rank_correlation: float | None
    predicted_total: float
    actual_total: float


@dataclass(frozen=True)
class Coverage:
    """Share of the customers whose spend was within its 90 % interval, 0 to 1."""

    expected_spend: float


@dataclass(frozen=True)
class ActiveFigures:
    """How good the methods were for the active, whom churn is asked of; the grade is of these.

    Parameters
    ----------
    customers
        Number of active customers.
    base_rate
        Share of them who left, 0 to 1.
    models
        The model first, then the baselines.
    against
        Log loss of the model less that of each baseline, with its interval over draws of the
        customers.
    """

    customers: int
    base_rate: float
    models: tuple[ChurnFigures, ...]
    against: tuple[Difference, ...]


@dataclass(frozen=True)
class ValueTenth:
    """A tenth of the customers by clv: their number, mean clv, and mean money that came."""

    customers: int
    expected: float
    came: float


@dataclass(frozen=True)
class ValueEvaluation:
    """How good the clv of a training one value horizon earlier was.

    Parameters
    ----------
    as_of, until
        First instant of the value horizon and the instant at which it ended, ISO 8601, UTC.
    customers
        Number of buyers.
    models
        The model first, then the baselines; money is discounted to the as_of.
    tenths
        Tenths of the customers by our clv, lowest first.
    coverage
        Share of the customers whose value was within its 90 % interval; None without intervals.
    grade, grade_sentence
        See :func:`stagecast.training.judging.grade.grade_value`.
    """

    as_of: str
    until: str
    customers: int
    models: tuple[SpendFigures, ...]
    tenths: tuple[ValueTenth, ...]
    coverage: float | None
    grade: Letter
    grade_sentence: str

    @property
    def level_error(self) -> float | None:
        """Log of the total that came over the expected one; None where one of them is nothing."""
        expected, observed = self.models[0].predicted_total, self.models[0].actual_total
        return float(np.log(observed / expected)) if observed > 0 and expected > 0 else None


@dataclass(frozen=True)
class Evaluation:
    """How good a training was on the horizon after it, compared with baselines.

    Parameters
    ----------
    as_of, until
        First instant of the later period and the instant at which it ended, ISO 8601, UTC.
    customers
        Number of customers who could leave.
    base_rate
        Share of them who did, 0 to 1.
    models
        The model first, then the baselines.
    calibration
        Tenths of the customers by our probability, lowest first.
    gains
        Share of those who left among the customers with the highest probabilities; empty where
        nobody left.
    next_stage
        The model, then the Markov chain on stages.
    conversion
        None where every customer had bought.
    spend
        The model first; None where the log has no amounts.
    coverage
        None where no intervals could be learned before the period.
    grade, grade_sentence
        See :func:`stagecast.training.judging.grade.grade`; they speak of the active, or where
        there were none of all who could leave.
    active
        Figures of the active; None where there were none.
    value
        How good the value over the value horizon was; None where the log is too young to tell.
    members
        Each member of the pool alone, at the level of the pool; empty where churn is cancellation.
    """

    as_of: str
    until: str
    customers: int
    base_rate: float
    models: tuple[ChurnFigures, ...]
    calibration: tuple[CalibrationGroup, ...]
    gains: tuple[GainsPoint, ...]
    next_stage: tuple[StageFigures, ...]
    conversion: ConversionFigures | None
    spend: tuple[SpendFigures, ...] | None
    coverage: Coverage | None
    grade: Letter
    grade_sentence: str
    active: ActiveFigures | None = None
    value: ValueEvaluation | None = None
    members: tuple[ChurnFigures, ...] = ()

    @property
    def asked(self) -> ActiveFigures:
        """Figures of the customers whom the grade is of: the active, or where there were none all
        who could leave.
        """
        return self.active or ActiveFigures(self.customers, self.base_rate, self.models, ())

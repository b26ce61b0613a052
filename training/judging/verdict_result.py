"""Result of comparing the replays of a backtest with the baselines.

:class:`Verdict` is part of ``backtest.json``: the order of the fields is that of the keys
(:func:`stagecast.features.plain_json.to_json`). Log losses are in nats; money is in the currency of
the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stagecast.features.plain_json import FLAT, IF_KNOWN
from stagecast.training.churn_kinds.learned import LearnedFrom
from stagecast.training.config import Churn
from stagecast.training.judging.campaign import Campaign
from stagecast.training.judging.evaluation_result import (
    ConversionFigures,
    Coverage,
    Difference,
    Letter,
    StageFigures,
)
from stagecast.training.judging.segments import SegmentFigures
from stagecast.training.learners.metrics import CalibrationGroup, Decile, GainsPoint


@dataclass(frozen=True)
class ChurnEstimates:
    """Figures of a method's probabilities of leaving, as means over the dates of a backtest.

    Parameters
    ----------
    name, label
        Key of the method, and its label in reports.
    auc, pr_auc
        Area under the ROC curve, and average precision; None where no date has both outcomes.
    capture_5, capture_10, capture_20
        Share of those who left among the 5, 10 and 20 % with the highest probabilities.
    empc, empc_share
        Expected maximum profit per customer of a campaign, and the share of customers to contact
        for it; see :func:`stagecast.training.learners.metrics.empc`.
    log_loss_low, log_loss_high, ...
        95 % interval of the figure over draws of the customers; None where it is not known.
    lift_5, lift_10, lift_20
        The captures over the share of customers that they look at.
    """

    name: str
    label: str
    log_loss: float
    brier: float
    auc: float | None
    pr_auc: float | None
    capture_5: float | None
    capture_10: float | None
    capture_20: float | None
    calibration_error: float
    empc: float | None
    empc_share: float | None
    log_loss_low: float | None
    log_loss_high: float | None
    brier_low: float | None
    brier_high: float | None
    auc_low: float | None
    auc_high: float | None
    pr_auc_low: float | None
    pr_auc_high: float | None
    capture_5_low: float | None
    capture_5_high: float | None
    capture_10_low: float | None
    capture_10_high: float | None
    capture_20_low: float | None
    capture_20_high: float | None
    lift_5: float | None = field(metadata=IF_KNOWN)
    lift_10: float | None = field(metadata=IF_KNOWN)
    lift_20: float | None = field(metadata=IF_KNOWN)


@dataclass(frozen=True)
class SpendEstimates:
    """Figures of a method's expected spend, as means over the dates of a backtest.

    Parameters
    ----------
    mae
        Mean absolute error per customer.
    bias
        Predicted over observed total, less 1; None where nothing was spent.
    mae_low, mae_high, bias_low, bias_high
        95 % intervals over draws of the customers; None where they are not known.
    """

    name: str
    label: str
    mae: float
    bias: float | None
    mae_low: float | None
    mae_high: float | None
    bias_low: float | None
    bias_high: float | None


@dataclass(frozen=True)
class StageEstimates:
    """Figures of a method's probabilities of the next stage, as means over the dates.

    Parameters
    ----------
    calibration_error
        Of the stage for which it is largest.
    log_loss_low, log_loss_high
        95 % interval over draws of customers and dates; None where it is not known.
    """

    name: str
    label: str
    log_loss: float
    calibration_error: float
    log_loss_low: float | None
    log_loss_high: float | None


@dataclass(frozen=True)
class SpendDecile:
    """A tenth of the customers by our expected spend.

    Parameters
    ----------
    expected, came
        Mean spend per customer, expected and observed.
    held
        Share of all observed spend up to this tenth, highest expected spend first; None where
        nothing was spent.
    """

    customers: float
    expected: float
    came: float
    held: float | None


@dataclass(frozen=True)
class SpendCoverage:
    """Quality of the 90 % intervals of the expected spend over the dates that have them.

    Parameters
    ----------
    expected_spend
        Share of the observed spends within their interval, 0 to 1.
    width
        Mean width of the intervals over the mean spend; None where nothing was spent.
    """

    expected_spend: float
    width: float | None


@dataclass(frozen=True)
class DateSpendFigures:
    """Figures of a method's expected spend at one date.

    Parameters
    ----------
    mae
        Mean absolute error per customer.
    rank_correlation
        Spearman's; None where spend or expectation is the same for everybody.
    gini
        See :func:`stagecast.training.learners.metrics.normalised_gini`.
    predicted_total
        Sum over the customers.
    """

    mae: float
    rank_correlation: float | None
    gini: float | None
    predicted_total: float


@dataclass(frozen=True)
class DateSpend:
    """Spend after one date: the figures of each method by name, and the observed total.

    ``coverage`` is None at a date before which no intervals could be learned.
    """

    spend: Mapping[str, DateSpendFigures]
    actual_total: float
    coverage: Coverage | None


@dataclass(frozen=True)
class DateVerdict:
    """Figures of one replayed date.

    Parameters
    ----------
    as_of, until
        First instant of the horizon and the instant at which it ended, ISO 8601, UTC.
    customers
        Number of customers who could leave.
    base_rate
        Share of them who did, 0 to 1.
    log_loss, auc, calibration_error
        Name of the method -> figure; the AUC is None where all left, or none.
    next_stage
        The model, then the Markov chain on stages.
    conversion
        None where every customer had bought.
    money
        None where the log has no amounts, or money is not compared.
    """

    as_of: str
    until: str
    customers: int
    base_rate: float
    learned_from: LearnedFrom = field(metadata=FLAT)
    log_loss: Mapping[str, float]
    auc: Mapping[str, float | None]
    calibration_error: Mapping[str, float]
    next_stage: tuple[StageFigures, ...]
    conversion: ConversionFigures | None
    money: DateSpend | None = field(metadata=FLAT)


@dataclass(frozen=True)
class Verdict:
    """Result of a backtest over all its dates.

    Parameters
    ----------
    churn
        What leaving is.
    dates
        Oldest first.
    customers, rows
        Number of different customers, and of predictions: a customer has one at each date.
    grade, grade_sentence
        See :func:`stagecast.training.judging.grade.grade`.
    models
        The model first, then the baselines, on the dates and with the methods of
        :func:`stagecast.training.judging.compared.compared`; so are ``against``, ``spend``,
        ``spend_against`` and ``segments``.
    against
        Log loss of the model less that of each baseline.
    deciles, calibration
        Tenths of the predictions by our probability: highest first, and lowest first.
    gains
        Share of those who left among the customers with the highest probabilities; empty where
        nobody left.
    spend, spend_against, spend_deciles
        The same of the expected spend; empty without amounts. ``spend_against`` compares the mean
        absolute error.
    coverage
        None where no date has intervals.
    segments
        Ours beside the best other method, by stage, tenure, size and channel.
    next_stage, next_stage_against
        Log loss of the next stage of all customers, and ours less that of each other method.
    campaign
        Settings of EMPC.
    """

    churn: Churn
    horizon_days: int
    dates: tuple[DateVerdict, ...]
    customers: int
    rows: int
    grade: Letter
    grade_sentence: str
    models: tuple[ChurnEstimates, ...]
    against: tuple[Difference, ...]
    deciles: tuple[Decile, ...]
    calibration: tuple[CalibrationGroup, ...]
    gains: tuple[GainsPoint, ...]
    spend: tuple[SpendEstimates, ...]
    spend_against: tuple[Difference, ...]
    spend_deciles: tuple[SpendDecile, ...]
    coverage: SpendCoverage | None
    segments: tuple[SegmentFigures, ...] = ()
    next_stage: tuple[StageEstimates, ...] = ()
    next_stage_against: tuple[Difference, ...] = ()
    campaign: Campaign | None = None

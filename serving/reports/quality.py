"""Section "How good is it" of the report of a run: methods compared, charts of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stagecast.serving.reports import charts
from stagecast.serving.reports.comparison import (
    CHURN,
    Comparison,
    comparison,
    method_of,
    spend_metrics,
)
from stagecast.training.judging.evaluation_result import (
    OURS,
    ChurnFigures,
    Evaluation,
    SpendFigures,
)
from stagecast.training.learners.metrics import GainsPoint


@dataclass(frozen=True)
class Advantage:
    """Our log loss compared with that of the best other method.

    Parameters
    ----------
    better
        1 less our log loss over theirs; below 0 they are better.
    than
        Label of the other method.
    lift
        Our lift among the tenth of customers with the highest probability.
    """

    better: float
    than: str
    lift: float | None


@dataclass(frozen=True)
class Quality:
    """What the report shows of an evaluation, beside its own figures.

    Parameters
    ----------
    models, next_stage, spend, value
        Methods by measures; None where there is nothing to compare.
    actual_total
        Money spent in the period; None without amounts.
    advantage
        None without a baseline.
    calibration, gains_chart
        Charts.
    at_fifth
        The point of the gains nearest to a fifth of the customers.
    """

    models: Comparison | None
    next_stage: Comparison | None
    spend: Comparison | None
    value: Comparison | None
    actual_total: float | None
    advantage: Advantage | None
    calibration: Markup | None
    gains_chart: Markup | None
    at_fifth: GainsPoint | None


def quality(evaluation: Evaluation, currency: str | None = None) -> Quality:
    """Return what the report shows of an evaluation, with money in a currency."""
    gains, spend = evaluation.gains, evaluation.spend or ()
    curve = [(point.share_contacted, point.share_of_churners) for point in gains]
    return Quality(
        models=comparison(map(method_of, evaluation.models), CHURN),
        next_stage=comparison(map(method_of, evaluation.next_stage), CHURN),
        spend=money_methods(spend, currency),
        value=money_methods(() if evaluation.value is None else evaluation.value.models, currency),
        actual_total=spend[0].actual_total if spend else None,
        advantage=_advantage(evaluation.models),
        calibration=charts.calibration_plot(evaluation.calibration),
        gains_chart=charts.gains_curve([(0.0, 0.0), *curve]) if gains else None,
        at_fifth=min(gains, key=lambda point: abs(point.share_contacted - 0.2), default=None),
    )


def money_methods(
    figures: Sequence[SpendFigures], currency: str | None = None
) -> Comparison | None:
    """Return how good methods were at money; None where there is nothing to compare."""
    rows = [
        method_of(row, of_actual=_ratio(row.predicted_total, row.actual_total)) for row in figures
    ]
    return comparison(rows, spend_metrics(currency))


def _advantage(models: Sequence[ChurnFigures]) -> Advantage | None:
    """Return how our log loss compares with the best of the others; None without others."""
    ours = next(model for model in models if model.name == OURS)
    best = min(
        (model for model in models if model.name != OURS),
        key=lambda model: model.log_loss,
        default=None,
    )
    if best is None:
        return None
    return Advantage(1 - ours.log_loss / best.log_loss, best.label, ours.lift_10)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None

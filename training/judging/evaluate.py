"""Evaluation of a training on the horizon after it, compared with baselines and a Markov chain."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY, DAY_MICROSECONDS, iso, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.judging.evaluation_result import (
    OURS,
    ActiveFigures,
    ChurnFigures,
    ConversionFigures,
    Coverage,
    Difference,
    Evaluation,
    SpendFigures,
    StageFigures,
    StageLosses,
)
from stagecast.training.judging.grade import grade
from stagecast.training.learners import metrics
from stagecast.training.learners.resampling import mean_of
from stagecast.training.models import Models, Predictions
from stagecast.training.outcomes import Churned, Later
from stagecast.training.panel import Panel
from stagecast.training.value.intervals import Intervals

GAINS = (0.05, 0.10, 0.20, 0.30, 0.40, 0.50)
"""Shares of the customers for which an evaluation gives gains."""


def rows_in(table: DailyTable, earlier: Panel) -> NDArray[np.int64]:
    """Return the row among a later table's customers of each row of an earlier panel's snapshot."""
    position = {customer: k for k, customer in enumerate(table.customers)}
    return np.array([position[earlier.now.ids[c]] for c in earlier.now.customer], dtype=np.int64)


def observed_outcomes(table: DailyTable, earlier: Panel, horizon_days: int) -> Later:
    """Return the outcomes after an earlier panel's as_of, on the earlier panel's stages.

    Parameters
    ----------
    table
        What was known one horizon later.
    earlier
        Panel whose snapshot the rows of the outcomes are.
    horizon_days
        Days between the two.
    """
    columns = table.outcomes(horizon_days, [(table.anchor - earlier.as_of).days])
    rows = rows_in(table, earlier)
    orders, spend = np.zeros(len(table.customers)), np.zeros(len(table.customers))
    orders[columns["customer"].astype(np.int64)] = columns["orders"]
    spend[columns["customer"].astype(np.int64)] = columns["spend"]
    # the stage at the end by the rules that the earlier training used
    life = fit_lifecycle(table, earlier.scheme, horizon_days)
    end_stage, _ = life.journeys.at(microseconds(table.anchor), len(table.customers))
    cancelled = had_contract = None
    if earlier.contracts is not None:
        since = earlier.contracts.spells.as_of
        spells = table.spells(earlier.contracts.terms)
        cancelled = spells.cancelled(since, since + horizon_days * DAY_MICROSECONDS)[rows]
        had_contract = spells.had_contract(since)[rows]
    return Later(orders[rows], spend[rows], end_stage[rows], cancelled, had_contract)


def evaluate(
    panel: Panel, models: Models, predicted: Predictions, later: Later, intervals: Intervals | None
) -> Evaluation | None:
    """Return the evaluation of models on a later period; None where nobody could leave.

    Parameters
    ----------
    panel, models, predicted
        Of the earlier as_of, and the predictions for its snapshot; nothing in them is from after
        it.
    later
        Outcomes of the rows of the snapshot.
    intervals
        90 % intervals of the spend that were learned before the later period, or None.
    """
    horizon = models.config.horizon_days
    kind = kind_of(models.config.churn)
    churned = kind.churned(panel, models, predicted, later, quick=True)
    if not len(churned.rows):
        return None
    left, ours = churned.left, churned.ours
    compared = _compared(churned, kind.baseline_labels, models.config.seed)
    active = kind.states(models, panel.now)[churned.rows] == "active"
    of_active = None
    if active.any():
        of_active = _compared(
            churned.of(np.flatnonzero(active)), kind.baseline_labels, models.config.seed
        )
    asked = of_active or compared
    graded = grade(
        asked.models,
        asked.against,
        asked.customers,
        "this period",
        "" if asked.customers == compared.customers else f"on the {asked.customers:,} active",
    )
    return Evaluation(
        as_of=iso(panel.as_of),
        until=iso(panel.as_of + horizon * DAY),
        customers=compared.customers,
        base_rate=compared.base_rate,
        models=compared.models,
        calibration=metrics.calibration(left, ours),
        gains=metrics.gains(left, ours, GAINS),
        next_stage=next_stage_figures(panel, models, predicted, later),
        conversion=conversion_figures(panel, models, predicted, later),
        spend=_spend_figures(panel, models, predicted, later),
        coverage=interval_coverage(predicted, later, intervals),
        grade=graded.letter,
        grade_sentence=graded.sentence,
        active=of_active,
        members=_member_figures(models, predicted, left),
    )


def _member_figures(
    models: Models, predicted: Predictions, left: NDArray[np.bool_]
) -> tuple[ChurnFigures, ...]:
    """Return the figures of each member of the pool alone, at the level of the pool."""
    if models.cancellation is not None:
        return ()
    churn = models.churn
    margins = churn.margins(predicted.columns)
    return tuple(
        _churn_figures(name, name, left, np.asarray(expit(margin + churn.level)))
        for name, margin in margins.items()
    )


def _compared(churned: Churned, labels: Mapping[str, str], seed: int) -> ActiveFigures:
    """Return the figures of all methods on some customers, and the differences from ours."""
    left, ours = churned.left, churned.ours
    own = _churn_figures(OURS, f"stagecast ({churned.method})", left, ours)
    baselines = [
        _churn_figures(name, labels[name], left, p) for name, p in churned.predictions.items()
    ]
    own_losses = metrics.losses(left, ours)
    against = []
    for row in baselines:
        mean = mean_of(own_losses - metrics.losses(left, churned.predictions[row.name]), seed)
        relative = own.log_loss / row.log_loss - 1.0 if row.log_loss > 0 else float("nan")
        against.append(
            Difference(
                name=row.name,
                label=row.label,
                difference=metrics.finite(mean.value),
                low=metrics.finite(mean.low),
                high=metrics.finite(mean.high),
                relative=metrics.finite(relative),
                better_in=metrics.finite(mean.below_zero),
            )
        )
    return ActiveFigures(
        customers=len(left),
        base_rate=float(left.mean()),
        models=(own, *baselines),
        against=tuple(against),
    )


def _churn_figures(name: str, label: str, left: metrics.Flags, p: Array) -> ChurnFigures:
    return ChurnFigures(
        name=name,
        label=label,
        log_loss=metrics.log_loss(left, p),
        auc=metrics.finite(metrics.auc(left, p)),
        brier=metrics.brier(left, p),
        calibration_error=metrics.calibration_error(left, p),
        lift_10=metrics.finite(metrics.capture(left, p, 0.1) / 0.1),
    )


def next_stage_figures(
    panel: Panel, models: Models, predicted: Predictions, later: Later
) -> tuple[StageFigures, ...]:
    """Return how good the probabilities of the next stage were: ours, and the Markov chain's."""
    known = later.stage >= 0
    return tuple(
        StageFigures(
            name=name,
            label=label,
            log_loss=metrics.multiclass_log_loss(later.stage[known], p[known]),
            calibration_error=max(
                metrics.calibration_error(later.stage[known] == k, p[known, k])
                for k in range(p.shape[1])
            ),
        )
        for name, label, p in (
            (OURS, "stagecast", predicted.p_stage),
            ("markov", "Markov chain on stages", models.next_stage.chain[panel.now.stage]),
        )
    )


def next_stage_losses(
    panel: Panel, models: Models, predicted: Predictions, later: Later
) -> StageLosses:
    """Return the losses that :func:`next_stage_figures` are the means of."""
    known = np.flatnonzero(later.stage >= 0)
    ids = panel.now.ids[panel.now.customer[known]]
    chain = models.next_stage.chain[panel.now.stage]
    return StageLosses(
        tuple(map(str, ids)),
        {
            name: metrics.class_losses(later.stage[known], p[known])
            for name, p in ((OURS, predicted.p_stage), ("markov", chain))
        },
    )


def conversion_figures(
    panel: Panel, models: Models, predicted: Predictions, later: Later
) -> ConversionFigures | None:
    """Return how good P(first purchase) was; None where every customer had bought, or none."""
    leads = ~panel.now.buyers
    if not leads.any() or not models.has_purchases:
        return None
    bought, p = later.orders[leads] > 0, predicted.p_convert[leads]
    return ConversionFigures(
        leads=int(leads.sum()),
        converted=int(bought.sum()),
        expected=float(p.sum()),
        auc=metrics.finite(metrics.auc(bought, p)),
        log_loss=metrics.log_loss(bought, p),
        log_loss_share=metrics.log_loss(bought, np.full(len(p), models.conversion.share)),
        calibration_error=metrics.calibration_error(bought, p),
    )


def _spend_figures(
    panel: Panel, models: Models, predicted: Predictions, later: Later
) -> tuple[SpendFigures, ...] | None:
    """Return how good the expected spend of buyers was; None where the log has no amounts."""
    if models.value.mean_spend is None:
        return None
    buyers = predicted.buyers
    observed = later.spend[buyers]
    method = kind_of(models.config.churn).method(models)
    methods = [(OURS, f"stagecast ({method})", predicted.expected_spend[buyers])]
    per_order = None if models.base is None else models.base.spend_per_order(predicted.columns)
    if per_order is not None:
        expected = predicted.columns["btyd_orders"] * per_order
        methods.append(("btyd", "customer base x Gamma-Gamma", expected))
    past_rate = (
        panel.now.features["spend"][buyers]
        / panel.now.features["T_days"][buyers]
        * models.config.horizon_days
    )
    methods.append(("past_rate", "spend so far, carried on", past_rate))
    return tuple(
        SpendFigures(
            name=name,
            label=label,
            mae=float(np.abs(observed - expected).mean()),
            rank_correlation=metrics.finite(metrics.rank_correlation(observed, expected)),
            predicted_total=float(expected.sum()),
            actual_total=float(observed.sum()),
        )
        for name, label, expected in methods
    )


def interval_coverage(
    predicted: Predictions, later: Later, intervals: Intervals | None
) -> Coverage | None:
    """Return the share of buyers whose spend is within its interval; None without intervals."""
    if intervals is None:
        return None
    buyers = predicted.buyers
    low, high = (end[buyers] for end in predicted.spend_range(intervals))
    observed = np.maximum(later.spend[buyers], 0.0)
    return Coverage(float(((observed >= low) & (observed <= high)).mean()))

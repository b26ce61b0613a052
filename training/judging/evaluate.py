"""How good a training is on a later period than it saw, against the baselines and the plain
Markov chain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stagecast.features.clock import DAY, DAY_MICROSECONDS, iso, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.learners import metrics
from stagecast.training.models import Models, Predictions
from stagecast.training.outcomes import Later
from stagecast.training.panel import Panel
from stagecast.training.value.intervals import Intervals

GAINS = (0.05, 0.10, 0.20, 0.30, 0.40, 0.50)


def what_came(table: DailyTable, earlier: Panel, horizon_days: int) -> Later:
    """Return what came after an earlier panel's as_of, a horizon before the table's, on the
    earlier panel's stages.
    """
    columns = table.outcomes(horizon_days, [(table.anchor - earlier.as_of).days])
    position = {customer: k for k, customer in enumerate(table.customers)}
    rows = np.array([position[earlier.now.ids[c]] for c in earlier.now.customer], dtype=np.int64)
    orders, spend = np.zeros(len(table.customers)), np.zeros(len(table.customers))
    orders[columns["customer"].astype(np.int64)] = columns["orders"]
    spend[columns["customer"].astype(np.int64)] = columns["spend"]
    # the stage at the end by the rules that the earlier training used
    life = fit_lifecycle(table, earlier.scheme, horizon_days)
    ended, _ = life.journeys.at(microseconds(table.anchor), len(table.customers))
    cancelled = had_contract = None
    if earlier.contracts is not None:
        since = earlier.contracts.spells.as_of
        found = table.spells(earlier.contracts.terms)
        cancelled = found.cancelled(since, since + horizon_days * DAY_MICROSECONDS)[rows]
        had_contract = found.had_contract(since)[rows]
    return Later(orders[rows], spend[rows], ended[rows], cancelled, had_contract)


def evaluate(
    panel: Panel, models: Models, predicted: Predictions, later: Later, intervals: Intervals | None
) -> dict[str, Any] | None:
    """Return the evaluation as JSON-ready values; None where nobody could leave.

    Parameters
    ----------
    panel, models, predicted
        Of the earlier as_of, and what they say of its snapshot; none saw anything of ``later``.
    intervals
        90 % intervals of the spend that were learned before the later period, or None.
    """
    horizon = models.config.horizon_days
    kind = kind_of(models.config.churn)
    who = kind.churned(panel, models, predicted, later, quick=True)
    if not len(who.rows):
        return None
    left, ours = who.left, who.ours
    labels = kind.baseline_labels
    candidates = {
        f"stagecast ({who.method})": ("stagecast", ours),
        **{labels[name]: (name, p) for name, p in who.predictions.items()},
    }
    rows = [
        {
            "name": name,
            "label": label,
            "log_loss": metrics.log_loss(left, p),
            "auc": metrics.finite(metrics.auc(left, p)),
            "brier": metrics.brier(left, p),
            "calibration_error": metrics.calibration_error(left, p),
            "lift_10": metrics.finite(metrics.capture(left, p, 0.1) / 0.1),
        }
        for label, (name, p) in candidates.items()
    ]
    losses = [metrics.log_loss(left, p) for _, p in candidates.values()]
    grade, sentence = _grade(losses[0], min(losses[1:], default=None))
    return {
        "as_of": iso(panel.as_of),
        "until": iso(panel.as_of + horizon * DAY),
        "customers": len(who.rows),
        "base_rate": float(left.mean()),
        "models": rows,
        "calibration": metrics.calibration(left, ours),
        "gains": metrics.gains(left, ours, GAINS),
        "next_stage": next_stage_figures(panel, models, predicted, later),
        "conversion": conversion_figures(panel, models, predicted, later),
        "spend": _spend(panel, models, predicted, later),
        "coverage": coverage_figures(predicted, later, intervals),
        "grade": grade,
        "grade_sentence": sentence,
    }


def _grade(ours: float, best: float | None) -> tuple[str, str]:
    """Return a grade from A to D by the log loss against the best baseline's, with the sentence
    that says so.
    """
    if best is None:
        return "C", "No baseline could be fitted on this log, so there is nothing to compare with."
    gain = 1.0 - ours / best
    if gain >= 0.02:
        return (
            "A",
            f"Clearly better than every baseline: the log loss is {gain:.1%} below the best one's.",
        )
    if gain >= 0.005:
        return "B", f"Better than every baseline: the log loss is {gain:.1%} below the best one's."
    if gain >= -0.005:
        return (
            "C",
            "As good as the best baseline, and no better: within half a per cent of its log loss.",
        )
    return (
        "D",
        (
            f"No better than a simple method on this period: the log loss is {-gain:.1%} "
            "above the best baseline's."
        ),
    )


def next_stage_figures(
    panel: Panel, models: Models, predicted: Predictions, later: Later
) -> list[dict[str, Any]]:
    known = later.stage >= 0
    return [
        {
            "name": name,
            "label": label,
            "log_loss": metrics.multiclass_log_loss(later.stage[known], p[known]),
            # of the stage that is furthest off
            "calibration_error": max(
                metrics.calibration_error(later.stage[known] == k, p[known, k])
                for k in range(p.shape[1])
            ),
        }
        for name, label, p in (
            ("stagecast", "stagecast", predicted.p_stage),
            ("markov", "Markov chain on stages", models.next_stage.chain[panel.now.stage]),
        )
    ]


def conversion_figures(
    panel: Panel, models: Models, predicted: Predictions, later: Later
) -> dict[str, Any] | None:
    """Return how good P(first purchase) was for those who had not bought; None where there were
    none.
    """
    leads = ~panel.now.buyers
    if not leads.any():
        return None
    bought, chance = later.orders[leads] > 0, predicted.p_convert[leads]
    flat = np.full(len(chance), models.conversion.share)
    return {
        "leads": int(leads.sum()),
        "converted": int(bought.sum()),
        "expected": float(chance.sum()),
        "auc": metrics.finite(metrics.auc(bought, chance)),
        "log_loss": metrics.log_loss(bought, chance),
        "log_loss_share": metrics.log_loss(bought, flat),
        "calibration_error": metrics.calibration_error(bought, chance),
    }


def _spend(
    panel: Panel, models: Models, predicted: Predictions, later: Later
) -> list[dict[str, Any]] | None:
    if models.value.mean_spend is None:
        return None
    buyers = predicted.buyers
    actual = later.spend[buyers]
    candidates = [("stagecast", "stagecast (blend)", predicted.expected_spend[buyers])]
    each = None if models.base is None else models.base.spend_per_order(predicted.columns)
    if each is not None:
        candidates.append(
            ("btyd", "customer base x Gamma-Gamma", predicted.columns["btyd_orders"] * each)
        )
    past = (
        panel.now.features["spend"][buyers]
        / panel.now.features["T_days"][buyers]
        * models.config.horizon_days
    )
    candidates.append(("past_rate", "spend so far, carried on", past))
    return [
        {
            "name": name,
            "label": label,
            "mae": float(np.abs(actual - p).mean()),
            "rank_correlation": metrics.finite(metrics.rank_correlation(actual, p)),
            "predicted_total": float(p.sum()),
            "actual_total": float(actual.sum()),
        }
        for name, label, p in candidates
    ]


def coverage_figures(
    predicted: Predictions, later: Later, intervals: Intervals | None
) -> dict[str, float] | None:
    if intervals is None:
        return None
    buyers = predicted.buyers
    low, high = intervals.around(predicted.expected_spend[buyers])
    actual = np.maximum(later.spend[buyers], 0.0)
    return {"expected_spend": float(((actual >= low) & (actual <= high)).mean())}

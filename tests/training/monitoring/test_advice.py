"""Whether to retrain: faults before truth, truth before drift, and age at any rate."""

from __future__ import annotations

import numpy as np

from stagecast.training.monitoring.advice import Checked, advice
from stagecast.training.monitoring.calibration import compared
from stagecast.training.monitoring.estimated import estimated_quality
from stagecast.training.monitoring.faults import Fault
from stagecast.training.monitoring.movement import Dates, Label, movements

P = np.random.default_rng(1).beta(1.5, 1.5, 1_000)


def checked(left=500, auc=0.85, **money):
    return Checked(
        "2020-06-01", compared(1_000, 500.0, left, **money), auc, 0.5, 0.2, estimated_quality(P)
    )


def moved(name):
    random = np.random.default_rng(2)
    dates = Dates(random.normal(size=900), random.normal(1.0, 1.0, 900))
    return movements([(Label(name, "days", "made"), dates)])


def ask(*, faults=(), check=None, age=100.0, features=(), scores=(), limit=None):
    sentences = [fault.sentence for fault in faults]
    return advice(faults, sentences, check, age, 90, features, scores, limit)


def causes(result, action):
    return {reason.cause for reason in result.reasons if reason.action == action}


def test_a_model_whose_scores_hold_is_kept():
    result = ask(check=checked())
    assert result.action == "keep"
    assert "500 were expected to leave, and 500 did" in result.sentence
    assert ask(age=10.0).sentence.endswith("is over in 80 days.")
    # such as that of contracts, whose scores are not held against what came
    assert "is over, but its scores are not held against what came" in ask(age=95.0).sentence


def test_age_drift_and_each_kind_of_miss_ask_for_a_retraining():
    assert causes(ask(check=checked(), age=180.0), "retrain") == {"calendar"}
    assert ask(check=checked(), age=180.0, limit=365).action == "keep"
    assert causes(ask(check=checked(600)), "retrain") == {"quality"}
    assert causes(ask(check=checked(auc=0.6)), "retrain") == {"quality"}
    poor = checked(spend_said=1_000.0, spend=500.0, spend_spread=50.0)
    assert "spent 50%" in ask(check=poor).sentence
    drift = {"features": moved("orders_90d"), "scores": moved("churn_probability")}
    assert causes(ask(check=checked(), **drift), "retrain") == {"drift"}


def test_drift_is_no_reason_before_outcomes_are_known_or_where_no_score_moved():
    drift = {"features": moved("orders_90d"), "scores": moved("churn_probability")}
    early = ask(age=40.0, **drift)
    assert early.action == "keep"
    assert any("known in 50 days" in reason.sentence for reason in early.reasons)
    alone = ask(check=checked(), features=moved("orders_90d"))
    assert alone.action == "keep"
    assert any("orders_90d has moved far" in reason.sentence for reason in alone.reasons)


def test_a_broken_log_is_repaired_before_anything_is_learned_from_it():
    fault = Fault("unit", "purchase", 3, "amounts are 100 times as large.")
    result = ask(faults=[fault], check=checked(700), age=400.0)
    assert result.action == "repair"
    assert result.sentence == "Repair the log before anything else: amounts are 100 times as large."

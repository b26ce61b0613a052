"""The evaluation: grades at their borders, figures that agree with the metrics, honest about
nothing to compare.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stagecast.training.judging.evaluate import GAINS, _grade, evaluate
from stagecast.training.learners import metrics
from stagecast.training.models import predict
from stagecast.training.outcomes import Later
from stagecast.training.value.intervals import Intervals
from tests.training.made import Trained


@pytest.mark.parametrize(
    ("ours", "grade", "words"),
    [
        (0.970, "A", "Clearly better than every baseline: the log loss is 3.0% below"),
        (0.9799, "A", "Clearly better"),
        (0.9801, "B", "Better than every baseline: the log loss is 2.0% below"),
        (0.9949, "B", "Better than every baseline"),
        (0.9951, "C", "As good as the best baseline"),
        (1.0049, "C", "As good as the best baseline"),
        (1.0051, "D", "No better than a simple method"),
        (1.3, "D", "30.0% above the best baseline's"),
    ],
)
def test_grades_at_their_borders(ours: float, grade: str, words: str) -> None:
    found, sentence = _grade(ours, 1.0)
    assert found == grade
    assert words in sentence


def test_without_a_baseline_there_is_no_praise() -> None:
    assert _grade(0.1, None)[0] == "C"


@pytest.fixture(scope="module")
def evaluated(shop: Trained) -> tuple[dict[str, Any], Later]:
    """Evaluate against outcomes drawn from the predictions themselves."""
    training = shop.training
    predicted = predict(training.models, training.panel.now)
    random = np.random.default_rng(1)
    p = np.where(np.isnan(predicted.p_inactive), 1 - predicted.p_convert, predicted.p_inactive)
    orders = np.where(random.random(len(p)) < p, 0.0, 2.0)
    stage = np.array([random.choice(8, p=row / row.sum()) for row in predicted.p_stage])
    stage[:3] = -1  # nothing was known of these
    later = Later(orders, 10.0 * orders, stage)
    return evaluate(
        training.panel, training.models, predicted, later, Intervals((), (0.0,), (np.inf,))
    ), later


def test_figures_are_those_of_the_buyers(
    shop: Trained, evaluated: tuple[dict[str, Any], Later]
) -> None:
    found, later = evaluated
    panel = shop.training.panel
    buyers = panel.now.buyers
    inactive = later.orders[buyers] == 0
    p = predict(shop.training.models, panel.now).p_inactive[buyers]
    ours = found["models"][0]
    assert (found["customers"], found["base_rate"]) == (buyers.sum(), inactive.mean())
    assert (ours["name"], ours["label"]) == ("stagecast", "stagecast (blend)")
    assert ours["log_loss"] == metrics.log_loss(inactive, p)
    assert ours["auc"] == metrics.auc(inactive, p)
    assert ours["brier"] == metrics.brier(inactive, p)
    assert ours["calibration_error"] == metrics.calibration_error(inactive, p) < 0.05
    assert ours["lift_10"] == metrics.capture(inactive, p, 0.1) / 0.1
    assert [row["name"] for row in found["models"][1:]] == ["recency", "bg_nbd", "rfm_logistic"]
    assert [g["share_contacted"] for g in found["gains"]] == list(GAINS)
    assert found["gains"][2]["share_of_churners"] == metrics.capture(inactive, p, 0.2)
    assert (found["as_of"], found["until"]) == ("2021-12-31", "2022-03-31")


def test_truth_drawn_from_the_predictions_gets_a_good_grade(
    evaluated: tuple[dict[str, Any], Later],
) -> None:
    found, _ = evaluated
    assert found["grade"] in "AB"
    stagecast, markov = found["next_stage"]
    assert stagecast["log_loss"] < markov["log_loss"]


def test_money_is_compared_with_what_came(
    evaluated: tuple[dict[str, Any], Later], shop: Trained
) -> None:
    found, later = evaluated
    actual = later.spend[shop.training.panel.now.buyers]
    assert [row["name"] for row in found["spend"]] == ["stagecast", "btyd", "past_rate"]
    for row in found["spend"]:
        assert row["actual_total"] == actual.sum()
        assert row["mae"] > 0
    assert found["coverage"] == {"expected_spend": 1.0}


def test_without_intervals_no_coverage_is_claimed(
    shop: Trained, evaluated: tuple[dict[str, Any], Later]
) -> None:
    training = shop.training
    predicted = predict(training.models, training.panel.now)
    assert (
        evaluate(training.panel, training.models, predicted, evaluated[1], None)["coverage"] is None
    )


def test_one_class_only_has_no_auc(shop: Trained) -> None:
    rows = len(shop.training.panel.now)
    later = Later(np.zeros(rows), np.zeros(rows), np.zeros(rows, dtype=np.int64))
    predicted = predict(shop.training.models, shop.training.panel.now)
    ours = evaluate(shop.training.panel, shop.training.models, predicted, later, None)["models"][0]
    assert ours["auc"] is None
    assert np.isfinite(ours["log_loss"])

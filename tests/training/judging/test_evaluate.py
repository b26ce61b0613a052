"""The evaluation: figures that agree with the metrics, and nothing claimed without a basis."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.judging.evaluate import GAINS, evaluate
from stagecast.training.judging.evaluation_result import Coverage, Evaluation
from stagecast.training.learners import metrics
from stagecast.training.models import predict
from stagecast.training.outcomes import Later
from stagecast.training.value.intervals import Intervals
from tests.training.made import Trained


@pytest.fixture(scope="module")
def evaluated(shop: Trained) -> tuple[Evaluation, Later]:
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
        training.panel, training.models, predicted, later, Intervals((0.5, 0.5), (), (0.0,), (1.0,))
    ), later


def test_figures_are_those_of_the_buyers(
    shop: Trained, evaluated: tuple[Evaluation, Later]
) -> None:
    evaluation, later = evaluated
    panel = shop.training.panel
    buyers = panel.now.buyers
    inactive = later.orders[buyers] == 0
    p = predict(shop.training.models, panel.now).p_inactive[buyers]
    ours, *baselines = evaluation.models
    assert (evaluation.customers, evaluation.base_rate) == (buyers.sum(), inactive.mean())
    assert (ours.name, ours.label) == ("stagecast", "stagecast (blend)")
    assert ours.log_loss == metrics.log_loss(inactive, p)
    assert ours.auc == metrics.auc(inactive, p)
    assert ours.brier == metrics.brier(inactive, p)
    assert ours.calibration_error == metrics.calibration_error(inactive, p) < 0.05
    assert ours.lift_10 == metrics.capture(inactive, p, 0.1) / 0.1
    names = ["recency", "bg_nbd", "rfm_logistic", "share"]
    assert [baseline.name for baseline in baselines] == names
    assert [point.share_contacted for point in evaluation.gains] == list(GAINS)
    assert evaluation.gains[2].share_of_churners == metrics.capture(inactive, p, 0.2)
    assert (evaluation.as_of, evaluation.until) == ("2021-12-31", "2022-03-31")


def test_truth_drawn_from_the_predictions_gets_a_good_grade(
    evaluated: tuple[Evaluation, Later],
) -> None:
    evaluation, _ = evaluated
    assert evaluation.grade in "AB"
    stagecast, markov = evaluation.next_stage
    assert stagecast.log_loss < markov.log_loss


def test_the_grade_is_of_the_active_with_intervals_over_draws_of_the_customers(
    shop: Trained, evaluated: tuple[Evaluation, Later]
) -> None:
    evaluation, later = evaluated
    models, now = shop.training.models, shop.training.panel.now
    active = np.array([s.state == "active" for s in models.scheme.stages])[now.stage]
    gone, p = later.orders[active] == 0, predict(models, now).p_inactive[active]
    of_active = evaluation.active
    assert of_active is not None
    assert (of_active.customers, of_active.base_rate) == (active.sum(), gone.mean())
    assert of_active.models[0].log_loss == metrics.log_loss(gone, p)
    assert f"on the {active.sum():,} active" in evaluation.grade_sentence
    for baseline, difference in zip(of_active.models[1:], of_active.against, strict=True):
        assert difference.name == baseline.name
        gap = of_active.models[0].log_loss - baseline.log_loss
        assert difference.difference == pytest.approx(gap)
        assert difference.low < gap < difference.high
    # the share of the active is that of the active before, the same for all of them
    share = of_active.models[-1]
    assert (share.name, share.auc) == ("share", 0.5)


def test_money_is_compared_with_the_observed_spend(
    evaluated: tuple[Evaluation, Later], shop: Trained
) -> None:
    evaluation, later = evaluated
    observed = later.spend[shop.training.panel.now.buyers]
    assert [method.name for method in evaluation.spend] == ["stagecast", "btyd", "past_rate"]
    for method in evaluation.spend:
        assert method.actual_total == observed.sum()
        assert method.mae > 0
    assert evaluation.coverage == Coverage(expected_spend=1.0)


def test_without_intervals_no_coverage_is_claimed(
    shop: Trained, evaluated: tuple[Evaluation, Later]
) -> None:
    training = shop.training
    predicted = predict(training.models, training.panel.now)
    evaluation = evaluate(training.panel, training.models, predicted, evaluated[1], None)
    assert evaluation.coverage is None


def test_one_class_only_has_no_auc(shop: Trained) -> None:
    rows = len(shop.training.panel.now)
    later = Later(np.zeros(rows), np.zeros(rows), np.zeros(rows, dtype=np.int64))
    predicted = predict(shop.training.models, shop.training.panel.now)
    evaluation = evaluate(shop.training.panel, shop.training.models, predicted, later, None)
    ours = evaluation.models[0]
    assert ours.auc is None
    assert np.isfinite(ours.log_loss)

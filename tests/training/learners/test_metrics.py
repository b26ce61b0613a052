"""Figures equal scikit-learn's and those computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import spearmanr

from stagecast.training.learners import metrics

TARGET = np.random.default_rng(1).random(500) < 0.3
# rounded, so that there are ties
P = np.round(
    np.clip(0.3 + 0.2 * TARGET + np.random.default_rng(2).normal(0, 0.15, 500), 0.01, 0.99), 2
)


def test_figures_equal_scikit_learns() -> None:
    assert metrics.log_loss(TARGET, P) == pytest.approx(
        sklearn.metrics.log_loss(TARGET, P), abs=1e-12
    )
    assert metrics.auc(TARGET, P) == pytest.approx(
        sklearn.metrics.roc_auc_score(TARGET, P), abs=1e-12
    )
    assert metrics.brier(TARGET, P) == pytest.approx(
        sklearn.metrics.brier_score_loss(TARGET, P), abs=1e-12
    )
    assert metrics.rank_correlation(P, 2.0 * TARGET) == pytest.approx(
        spearmanr(P, TARGET).statistic, abs=1e-12
    )


def test_class_log_loss_equals_scikit_learns() -> None:
    random = np.random.default_rng(3)
    p = random.dirichlet(np.ones(4), 200)
    target = random.integers(0, 4, 200)
    theirs = sklearn.metrics.log_loss(target, p, labels=[0, 1, 2, 3])
    assert metrics.multiclass_log_loss(target, p) == pytest.approx(theirs, abs=1e-12)


def test_certainty_that_is_wrong_costs_a_finite_sum() -> None:
    assert metrics.log_loss(np.array([True]), np.array([0.0])) == pytest.approx(6 * math.log(10))
    assert metrics.log_loss(np.array([False]), np.array([1.0])) == pytest.approx(6 * math.log(10))
    assert metrics.multiclass_log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(
        6 * math.log(10)
    )


def test_what_cannot_be_said_is_nan() -> None:
    assert math.isnan(metrics.auc(np.ones(3, dtype=np.bool_), np.arange(3.0)))
    assert math.isnan(metrics.capture(np.zeros(3, dtype=np.bool_), np.arange(3.0), 0.5))
    assert math.isnan(metrics.rank_correlation(np.ones(3), np.arange(3.0)))


def test_calibration_by_hand() -> None:
    p = np.array([0.9, 0.1, 0.8, 0.2])
    target = np.array([True, False, False, False])
    low, high = metrics.calibration(target, p, groups=2)
    assert low == metrics.CalibrationGroup(pytest.approx(0.15), 0.0, 2.0)
    assert high == metrics.CalibrationGroup(pytest.approx(0.85), 0.5, 2.0)
    assert metrics.calibration_error(target, p, groups=2) == pytest.approx(
        (2 * 0.15 + 2 * 0.35) / 4
    )


def test_groups_of_unlike_size_are_weighted() -> None:
    p = np.array([0.0, 0.0, 1.0])
    target = np.array([True, True, True])
    assert metrics.calibration_error(target, p, groups=2) == pytest.approx(2 / 3)


def test_fewer_rows_than_groups_make_no_empty_group() -> None:
    assert len(metrics.calibration(np.array([True, False]), np.array([0.2, 0.4]))) == 2


def test_capture_by_hand() -> None:
    target = np.array([True, False, True, True, False])
    score = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert metrics.capture(target, score, 0.2) == pytest.approx(1 / 3)
    assert metrics.capture(target, score, 0.6) == pytest.approx(2 / 3)
    assert metrics.capture(target, score, 1.0) == 1.0
    # at least one is always looked at
    assert metrics.capture(target, score, 0.01) == pytest.approx(1 / 3)


def test_a_ranking_with_weights_equals_scikit_learns() -> None:
    weights = np.random.default_rng(6).poisson(1.0, (3, 500)).astype(float)
    actual = metrics.Ranking(TARGET, P).figures(weights, (0.1,))
    for k, weight in enumerate(weights):
        assert actual["auc"][k] == pytest.approx(
            sklearn.metrics.roc_auc_score(TARGET, P, sample_weight=weight), abs=1e-12
        )
        theirs = sklearn.metrics.average_precision_score(TARGET, P, sample_weight=weight)
        assert actual["pr_auc"][k] == pytest.approx(theirs, abs=1e-12)
        alone = metrics.Ranking(TARGET, P).figures(weight[None], (0.1,))
        assert {name: values[0] for name, values in alone.items()} == {
            name: values[k] for name, values in actual.items()
        }


def test_ties_share_what_they_hold() -> None:
    target = np.array([True, True, False, False])
    figures = metrics.Ranking(target, np.ones(4)).figures(np.ones((1, 4)), (0.25, 0.5))
    actual = {name: value for name, (value,) in figures.items()}
    assert (actual["capture_25"], actual["capture_50"], actual["auc"]) == (0.25, 0.5, 0.5)


def test_the_profit_of_a_campaign_is_the_published_one() -> None:
    # empulse's documentation, and Verbraken et al. (2013): a perfect ranking of half churners, and
    # a useless one
    y = np.array([False, True] * 4)
    assert metrics.empc(y, np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9]))[0] == pytest.approx(
        23.875593418
    )  # type: ignore[index]
    half = np.arange(100) < 50
    assert metrics.empc(half, half.astype(float)) == pytest.approx((28.0, 0.5))
    assert metrics.empc(half, np.full(100, 0.5))[0] == pytest.approx(22.5007912, abs=1e-6)  # type: ignore[index]
    assert metrics.empc(np.ones(5, dtype=np.bool_), np.full(5, 0.5)) is None


def test_deciles_by_hand() -> None:
    p = np.linspace(0.95, 0.05, 10)
    target = np.array([True] * 3 + [False] * 7)
    rows = metrics.deciles(target, p, value=np.arange(10.0), groups=5)
    assert [row.observed for row in rows] == [1.0, 0.5, 0.0, 0.0, 0.0]
    assert rows[0].lift == pytest.approx(1.0 / 0.3)
    assert [row.captured for row in rows] == pytest.approx([2 / 3, 1.0, 1.0, 1.0, 1.0])
    assert [row.value for row in rows] == [1.0, 5.0, 9.0, 13.0, 17.0]


def test_the_normalised_gini_is_1_for_the_truth_and_0_for_a_lot() -> None:
    outcome = np.random.default_rng(8).gamma(0.5, 10.0, 2_000)
    assert metrics.normalised_gini(outcome, outcome) == pytest.approx(1.0)
    assert metrics.normalised_gini(outcome, -outcome) == pytest.approx(-1.0)
    assert metrics.normalised_gini(outcome, np.ones(2_000)) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(metrics.normalised_gini(np.zeros(5), np.arange(5.0)))

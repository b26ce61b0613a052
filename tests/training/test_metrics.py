"""Figures equal scikit-learn's and those computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import spearmanr

from training import metrics

TARGET = np.random.default_rng(1).random(500) < 0.3
# rounded, so that there are ties
P = np.round(np.clip(0.3 + 0.2 * TARGET + np.random.default_rng(2).normal(0, 0.15, 500), 0.01, 0.99), 2)


def test_figures_equal_scikit_learns() -> None:
    assert metrics.log_loss(TARGET, P) == pytest.approx(sklearn.metrics.log_loss(TARGET, P), abs=1e-12)
    assert metrics.auc(TARGET, P) == pytest.approx(sklearn.metrics.roc_auc_score(TARGET, P), abs=1e-12)
    assert metrics.brier(TARGET, P) == pytest.approx(sklearn.metrics.brier_score_loss(TARGET, P), abs=1e-12)
    assert metrics.rank_correlation(P, 2.0 * TARGET) == pytest.approx(spearmanr(P, TARGET).statistic, abs=1e-12)


def test_class_log_loss_equals_scikit_learns() -> None:
    random = np.random.default_rng(3)
    p = random.dirichlet(np.ones(4), 200)
    target = random.integers(0, 4, 200)
    theirs = sklearn.metrics.log_loss(target, p, labels=[0, 1, 2, 3])
    assert metrics.multiclass_log_loss(target, p) == pytest.approx(theirs, abs=1e-12)


def test_certainty_that_is_wrong_costs_a_finite_sum() -> None:
    assert metrics.log_loss(np.array([True]), np.array([0.0])) == pytest.approx(6 * math.log(10))
    assert metrics.log_loss(np.array([False]), np.array([1.0])) == pytest.approx(6 * math.log(10))
    assert metrics.multiclass_log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(6 * math.log(10))


def test_what_cannot_be_said_is_nan() -> None:
    assert math.isnan(metrics.auc(np.ones(3, dtype=np.bool_), np.arange(3.0)))
    assert math.isnan(metrics.capture(np.zeros(3, dtype=np.bool_), np.arange(3.0), 0.5))
    assert math.isnan(metrics.rank_correlation(np.ones(3), np.arange(3.0)))


def test_calibration_by_hand() -> None:
    p = np.array([0.9, 0.1, 0.8, 0.2])
    target = np.array([True, False, False, False])
    low, high = metrics.calibration(target, p, groups=2)
    assert low == {"predicted": pytest.approx(0.15), "observed": 0.0, "customers": 2.0}
    assert high == {"predicted": pytest.approx(0.85), "observed": 0.5, "customers": 2.0}
    assert metrics.calibration_error(target, p, groups=2) == pytest.approx((2 * 0.15 + 2 * 0.35) / 4)


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

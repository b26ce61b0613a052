"""Quality that is estimated before the outcomes are known, against outcomes that are simulated."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from stagecast.training.monitoring.calibration import compared
from stagecast.training.monitoring.estimated import estimated_quality, expected_auc


def realised(random, p, truth):
    left = random.random(len(p)) < truth
    return log_loss(left, p), brier_score_loss(left, p), roc_auc_score(left, p)


def test_of_calibrated_probabilities_the_estimate_is_what_comes():
    random = np.random.default_rng(1)
    p = np.round(random.beta(1.2, 2.0, 1_000), 3)  # with ties
    estimate = estimated_quality(p)
    figures = (estimate.log_loss, estimate.brier, estimate.auc)
    came = np.array([realised(random, p, p) for _ in range(100)])
    for figure, values in zip(figures, came.T, strict=True):
        assert figure.value == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(100))
        assert 0.88 <= np.mean((figure.low <= values) & (values <= figure.high)) <= 1.0


def test_of_probabilities_that_are_wrong_the_outcomes_lie_outside():
    random = np.random.default_rng(2)
    p = random.beta(1.2, 2.0, 3_000)
    estimate = estimated_quality(p)
    loss, _, _ = realised(random, p, 0.5 + 0.4 * (p - 0.5))
    assert loss > estimate.log_loss.high


def test_the_auc_is_that_of_all_pairs():
    p = np.array([0.9, 0.5, 0.5, 0.2, 0.05])
    right = pairs = 0.0
    for i in range(5):
        for j in range(5):
            if i != j:
                weight = p[i] * (1 - p[j])
                pairs += weight
                right += weight * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    assert expected_auc(p) == pytest.approx(right / pairs)


def test_nobody_has_no_quality():
    assert estimated_quality(np.array([np.nan, np.nan])) is None
    assert estimated_quality(np.array([0.3])).auc is None


def test_what_came_is_off_beyond_chance_and_by_enough():
    random = np.random.default_rng(3)
    p = random.beta(1.0, 1.5, 600)
    spread = float(np.sqrt(np.sum(p * (1 - p))))
    counts = (random.random((2_000, 600)) < p).sum(axis=1)
    groups = [compared(600, float(p.sum()), int(left), spread) for left in counts]
    inside = np.mean([g.low <= left <= g.high for g, left in zip(groups, counts, strict=True)])
    assert inside == pytest.approx(0.95, abs=0.02)
    # 5 % of the customers are three times the spread here, so hardly a draw is off
    assert np.mean([group.off for group in groups]) <= 0.01
    assert compared(600, float(p.sum()), int(p.sum() + 60), spread).off
    # beyond chance, and by too little to change a decision
    assert not compared(100_000, 30_000.0, 31_000, 140.0).off
    # money: beyond its range, and by a quarter or more
    assert compared(600, 200.0, 200, spend_said=1e4, spend=7e3, spend_spread=500.0).money_off
    assert not compared(600, 200.0, 200, spend_said=1e4, spend=7e3, spend_spread=2e3).money_off
    assert not compared(600, 200.0, 200, spend_said=1e4, spend=9e3, spend_spread=10.0).money_off

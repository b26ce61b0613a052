"""Contacts drawn at random pass; contacts that were chosen do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.training.uplift.randomisation import check_random, require_random
from stagecast.training.uplift.trial import make_trial
from tests.training.uplift.made import NAMES, features, simulate


@pytest.mark.parametrize("propensity", ["half", "unequal"])
def test_contacts_drawn_at_random_pass(propensity: str) -> None:
    check = check_random(simulate(3000, 1, propensity=propensity)[0])
    assert check.passed
    assert check.auc is not None
    assert check.auc.low < 0.5 < check.auc.high
    require_random(check)


def test_a_choice_by_a_feature_is_refused_with_its_name() -> None:
    trial, _ = simulate(3000, 1, propensity="unequal")
    check = check_random(replace(trial, propensity=np.full(3000, 0.5)))
    assert check.auc is not None
    assert check.auc.value > 0.6
    assert abs(check.differences["orders"].value) > 0.3
    with pytest.raises(DataRefusedError, match=r"'(orders|recency)' of the contacted is"):
        require_random(check)
    require_random(check, even_if_not=True)


def test_a_choice_that_no_mean_shows_is_noticed_by_the_model() -> None:
    X = features(4000, 2)
    random = np.random.default_rng(3)
    w = random.uniform(size=4000) < np.where(np.abs(X[:, 0]) < 0.67, 0.35, 0.65)
    check = check_random(make_trial(X, NAMES, w, 0.5, np.zeros(4000)))
    assert check.difference_p > 0.001
    assert check.auc_p < 0.001
    assert "AUC" in check.sentence


def test_a_wrong_share_is_refused() -> None:
    trial, _ = simulate(3000, 1)
    check = check_random(replace(trial, propensity=np.full(3000, 0.6)))
    with pytest.raises(DataRefusedError, match=r"were contacted where the propensities say 60\.0%"):
        require_random(check)


def test_few_alarms_without_cause() -> None:
    passed = [check_random(simulate(300, seed)[0]).passed for seed in range(20)]
    assert sum(passed) >= 19


def test_few_rows_have_no_auc() -> None:
    check = check_random(simulate(20, 1)[0])
    assert check.auc is None
    assert check.passed

"""What a trial must be; what is refused, and how identical rows are treated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.uplift.folds import folds_of
from stagecast.training.uplift.trial import make_trial

GOOD: dict[str, Any] = {
    "X": [[1.0], [2.0], [3.0]],
    "names": ["x"],
    "contacted": [1, 0, 1],
    "propensity": 0.5,
    "y": [0, 1, 1],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensity": 1.0}, "a propensity is 1"),
        ({"propensity": [0.5, 0.0, 0.5]}, "a propensity is 0"),
        ({"propensity": float("nan")}, "a propensity is nan"),
        ({"contacted": [1, 0]}, "do not belong together"),
        ({"contacted": [1, 0, 2]}, "other than 0 and 1"),
        ({"names": ["x", "z"]}, "1 columns and 2 different names"),
        ({"X": [1.0, 2.0, 3.0]}, "do not belong together"),
        ({"customer": [1, 2]}, "one id per row"),
        ({"propensity": [0.5, 0.5]}, "one number"),
    ],
)
def test_wrong_use_is_refused_with_its_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_trial(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contacted": [1, 1, 1]}, "none of the 3 customers was left alone"),
        ({"contacted": [0, 0, 0]}, "none of the 3 customers was contacted"),
        ({"y": [0, float("nan"), 1]}, "in row 1"),
        ({"X": [[1.0], [np.inf], [2.0]]}, "column 'x' has an infinite value"),
        ({"X": np.zeros((0, 1)), "y": [], "contacted": []}, "no rows"),
    ],
)
def test_data_that_hold_no_effect_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataRefusedError, match=message):
        make_trial(**{**GOOD, **change})


def test_identical_rows_stay() -> None:
    trial = make_trial([[1.0]] * 6, ["x"], [1, 1, 1, 0, 0, 0], 0.5, [1] * 6)
    assert len(trial) == 6
    assert len(set(trial.customer.tolist())) == 6


def test_a_customer_is_in_one_fold_and_each_fold_has_its_share() -> None:
    customer = np.repeat(np.arange(200), 3)
    contacted = np.repeat(np.arange(200) % 4 == 0, 3)
    trial = make_trial(np.zeros((600, 1)), ["x"], contacted, 0.25, np.zeros(600), customer)
    fold = folds_of(trial, 5, seed=3)
    assert all(len(set(fold[customer == c].tolist())) == 1 for c in range(200))
    assert [int(contacted[fold == k].sum()) for k in range(5)] == [30] * 5


def test_fewer_customers_than_folds_are_refused() -> None:
    with pytest.raises(UsageError, match="3 customers cannot be dealt into 5 folds"):
        folds_of(make_trial(**GOOD), 5)

"""Splits over stacked snapshots: no outcome that was not known at the test date is learned from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import cross_val_score

from stagecast.features.errors import UsageError
from stagecast.training.estimators import RfmLogistic, SnapshotSplit
from tests.profiles import examples

DATES = ["2011-01-01", "2011-03-01", "2011-04-01", "2011-07-01"]


def panel(customers: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any], pd.DataFrame]:
    random = np.random.default_rng(1)
    rows = customers * len(DATES)
    X = pd.DataFrame({"recency_days": random.exponential(60.0, rows)})
    groups = pd.DataFrame(
        {
            "as_of": pd.to_datetime(np.repeat(DATES, customers), utc=True),
            "customer_id": np.tile([f"c{k}" for k in range(customers)], len(DATES)),
        }
    ).sample(frac=1.0, random_state=1)
    return X, random.random(rows) < 0.4, groups


def test_a_horizon_that_ends_on_the_test_date_is_over_and_a_day_later_is_not() -> None:
    groups = np.array(DATES)
    X = np.zeros((4, 1))
    splits = [(a.tolist(), b.tolist()) for a, b in SnapshotSplit("90d").split(X, groups=groups)]
    assert splits == [([0], [2]), ([0, 1, 2], [3])]  # 2011-01-01 + 90 days is 2011-04-01
    later = [(a.tolist(), b.tolist()) for a, b in SnapshotSplit(91).split(X, groups=groups)]
    assert later == [([0, 1, 2], [3])]
    newest = SnapshotSplit(timedelta(days=31), n_splits=1)
    assert [b.tolist() for _, b in newest.split(X, groups=groups)] == [[3]]


@given(
    days=st.lists(st.integers(0, 400), min_size=8, max_size=40),
    gap=st.integers(0, 120),
    folds=st.sampled_from([None, 2, 3]),
)
@settings(max_examples=examples(60), deadline=None)
def test_training_rows_are_over_before_the_test_and_of_other_customers(
    days: list[int], gap: int, folds: int | None
) -> None:
    as_of = pd.Timestamp("2011-01-01") + pd.to_timedelta(days, unit="D")
    customer = np.arange(len(days)) % 7
    groups = pd.DataFrame({"as_of": as_of, "customer_id": customer})
    cv = SnapshotSplit(gap, customer_folds=folds)
    tested: list[int] = []
    try:
        for train, test in cv.split(np.zeros((len(days), 1)), groups=groups):
            assert as_of[test].nunique() == 1
            assert (as_of[train] + pd.Timedelta(days=gap) <= as_of[test][0]).all()
            assert folds is None or not set(customer[train]) & set(customer[test])
            tested += test.tolist()
    except UsageError:
        return
    assert len(tested) == len(set(tested))
    if folds is None:
        first = as_of.min() + pd.Timedelta(days=gap)
        assert sorted(tested) == np.flatnonzero(as_of >= first).tolist()


def test_scikit_learn_takes_it() -> None:
    X, y, groups = panel(40)
    cv = SnapshotSplit("60d")
    of_dates = cross_val_score(RfmLogistic(), X, y, groups=groups, cv=cv, error_score="raise")
    assert len(of_dates) == cv.get_n_splits(X, y, groups) == 2
    cv = SnapshotSplit("60d", customer_folds=3)
    scores = cross_val_score(RfmLogistic(), X, y, groups=groups, cv=cv, error_score="raise")
    assert len(scores) == cv.get_n_splits(groups=groups) == 6
    assert SnapshotSplit("60d", n_splits=1, customer_folds=3).get_n_splits() == 3


@pytest.mark.parametrize(
    ("cv", "groups", "message"),
    [
        (SnapshotSplit("90d"), None, "needs the as_of of each row: pass groups="),
        (SnapshotSplit("90"), DATES, "gap '90': the unit is missing"),
        (SnapshotSplit(1.5), DATES, r"gap = 1.5 cannot be used; give a span such as"),  # type: ignore[arg-type]
        (SnapshotSplit("90d", n_splits=3), DATES, "2 of 4 dates have an earlier .* 3 are needed"),
        (SnapshotSplit("90d"), [*DATES[:3], None], "groups holds no date at row 3"),
        (SnapshotSplit("90d"), DATES[:3], "groups has 3 rows and X 4"),
        (SnapshotSplit("90d"), ["shop", "b", "c", "d"], "groups holds no dates"),
        (SnapshotSplit("90d", customer_folds=2), DATES, "customer_folds needs the customers"),
        (
            SnapshotSplit("90d", customer_folds=1),
            DATES,
            "customer_folds = 1 cannot be used; give a whole number",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(cv: SnapshotSplit, groups: Any, message: str) -> None:
    with pytest.raises((UsageError, ValueError), match=message):
        list(cv.split(np.zeros((4, 1)), groups=groups))

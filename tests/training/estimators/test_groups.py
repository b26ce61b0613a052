"""Customers with several rows: a fold does not divide them, and copies of rows are no news."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.training.estimators.copies import without_copies
from stagecast.training.estimators.folds import fold_numbers
from tests.profiles import examples
from tests.training.estimators.test_estimators import EACH, FAST, frame, target, told


@EACH
@pytest.mark.parametrize("by", ["copies", "customer", "weight"])
def test_the_same_rows_three_times_move_nothing(kind: type, by: str) -> None:
    X = frame(150, 1)
    y = target(kind, X)
    once = told(kind(**FAST).fit(X, y), X)
    customer = np.tile([f"c{k:04}" for k in range(150)], 3)
    options: dict[str, Any] = {
        "copies": {},
        "customer": {"groups": customer},
        "weight": {
            "groups": pd.DataFrame({"customer_id": customer}),
            "sample_weight": np.repeat([1.0, 0.5, 0.25], 150),
        },
    }[by]
    thrice = kind(**FAST).fit(pd.concat([X] * 3), np.tile(y, 3), **options)
    assert told(thrice, X).tobytes() == once.tobytes()


@EACH
def test_with_customers_a_row_of_weight_2_is_two_rows(kind: type) -> None:
    X = frame(120, 1)
    y, weight, customer = target(kind, X), np.arange(120) % 3 + 1, np.arange(120) // 2
    weighted = kind(**FAST).fit(X, y, sample_weight=weight, groups=customer)
    rows = np.repeat(np.arange(120), weight)
    repeated = kind(**FAST).fit(X.iloc[rows], y[rows], groups=customer[rows])
    np.testing.assert_allclose(told(repeated, X), told(weighted, X), rtol=1e-6)


@EACH
def test_customers_of_one_row_each_change_nothing(kind: type) -> None:
    X = frame(120, 1)
    y = target(kind, X)
    plain = kind(**FAST).fit(X, y)
    named = kind(**FAST).fit(X, y, groups=np.arange(120)[::-1])
    assert told(named, X).tobytes() == told(plain, X).tobytes()


@given(st.data())
@settings(max_examples=examples(60), deadline=None)
def test_a_fold_does_not_divide_a_group_and_leaves_two_classes(data: st.DataObject) -> None:
    size = data.draw(st.integers(4, 60))
    coded = np.array(data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)))
    group = np.array(data.draw(st.lists(st.integers(0, 12), min_size=size, max_size=size)))
    fold = fold_numbers(coded, data.draw(st.integers(2, 6)), data.draw(st.integers(0, 9)), group)
    if fold is None:
        return
    for number in set(group):
        assert len(set(fold[group == number])) == 1
    for k in range(int(fold.max()) + 1):
        assert 0 < (fold == k).sum() < size
        assert len(set(coded[fold != k])) >= min(2, len(set(coded)))


def test_equal_rows_of_few_kinds_are_customers_and_no_copies() -> None:
    X, y = np.ones((300, 2)), np.r_[np.zeros(136, int), np.ones(164, int)]
    rows, weight = without_copies(X, y, np.ones(300), None)
    assert len(rows) == 300
    assert weight.tolist() == [1.0] * 300


def test_groups_that_cannot_be_used_are_refused() -> None:
    X = frame(40, 1)
    for kind, y in ((k, target(k, X)) for k in EACH.args[1]):
        with pytest.raises(ValueError, match=r"groups has shape \(3,\); give one label per row"):
            kind(**FAST).fit(X, y, groups=[1, 2, 3])
        with pytest.raises(ValueError, match="groups holds no label at row 7"):
            kind(**FAST).fit(X, y, groups=[None if k == 7 else "a" for k in range(40)])

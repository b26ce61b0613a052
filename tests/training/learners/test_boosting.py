"""Boosted members: columns by name, same bytes from the same seed, contributions that add up."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.boosting import fit, training_threads

NAMES = ("b", "a", "c")


@pytest.fixture(scope="module")
def columns() -> dict[str, Array]:
    random = np.random.default_rng(1)
    return {name: random.normal(0, 1, 500) for name in ("a", "b", "c", "not_used")}


def fitted(columns: dict[str, Array], seed: int = 7) -> Boosted:
    target = (columns["a"] + 0.3 * columns["c"] > 0).astype(np.float64)
    return fit(columns, NAMES, target, np.ones(500), "binary", trees=20, seed=seed)


def test_columns_are_picked_by_name(columns: dict[str, Array]) -> None:
    model = fitted(columns)
    turned = dict(reversed(columns.items()))
    assert model.columns == NAMES
    assert model.raw(turned).tobytes() == model.raw(columns).tobytes()
    assert np.corrcoef(model.raw(columns), columns["a"])[0, 1] > 0.7


def test_a_missing_column_is_an_error(columns: dict[str, Array]) -> None:
    with pytest.raises(KeyError, match="a"):
        fitted(columns).raw({"b": columns["b"], "c": columns["c"]})


def test_the_seed_decides_the_text(columns: dict[str, Array]) -> None:
    assert fitted(columns).text == fitted(columns).text
    assert fitted(columns).text != fitted(columns, seed=8).text


def test_raw_scores_are_those_of_lightgbm(columns: dict[str, Array]) -> None:
    model = fitted(columns)
    X = np.column_stack([columns[name] for name in NAMES])
    theirs = lightgbm.Booster(model_str=model.text).predict(X, raw_score=True, num_threads=1)
    assert model.raw(columns).tobytes() == np.asarray(theirs).tobytes()
    assert model.raw(columns, threads=1).tobytes() == model.raw(columns, threads=2).tobytes()


def test_contributions_sum_to_the_raw_score(columns: dict[str, Array]) -> None:
    model = fitted(columns)
    shares = model.contributions(columns)
    assert shares.shape == (500, 4)
    np.testing.assert_allclose(shares.sum(axis=1), model.raw(columns), atol=1e-10)
    assert np.ptp(shares[:, -1]) == 0
    # a moves the target, b does not
    assert np.abs(shares[:, 1]).mean() > 10 * np.abs(shares[:, 0]).mean()


def test_a_start_is_not_part_of_the_raw_score(columns: dict[str, Array]) -> None:
    target = 5.0 + columns["a"]
    start = np.full(500, 5.0)
    model = fit(
        columns,
        NAMES,
        target,
        np.ones(500),
        "regression",
        trees=200,
        seed=1,
        start=start,
        learning_rate=0.1,
    )
    assert abs(model.raw(columns).mean()) < 0.2


def test_weights_count(columns: dict[str, Array]) -> None:
    target = (np.arange(500) % 2).astype(np.float64)
    weight = np.where(target == 1, 9.0, 1.0)
    model = fit(
        {"a": np.zeros(500) + np.arange(500) % 3}, ["a"], target, weight, "binary", trees=50, seed=1
    )
    # nine to one in weight; boosting starts from the weighted share
    assert model.raw({"a": np.zeros(1)})[0] == pytest.approx(np.log(9.0), abs=0.3)


def test_one_core_is_left_to_others() -> None:
    assert training_threads() >= 1

"""The linear models say what scikit-learn's say on the same design, from numbers in JSON alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from stagecast.features.arrays import Array
from stagecast.training.learners import glm
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.linear import LogisticModel, MultinomialModel

RECIPE = Recipe({"a": (True, 4), "b": (False, 0)})


@pytest.fixture(scope="module")
def columns() -> dict[str, Array]:
    random = np.random.default_rng(1)
    return {
        "a": random.gamma(2, 9, 600),
        "b": np.where(random.random(600) < 0.2, np.nan, random.normal(0, 1, 600)),
    }


@pytest.fixture(scope="module")
def target(columns: dict[str, Array]) -> NDArray[np.bool_]:
    margin = np.log1p(columns["a"]) - 2.5 + np.nan_to_num(columns["b"])
    return np.asarray(np.random.default_rng(2).random(600) < expit(margin))


@pytest.fixture(scope="module")
def weight() -> Array:
    return np.random.default_rng(3).uniform(0.5, 3.0, 600)


def theirs(X: Array, y: Array, weight: Array, penalty: float) -> Array:
    model = LogisticRegression(C=1 / penalty, max_iter=2_000, tol=1e-10).fit(
        X, y, sample_weight=weight
    )
    return np.asarray(model.predict_proba(X))


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_probabilities_are_scikit_learns(
    columns: dict[str, Array], target: NDArray[np.bool_], weight: Array, penalty: float
) -> None:
    model = glm.fit_logistic(RECIPE, columns, target, weight, penalty)
    p = theirs(model.design.matrix(columns), target, weight, penalty)[:, 1]
    np.testing.assert_allclose(model.probability(columns), p, atol=2e-5)
    np.testing.assert_allclose(expit(model.margin(columns)), model.probability(columns))


@pytest.mark.parametrize("classes", [2, 4])
def test_class_probabilities_are_scikit_learns(
    columns: dict[str, Array], weight: Array, classes: int
) -> None:
    random = np.random.default_rng(4)
    wanted = np.log1p(columns["a"]) + random.normal(0, 1, 600)
    # positions in a scheme have gaps
    target = 1 + 2 * np.searchsorted(
        np.quantile(wanted, np.linspace(0, 1, classes + 1)[1:-1]), wanted
    )
    model = glm.fit_multinomial(RECIPE, columns, target, weight, 2.0)
    assert model.classes == tuple(range(1, 2 * classes, 2))
    expected = theirs(model.design.matrix(columns), target.astype(np.float64), weight, 2.0)
    np.testing.assert_allclose(model.probability(columns), expected, atol=2e-5)
    np.testing.assert_allclose(model.probability(columns).sum(axis=1), 1.0)


def test_predictions_are_those_of_scikit_learns_ridge(
    columns: dict[str, Array], weight: Array
) -> None:
    y = np.log1p(columns["a"]) ** 2 + np.nan_to_num(columns["b"])
    model = glm.fit_linear(RECIPE, columns, y, weight, 3.0)
    X = model.design.matrix(columns)
    np.testing.assert_allclose(
        model.margin(columns), Ridge(alpha=3.0).fit(X, y, sample_weight=weight).predict(X)
    )


def test_known_coefficients_come_back() -> None:
    random = np.random.default_rng(5)
    x = random.normal(0, 1, 20_000)
    target = random.random(20_000) < expit(-1.0 + 0.8 * x)
    model = glm.fit_logistic(Recipe({"x": (False, 0)}), {"x": x}, target, np.ones(20_000))
    inside = {"x": np.array([-1.0, 0.0, 1.0])}
    np.testing.assert_allclose(
        model.margin(inside), [-1.8, -1.0, -0.2], atol=0.08
    )  # about four standard errors


def test_beyond_the_training_predictions_stay_where_they_were(
    columns: dict[str, Array], target: NDArray[np.bool_], weight: Array
) -> None:
    model = glm.fit_logistic(RECIPE, columns, target, weight)
    ends = {"a": np.array([columns["a"].max(), 1e12]), "b": np.zeros(2)}
    at_end, far = model.probability(ends)
    assert at_end == far


@pytest.mark.parametrize("value", [True, False])
def test_one_class_gives_the_smoothed_base_rate(columns: dict[str, Array], value: bool) -> None:
    model = glm.fit_logistic(RECIPE, columns, np.full(600, value), np.ones(600))
    hits = 600 if value else 0
    np.testing.assert_allclose(model.probability(columns), (hits + 0.5) / 601)


def test_columns_that_do_not_vary_give_the_smoothed_base_rate() -> None:
    flat = {"a": np.full(10, 3.0), "b": np.full(10, np.nan)}
    target = np.arange(10) < 3
    model = glm.fit_logistic(RECIPE, flat, target, np.ones(10))
    np.testing.assert_allclose(model.margin(flat), math.log(3.5 / 7.5))
    many = glm.fit_multinomial(RECIPE, flat, target.astype(np.int64), np.ones(10))
    np.testing.assert_allclose(many.probability(flat), np.tile([7.5 / 11, 3.5 / 11], (10, 1)))
    line = glm.fit_linear(RECIPE, flat, np.arange(10.0), np.ones(10))
    np.testing.assert_allclose(line.margin(flat), 4.5)


def test_one_class_of_several_is_certain(columns: dict[str, Array]) -> None:
    model = glm.fit_multinomial(RECIPE, columns, np.full(600, 5), np.ones(600))
    assert model.classes == (5,)
    np.testing.assert_array_equal(model.probability(columns), np.ones((600, 1)))


def test_json_and_back_gives_the_same_bytes(
    columns: dict[str, Array], target: NDArray[np.bool_]
) -> None:
    ones = np.ones(600)
    binary = glm.fit_logistic(RECIPE, columns, target, ones)
    many = glm.fit_multinomial(RECIPE, columns, np.arange(600) % 3, ones)
    again = LogisticModel.from_json(json.loads(json.dumps(binary.to_json())))
    many_again = MultinomialModel.from_json(json.loads(json.dumps(many.to_json())))
    assert again.margin(columns).tobytes() == binary.margin(columns).tobytes()
    assert many_again.probability(columns).tobytes() == many.probability(columns).tobytes()

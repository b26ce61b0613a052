"""The design matrix: splines as published, clipping, nulls, columns that do not vary."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stagecast.training.learners.compiled_terms import Term
from stagecast.training.learners.design import FEW_ROWS, Design, Recipe
from stagecast.training.learners.glm import learn_design
from stagecast.training.learners.linear import LogisticModel, MultinomialModel


def harrell(x: float, knots: list[float]) -> list[float]:
    """Return the nonlinear terms of Harrell (2015), equation 2.25, divided by the squared span
    of the knots.
    """
    last, before = knots[-1], knots[-2]
    return [
        (
            max(x - knot, 0.0) ** 3
            - max(x - before, 0.0) ** 3 * (last - knot) / (last - before)
            + max(x - last, 0.0) ** 3 * (before - knot) / (last - before)
        )
        / (last - knots[0]) ** 2
        for knot in knots[:-2]
    ]


def test_the_spline_is_harrells() -> None:
    knots = [0.5, 1.0, 2.5, 4.0]
    term = Term("x", False, tuple(knots), -10.0, 10.0, 0.0, False)
    points = np.linspace(-3, 8, 45)
    np.testing.assert_allclose(
        term.expand(points), [[x, *harrell(x, knots)] for x in points], atol=1e-12
    )


def test_the_spline_is_linear_beyond_its_outer_knots() -> None:
    term = Term("x", False, (0.0, 1.0, 3.0), -100.0, 100.0, 0.0, False)
    for points in (np.linspace(-9, 0, 10), np.linspace(3, 40, 10)):
        np.testing.assert_allclose(np.diff(term.expand(points), n=2, axis=0), 0.0, atol=1e-9)
    assert np.abs(np.diff(term.expand(np.linspace(0, 3, 10)), n=2, axis=0)).max() > 0.01


def test_knots_stand_at_quantiles_of_the_transformed_column() -> None:
    x = np.random.default_rng(1).exponential(5, 400)
    (term,) = learn_design(Recipe({"x": (True, 5)}), {"x": x}).terms
    np.testing.assert_allclose(
        term.knots, np.quantile(np.log1p(x), [0.05, 0.275, 0.5, 0.725, 0.95])
    )
    assert (term.low, term.high) == (np.log1p(x).min(), np.log1p(x).max())


def test_few_distinct_values_stay_linear() -> None:
    (term,) = learn_design(Recipe({"x": (False, 5)}), {"x": np.r_[np.zeros(60), np.ones(40)]}).terms
    assert term.knots == ()


def test_no_two_knots_stand_at_one_place() -> None:
    x = np.r_[np.zeros(10), np.full(71, 1.0 - 1e-13), np.full(19, 1.0), 2.0]
    (term,) = learn_design(Recipe({"x": (False, 7)}), {"x": x}).terms
    assert len(term.knots) < 3 or min(np.diff(term.knots)) > 1e-6


def test_columns_are_standardised() -> None:
    random = np.random.default_rng(2)
    columns = {"a": random.gamma(2, 9, 300), "b": random.normal(5, 3, 300)}
    matrix = learn_design(Recipe({"a": (True, 4), "b": (False, 0)}), columns).matrix(columns)
    assert matrix.shape == (300, 4)
    np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(matrix.std(axis=0), 1, atol=1e-12)


def test_values_beyond_the_training_are_those_at_its_ends() -> None:
    design = learn_design(Recipe({"x": (True, 4)}), {"x": np.linspace(1, 50, 80)})
    far = design.matrix({"x": np.array([-7.0, 0.0, 1e9, 1.0, 50.0])})
    assert far[0].tolist() == far[1].tolist() == far[3].tolist()
    assert far[2].tolist() == far[4].tolist()


def test_nulls_take_the_median_and_an_indicator() -> None:
    x = np.array([1.0, np.nan, 3.0, 10.0, np.nan])
    (term,) = learn_design(Recipe({"x": (False, 0)}), {"x": x}).terms
    assert (term.fill, term.indicator) == (3.0, True)
    assert term.expand(np.array([np.nan, np.inf, 4.0])).tolist() == [
        [3.0, 1.0],
        [3.0, 1.0],
        [4.0, 0.0],
    ]


def test_a_null_that_training_never_saw_takes_the_median() -> None:
    design = learn_design(Recipe({"x": (False, 0)}), {"x": np.array([1.0, 2.0, 9.0])})
    assert (
        design.matrix({"x": np.array([np.nan])}).tolist()
        == design.matrix({"x": np.array([2.0])}).tolist()
    )


@pytest.mark.parametrize("values", [[4.0] * 5, [np.nan] * 5, [np.nan, 4.0, 4.0, 4.0, 4.0]])
def test_columns_that_do_not_vary_are_left_out(values: list[float]) -> None:
    columns = {"flat": np.array(values), "x": np.arange(5.0)}
    design = learn_design(Recipe({"flat": (False, 0), "x": (False, 0)}), columns)
    assert [term.column for term in design.terms] == ["x"]
    assert learn_design(Recipe({"flat": (False, 0)}), columns).terms == ()


def test_json_and_back_gives_the_same_matrix() -> None:
    random = np.random.default_rng(3)
    columns = {
        "a": random.gamma(2, 9, 50),
        "b": np.where(random.random(50) < 0.3, np.nan, random.normal(0, 1, 50)),
    }
    design = learn_design(Recipe({"a": (True, 4), "b": (False, 3)}), columns)
    again = Design.from_json(json.loads(json.dumps(design.to_json())))
    assert again.matrix(columns).tobytes() == design.matrix(columns).tobytes()


def test_a_missing_column_is_an_error() -> None:
    design = learn_design(Recipe({"a": (False, 0)}), {"a": np.arange(5.0)})
    with pytest.raises(KeyError, match="a"):
        design.matrix({"b": np.arange(5.0)})


def test_few_rows_at_once_have_the_bits_of_term_by_term() -> None:
    draw = np.random.default_rng(5)
    terms = (
        Term("a", True, (0.1, 0.5, 1.0, 2.0, 3.0), 0.0, 4.0, 0.7, True),
        Term("b", False, (), -1.0, 1.0, 0.2, False),
        Term("c", False, (-1.0, 0.0, 2.0), -3.0, 3.0, 0.1, False),
        Term("d", True, (), 0.0, 9.0, 1.0, True),
        Term("e", True, (0.1, 0.2), 0.0, 9.0, 1.0, False),
    )
    width = sum(term.width for term in terms)
    design = Design(terms, draw.normal(size=width), draw.random(width) + 0.5)
    rows = 10 * FEW_ROWS
    columns = {term.column: draw.normal(scale=4.0, size=rows) for term in terms}
    for values in columns.values():
        values[draw.random(rows) < 0.2] = np.nan
        values[draw.random(rows) < 0.05] = np.inf
    many = design.matrix(columns)
    for start in range(0, rows, FEW_ROWS):
        few = {name: values[start : start + FEW_ROWS] for name, values in columns.items()}
        np.testing.assert_array_equal(design.matrix(few), many[start : start + FEW_ROWS])
    for row in range(0, rows, 37):
        alone = {name: values[row : row + 1] for name, values in columns.items()}
        np.testing.assert_array_equal(design.matrix(alone)[0], many[row])


def test_a_regression_gives_a_row_the_same_bits_in_any_batch() -> None:
    draw = np.random.default_rng(6)
    terms = tuple(Term(f"x{k}", k % 2 == 0, (0.1, 0.5, 1.0), 0.0, 4.0, 0.7, True) for k in range(9))
    width = sum(term.width for term in terms)
    design = Design(terms, draw.normal(size=width), draw.random(width) + 0.5)
    binary = LogisticModel(design, 0.3, draw.normal(size=width))
    many_classes = MultinomialModel(
        design, (0, 1, 2), draw.normal(size=3), draw.normal(size=(3, width))
    )
    columns = {f"x{k}": draw.exponential(1.0, 300) for k in range(9)}
    margin, probability = binary.margin(columns), many_classes.probability(columns)
    for row in range(300):
        alone = {name: values[row : row + 1] for name, values in columns.items()}
        assert binary.margin(alone)[0] == margin[row]
        np.testing.assert_array_equal(many_classes.probability(alone)[0], probability[row])

"""Weights of an estimate, against regressions written out in full."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.contrast import estimates, make_contrast, merge_strata


def regression(y: Array, contacted: Array, z: Array) -> tuple[float, float]:
    """Return the effect and its HC2 variance by the interacted regression on centred columns."""
    z = z - z.mean(axis=0)
    t = contacted[:, None].astype(float)
    design = np.hstack([np.ones_like(t), t, z, t * z])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    meat = (design.T * ((y - design @ coefficients) ** 2 / (1 - leverage))) @ design
    return float(coefficients[1]), float((inverse @ meat @ inverse)[1, 1])


def campaign(seed: int, customers: int = 200) -> tuple[Array, Array, Array, Array]:
    random = np.random.default_rng(seed)
    stratum = np.arange(customers) % 3
    contacted = random.random(customers) < 0.6
    x = random.normal(size=(customers, 2)) + stratum[:, None]
    y = x @ [1.0, -0.5] + contacted * (0.3 + 0.4 * x[:, 0]) + random.normal(size=customers)
    return y, contacted, stratum, x


@given(st.integers(0, 10_000))
def test_effect_and_variance_are_those_of_the_fully_interacted_regression(seed: int) -> None:
    y, contacted, stratum, x = campaign(seed)
    dummies = np.column_stack([stratum == 1, stratum == 2]).astype(float)
    for covariates, columns in ((x, np.hstack([dummies, x])), (None, dummies)):
        actual = estimates(make_contrast(contacted, stratum, covariates), y[:, None])
        effect, variance = regression(y, contacted, columns)
        assert actual.effect[0] == pytest.approx(effect)
        assert actual.covariance[0, 0] == pytest.approx(variance)


def test_without_covariates_the_variance_is_neymans_and_the_degrees_are_welchs() -> None:
    contacted = np.array([True] * 4 + [False] * 3)
    y = np.array([1.0, 2.0, 4.0, 9.0, 0.0, 1.0, 5.0])
    actual = estimates(make_contrast(contacted, np.zeros(7, dtype=np.int64)), y[:, None])
    a, b = np.var(y[:4], ddof=1) / 4, np.var(y[4:], ddof=1) / 3
    assert actual.covariance[0, 0] == pytest.approx(a + b)
    assert actual.degrees[0] == pytest.approx((a + b) ** 2 / (a**2 / 3 + b**2 / 2))


def test_the_covariance_of_two_outcomes_gives_the_variance_of_their_sum() -> None:
    y, contacted, stratum, x = campaign(3)
    outcomes = np.column_stack([y, x[:, 0] ** 2, y + x[:, 0] ** 2])
    v = estimates(make_contrast(contacted, stratum, x), outcomes).covariance
    assert v[0, 0] + v[1, 1] + 2 * v[0, 1] == pytest.approx(v[2, 2])


@given(st.integers(0, 10_000))
def test_the_effect_ignores_what_the_covariates_explain(seed: int) -> None:
    y, contacted, stratum, x = campaign(seed)
    contrast = make_contrast(contacted, stratum, x)
    first, moved = (estimates(contrast, v[:, None]) for v in (y, y + 7 + x @ [3.0, 2.0]))
    assert moved.effect[0] == pytest.approx(first.effect[0])
    assert moved.covariance[0, 0] == pytest.approx(first.covariance[0, 0])


@pytest.mark.parametrize("kind", ["constant", "the stratum", "constant in one arm", "twice"])
def test_a_covariate_that_says_nothing_changes_nothing(kind: str) -> None:
    y, contacted, stratum, x = campaign(5)
    first, base = x[:, :1], None
    column = {
        "constant": np.full((200, 1), 3.0),
        "the stratum": stratum[:, None].astype(float),
        "constant in one arm": np.where(contacted[:, None], first, 1.0),
        "twice": np.hstack([first, first]),
    }[kind]
    if kind == "twice":
        base = first
    actual, plain = (
        estimates(make_contrast(contacted, stratum, c), y[:, None]) for c in (column, base)
    )
    assert actual.effect[0] == pytest.approx(plain.effect[0])
    assert actual.covariance[0, 0] == pytest.approx(plain.covariance[0, 0], rel=1e-6)


def test_an_arm_without_buyers_takes_the_variance_of_the_other() -> None:
    contacted = np.repeat([True, False], [50, 25])
    y = np.zeros((75, 1))
    y[:5] = 1.0
    actual = estimates(make_contrast(contacted, np.zeros(75, dtype=np.int64)), y)
    within = 0.1 * 0.9
    assert actual.covariance[0, 0] == pytest.approx(within / 49 + within / 25)


def test_strata_with_few_customers_in_an_arm_are_merged_with_their_neighbours() -> None:
    stratum = np.repeat([0, 1, 2, 3, 4], [100, 5, 18, 100, 1])
    contacted = np.arange(len(stratum)) % 2 == 0
    merged = merge_strata(stratum, contacted)
    # 1 and 2 are enough together, and 4 joins them
    assert [set(merged[stratum == k].tolist()) for k in range(5)] == [{0}, {1}, {1}, {2}, {1}]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=200), st.integers(0, 1000))
def test_merged_strata_are_large_enough_unless_all_are_merged(codes: list[int], seed: int) -> None:
    stratum = np.array(codes)
    contacted = np.random.default_rng(seed).random(len(codes)) < 0.5
    merged = merge_strata(stratum, contacted)
    sizes = np.column_stack([np.bincount(merged, contacted), np.bincount(merged, ~contacted)])
    assert len(sizes) == 1 or sizes.min() >= 10
    for code in set(codes):
        assert len(set(merged[stratum == code].tolist())) == 1


def test_an_arm_of_two_is_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="2 held-out customers are too few"):
        make_contrast(np.array([True] * 9 + [False] * 2), np.zeros(11, dtype=np.int64))

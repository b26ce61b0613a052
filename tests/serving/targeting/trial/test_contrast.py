"""Weights of an estimate, against means and regressions written out in full."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.contrast import check_arms, estimate, merge_strata

NO_STRATA = np.zeros(7, dtype=np.int64)


def campaign(seed: int, customers: int = 200) -> tuple[Array, NDArray[np.bool_], Integers, Array]:
    random = np.random.default_rng(seed)
    stratum = np.arange(customers) % 3
    contacted = random.random(customers) < 0.6
    x = random.normal(size=(customers, 2)) + stratum[:, None]
    y = x @ [1.0, -0.5] + contacted * (0.3 + 0.4 * x[:, 0]) + random.normal(size=customers)
    return y, contacted, stratum, x


def slope_of(contacted: NDArray[np.bool_], y: Array, x: Array) -> float:
    """Return the coefficient of the assignment in the regression on it and the columns."""
    design = np.column_stack([contacted, np.ones(len(y)), x])
    return float(np.linalg.lstsq(design, y, rcond=None)[0][0])


@given(st.integers(0, 10_000))
def test_with_one_stratum_the_effect_is_that_of_the_regression_with_one_slope(seed: int) -> None:
    y, contacted, _, x = campaign(seed)
    actual = estimate(y[:, None], contacted, np.zeros(200, dtype=np.int64), x)
    assert actual.effect[0] == pytest.approx(slope_of(contacted, y, x))


@given(st.integers(0, 10_000))
def test_without_scores_the_effect_is_the_weighted_difference_in_the_strata(seed: int) -> None:
    y, contacted, stratum, _ = campaign(seed)
    actual = estimate(y[:, None], contacted, stratum)
    expected = variance = 0.0
    for k in range(3):
        arms = [y[(stratum == k) & (contacted == arm)] for arm in (False, True)]
        share = float(np.mean(stratum == k))
        expected += share * (arms[1].mean() - arms[0].mean())
        variance += share**2 * sum(arm.var(ddof=1) / len(arm) for arm in arms)
    assert actual.effect[0] == pytest.approx(expected)
    assert actual.variance[0] == pytest.approx(variance)


def test_without_covariates_the_variance_is_neymans_and_the_degrees_are_welchs() -> None:
    contacted = np.array([True] * 4 + [False] * 3)
    y = np.array([1.0, 2.0, 4.0, 9.0, 0.0, 1.0, 5.0])
    actual = estimate(y[:, None], contacted, NO_STRATA)
    a, b = np.var(y[:4], ddof=1) / 4, np.var(y[4:], ddof=1) / 3
    assert actual.variance[0] == pytest.approx(a + b)
    assert actual.degrees[0] == pytest.approx((a + b) ** 2 / (a**2 / 3 + b**2 / 2))


def test_the_covariance_of_two_outcomes_gives_the_variance_of_their_sum() -> None:
    y, contacted, stratum, x = campaign(3)
    outcomes = np.column_stack([y, x[:, 0] ** 2, y + x[:, 0] ** 2])
    v = estimate(outcomes, contacted, stratum, x).covariance
    assert v[0, 0] + v[1, 1] + 2 * v[0, 1] == pytest.approx(v[2, 2])


@given(st.integers(0, 10_000))
def test_the_effect_ignores_what_the_covariates_explain(seed: int) -> None:
    y, contacted, stratum, x = campaign(seed)
    moved_y = y + 7 + x @ [3.0, 2.0]
    first, moved = (estimate(v[:, None], contacted, stratum, x) for v in (y, moved_y))
    assert moved.effect[0] == pytest.approx(first.effect[0])
    assert moved.variance[0] == pytest.approx(first.variance[0])


@pytest.mark.parametrize("kind", ["constant", "the stratum", "twice"])
def test_a_covariate_that_says_nothing_changes_nothing(kind: str) -> None:
    y, contacted, stratum, x = campaign(5)
    first = x[:, :1]
    column = {
        "constant": np.full((200, 1), 3.0),
        "the stratum": stratum[:, None].astype(float),
        "twice": np.hstack([first, first]),
    }[kind]
    base = first if kind == "twice" else None
    actual, plain = (estimate(y[:, None], contacted, stratum, c) for c in (column, base))
    assert actual.effect[0] == pytest.approx(plain.effect[0])
    assert actual.variance[0] == pytest.approx(plain.variance[0], rel=1e-6)


def test_an_arm_without_buyers_takes_the_variance_of_the_other() -> None:
    contacted = np.repeat([True, False], [50, 25])
    y = np.zeros((75, 1))
    y[:5] = 1.0
    actual = estimate(y, contacted, np.zeros(75, dtype=np.int64))
    within = 0.1 * 0.9
    assert actual.variance[0] == pytest.approx(within / 49 + within / 25)


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
        check_arms(np.array([True] * 9 + [False] * 2))

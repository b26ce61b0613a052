"""The pool of members: weights on the simplex, learned where rows are many, and the level of a
season.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.learners.blend import (
    PULL,
    carried_level,
    level_shift,
    pool_class_weights,
    pool_weights,
)
from stagecast.training.learners.pool import pooled
from tests.profiles import examples


def members(rows: int, seed: int) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """Return one member that knows the log odds and two that know nothing of them."""
    random = np.random.default_rng(seed)
    truth = random.normal(0.3, 1.5, rows)
    target = random.random(rows) < expit(truth)
    return {
        "good": truth,
        "noise": random.normal(0, 1.5, rows),
        "other": random.normal(0, 1.5, rows),
    }, target


@given(
    rows=st.integers(2, 60),
    count=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    spread=st.floats(0.0, 8.0),
)
@settings(max_examples=examples(60), deadline=None)
def test_weights_lie_on_the_simplex(rows: int, count: int, seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    margins = {f"m{k}": random.normal(0, spread, rows) for k in range(count)}
    weights = pool_weights(margins, random.random(rows) < 0.4)
    assert list(weights) == list(margins)
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-12)
    assert all(0.0 <= w <= 1.0 for w in weights.values())


def test_many_rows_pick_the_only_good_member_and_few_are_pulled_to_equal_weights() -> None:
    many, few = pool_weights(*members(20_000, 1)), pool_weights(*members(12, 1))
    assert many["good"] > 0.97
    assert max(abs(w - 1 / 3) for w in few.values()) < 0.15


def test_a_least_pull_holds_however_many_rows_there_are() -> None:
    margins, target = members(20_000, 1)
    free, held = pool_weights(margins, target), pool_weights(margins, target, None, 1.0)
    assert free["good"] > 0.97
    assert held["good"] < 0.7
    assert pool_weights(*members(12, 1), None, PULL / 12) == pool_weights(*members(12, 1))


def test_weights_are_the_minimum_of_loss_and_pull() -> None:
    margins, target = members(300, 2)
    two = {"good": margins["good"], "noise": margins["noise"]}
    sign = np.where(target, 1.0, -1.0)
    levels = np.linspace(-1, 1, 201)

    def loss(w: float) -> float:
        margin = w * two["good"] + (1 - w) * two["noise"]
        pull = PULL / 300 * ((w - 0.5) ** 2 + (0.5 - w) ** 2)
        return (
            float(np.logaddexp(0, -sign[:, None] * (margin[:, None] + levels)).mean(axis=0).min())
            + pull
        )

    grid = np.linspace(0, 1, 201)
    best = grid[np.argmin([loss(w) for w in grid])]
    assert 0.5 < best < 1.0
    assert pool_weights(two, target)["good"] == pytest.approx(best, abs=0.01)


def test_the_level_of_one_window_does_not_choose_the_members() -> None:
    margins, target = members(5_000, 3)
    shifted = {**margins, "good": margins["good"] + 1.5}
    assert pool_weights(shifted, target) == pytest.approx(pool_weights(margins, target), abs=1e-3)


@pytest.mark.parametrize("target", [np.ones(50, dtype=np.bool_), np.zeros(50, dtype=np.bool_)])
def test_one_class_teaches_no_weights(target: NDArray[np.bool_]) -> None:
    assert pool_weights({"a": np.arange(50.0), "b": np.ones(50)}, target) == {"a": 0.5, "b": 0.5}


def test_pooled_is_the_weighted_sum_of_log_odds() -> None:
    margins = {
        "a": np.array([1.0, 2.0]),
        "b": np.array([-3.0, 5.0]),
        "silent": np.array([99.0, 99.0]),
    }
    assert pooled(margins, {"a": 0.25, "b": 0.75}).tolist() == [-2.0, 4.25]


@pytest.mark.parametrize("share", [0.02, 0.5, 0.93])
def test_level_shift_brings_the_mean_to_the_share(share: float) -> None:
    margin = np.random.default_rng(4).normal(0.5, 2.0, 1_000)
    target = np.arange(1_000) < 1_000 * share
    assert expit(margin + level_shift(margin, target)).mean() == pytest.approx(share, abs=1e-9)


def test_level_shift_of_one_class_only_is_finite() -> None:
    # a share of 1 counts as one half customer short of it
    shift = level_shift(np.zeros(100), np.ones(100, dtype=np.bool_))
    assert shift == pytest.approx(logit(1 - 0.005), abs=1e-9)
    assert level_shift(np.zeros(100), np.zeros(100, dtype=np.bool_)) == pytest.approx(
        -shift, abs=1e-9
    )


def test_a_level_is_carried_in_part_and_noise_is_not() -> None:
    assert [carried_level([shift]) for shift in (0.0, 0.15, -0.15)] == [0.0, 0.0, 0.0]
    assert carried_level([0.65]) == pytest.approx(0.3)
    assert carried_level([-0.65]) == pytest.approx(-0.3)


def classes(rows: int, seed: int) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]:
    """Return three members' log probabilities of four classes, the first of them the truth, and
    what came.
    """
    random = np.random.default_rng(seed)
    truth = random.dirichlet(np.ones(4), rows)
    others = {name: random.dirichlet(np.ones(4), rows) for name in ("noise", "more")}
    target = np.array([random.choice(4, p=p) for p in truth])
    logs = {name: np.log(np.maximum(p, 1e-9)) for name, p in {"truth": truth, **others}.items()}
    return logs, target


THIRDS = {"truth": 1 / 3, "noise": 1 / 3, "more": 1 / 3}


def test_many_rows_pick_the_only_good_member_of_classes_and_few_stay_at_the_start() -> None:
    logs, target = classes(8_000, 1)
    actual = pool_class_weights(logs, target, THIRDS)
    assert actual["truth"] > 0.95
    assert sum(actual.values()) == pytest.approx(1.0)
    few = pool_class_weights(
        {name: values[:4] for name, values in logs.items()}, target[:4], THIRDS
    )
    assert max(abs(few[name] - 1 / 3) for name in few) < 0.2


def test_class_weights_are_the_minimum_of_loss_and_pull() -> None:
    logs, target = classes(300, 2)
    actual = pool_class_weights(logs, target, THIRDS)

    def loss(weights: dict[str, float]) -> float:
        mixed = sum(weights[name] * logs[name] for name in logs)
        p = np.exp(mixed) / np.exp(mixed).sum(axis=1, keepdims=True)
        pull = PULL / len(target) * sum((weights[name] - 1 / 3) ** 2 for name in weights)
        return float(-np.log(p[np.arange(len(target)), target]).mean() + pull)

    for first, second in (("truth", "noise"), ("noise", "more"), ("more", "truth")):
        for step in (-1e-3, 1e-3):
            moved = {**actual, first: actual[first] + step, second: actual[second] - step}
            if min(moved.values()) >= 0:
                assert loss(moved) >= loss(actual) - 1e-9


def test_a_class_that_cannot_be_takes_no_part() -> None:
    logs, target = classes(500, 3)
    shut = target != 0
    closed = {
        name: np.where(np.arange(4) == 0, -np.inf, values)[shut] for name, values in logs.items()
    }
    actual = pool_class_weights(closed, target[shut], THIRDS)
    assert all(np.isfinite(list(actual.values())))
    assert actual["truth"] > 0.6

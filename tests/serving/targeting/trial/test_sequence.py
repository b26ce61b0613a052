"""Intervals that hold at all looks together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.sequence import boundaries, looks_at, spent
from tests.profiles import examples


def walk(elapsed: Array) -> Array:
    """Return the correlation of a Gaussian walk at these times."""
    return np.sqrt(np.minimum.outer(elapsed, elapsed) / np.maximum.outer(elapsed, elapsed))


def test_boundaries_of_a_walk_are_the_published_ones() -> None:
    # Reboussin, DeMets, Kim and Lan (2000), Controlled Clinical Trials 21: five looks, two-sided
    # 5 %, O'Brien-Fleming-type spending
    elapsed = np.arange(1, 6) / 5
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]
    actual = boundaries(walk(elapsed), elapsed)
    assert actual[1:].tolist() == pytest.approx(published[1:], abs=0.06)
    assert boundaries(walk(elapsed), elapsed, paths=1_000_000).tolist() == pytest.approx(
        published, abs=0.012
    )


def test_all_error_is_spent_at_the_end_and_little_before() -> None:
    error = spent(np.array([0.1, 0.5, 0.9, 1.0]))
    assert np.all(np.diff(error) > 0)
    assert error[0] < 1e-8
    assert error[-1] == pytest.approx(0.05)


def test_a_single_look_at_the_end_costs_nothing() -> None:
    assert boundaries(np.eye(1), np.array([1.0]))[0] == pytest.approx(1.96, abs=0.02)


def test_looks_that_say_the_same_cost_nothing() -> None:
    elapsed = np.array([0.5, 0.8, 1.0])
    assert boundaries(np.ones((3, 3)), elapsed)[-1] == pytest.approx(1.96, abs=0.02)


def test_looks_that_are_independent_cost_the_most() -> None:
    elapsed = np.array([0.8, 0.9, 1.0])
    last = boundaries(np.eye(3), elapsed)[-1]
    # what is left of the error, in a look of its own: 1 - 0.95 / (1 - spent before)
    before = float(spent(elapsed)[1])
    assert last == pytest.approx(normal(1 - 0.95 / (1 - before)), abs=0.04)
    assert last > boundaries(walk(elapsed), elapsed)[-1] > 1.96


def normal(error: float) -> float:
    from statistics import NormalDist

    return -NormalDist().inv_cdf(error / 2)


@given(st.integers(0, 1000))
@settings(max_examples=examples(20))
def test_later_looks_do_not_change_the_earlier_ones(seed: int) -> None:
    random = np.random.default_rng(seed)
    cumulative = random.poisson(0.3, (300, 6)).cumsum(axis=1).astype(float)
    contacted, stratum = random.random(300) < 0.7, np.zeros(300, dtype=np.int64)
    elapsed = np.arange(1, 7) / 6
    whole = looks_at(cumulative, elapsed, contacted, stratum, paths=5000)
    part = looks_at(cumulative[:, :4], elapsed[:4], contacted, stratum, paths=5000)
    for look, again in zip(whole[:4], part, strict=True):
        assert again.per_customer.low == pytest.approx(look.per_customer.low, rel=1e-9)
        assert again.critical == pytest.approx(look.critical, rel=1e-9)


def test_the_last_look_is_the_estimate_at_the_end_in_a_wider_interval() -> None:
    random = np.random.default_rng(4)
    cumulative = random.poisson(0.3, (300, 6)).cumsum(axis=1).astype(float)
    contacted, stratum = random.random(300) < 0.7, np.zeros(300, dtype=np.int64)
    last = looks_at(cumulative, np.arange(1, 7) / 6, contacted, stratum)[-1]
    fixed = effect_of(cumulative[:, -1], contacted, stratum).per_customer
    assert last.per_customer.estimate == pytest.approx(fixed.estimate)
    assert last.per_customer.width == pytest.approx(fixed.width * (1 + last.wider))
    assert 0 < last.wider < 0.15


def test_looks_before_the_first_purchase_are_left_out() -> None:
    cumulative = np.zeros((100, 3))
    cumulative[::7, 1:] = 1.0
    contacted, stratum = np.arange(100) % 2 == 0, np.zeros(100, dtype=np.int64)
    elapsed = np.array([0.2, 0.6, 1.0])
    assert [look.elapsed for look in looks_at(cumulative, elapsed, contacted, stratum)] == [0.6, 1]
    assert looks_at(cumulative[:, :1], elapsed[:1], contacted, stratum) == ()


@pytest.mark.parametrize("elapsed", [[0.0, 1.0], [0.5, 0.5], [0.8, 0.2], [0.5, 1.1], [0.5]])
def test_looks_out_of_order_or_number_are_refused(elapsed: list[float]) -> None:
    with pytest.raises(UsageError, match="looks"):
        looks_at(np.zeros((9, 2)), np.array(elapsed), np.arange(9) < 5, np.zeros(9, dtype=np.int64))

"""Distances against SciPy, closed forms and simulated chance; what is called moved."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, wasserstein_distance

from stagecast.training.monitoring.distances import (
    categories_apart,
    independent_rows,
    numbers_apart,
    wasserstein,
)
from stagecast.training.monitoring.movement import Dates, Label, movements


def test_the_wasserstein_distance_is_that_of_scipy():
    random = np.random.default_rng(1)
    for n, m in ((1, 1), (3, 50), (200, 77)):
        left, right = np.round(random.gamma(1.0, 9.0, n), 1), np.round(random.normal(5, 3, m), 1)
        assert wasserstein(left, right) == pytest.approx(wasserstein_distance(left, right))


def test_a_shift_of_a_normal_distribution_has_the_distance_of_the_shift():
    random = np.random.default_rng(2)
    distance = numbers_apart(random.normal(0, 2, 40_000), random.normal(1, 2, 40_000), 0.01)
    assert distance.wasserstein == pytest.approx(0.5, abs=0.02)  # a shift of 1 over a spread of 2
    # the index of ten equal bins of a normal shifted by half a spread, worked out from its shares
    edges = norm.ppf(np.arange(1, 10) / 10)
    shifted = np.diff(np.r_[0.0, norm.cdf(edges - 0.5), 1.0])
    assert distance.psi == pytest.approx(np.sum((shifted - 0.1) * np.log(shifted / 0.1)), rel=0.05)
    assert distance.beyond_chance


def test_the_distance_that_chance_brings_is_that_of_draws():
    random = np.random.default_rng(3)
    drawn = [
        numbers_apart(random.gamma(2.0, 10.0, 300), random.gamma(2.0, 10.0, 500), 0.05)
        for _ in range(400)
    ]
    mean = np.mean([d.wasserstein for d in drawn])
    assert np.mean([d.wasserstein_by_chance for d in drawn]) == pytest.approx(mean, rel=0.08)
    beyond = np.mean([d.beyond_chance for d in drawn])
    assert 0.02 <= beyond <= 0.09  # 5 % by design


def test_missing_values_and_frequent_values_have_bins_of_their_own():
    full, holed = np.ones(400), np.r_[np.ones(300), np.full(100, np.nan)]
    assert numbers_apart(full, full, 0.01).psi == 0
    assert numbers_apart(full, holed, 0.01).beyond_chance
    # a quarter of the values missing: (0.25 - 0) ln(...) of two bins, smoothed by half a row
    p, q = np.array([400.5, 0.5]) / 401, np.array([300.5, 100.5]) / 401
    assert numbers_apart(full, holed, 0.01).psi == pytest.approx(np.sum((q - p) * np.log(q / p)))


def test_small_samples_are_not_compared_and_rows_of_one_customer_are_worth_one():
    assert numbers_apart(np.arange(10.0), np.arange(500.0), 0.01) is None
    assert categories_apart(np.array(["a"] * 5, dtype=object), np.array([]), 0.01) is None
    assert independent_rows([50.0]) == 1.0
    assert independent_rows(np.ones(7)) == 7.0


def columns(random, customers, shift=0.0):
    """Return 30 unrelated columns at two dates; ``shift`` moves the last, in its own spreads."""
    kinds = [
        lambda: random.gamma(1.2, 10, customers),
        lambda: random.poisson(1.0, customers).astype(float),
        lambda: random.beta(2, 3, customers),
        lambda: np.where(random.random(customers) < 0.3, np.nan, random.normal(size=customers)),
    ]
    made = [
        (Label(f"c{k}", "days", "made"), Dates(kinds[k % 4](), kinds[k % 4]())) for k in range(29)
    ]
    moved = Dates(random.normal(size=customers), random.normal(shift, 1, customers))
    return [*made, (Label("shifted", "days", "made"), moved)]


@pytest.mark.parametrize(("customers", "seeds"), [(200, 40), (1_000, 10)])
def test_where_nothing_moves_nothing_is_called_moved(customers, seeds):
    alarms = 0
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        alarms += any(m.reading == "moved" for m in movements(columns(random, customers)))
    assert alarms <= 0.05 * seeds


@pytest.mark.parametrize(("customers", "shift"), [(200, 0.8), (1_000, 0.5)])
def test_a_shift_of_known_size_is_named(customers, shift):
    caught = 0
    for seed in range(10):
        first, *_ = movements(columns(np.random.default_rng(seed), customers, shift))
        caught += first.name == "shifted" and first.reading == "moved"
        if first.name == "shifted":
            assert first.since_training.wasserstein == pytest.approx(shift, abs=0.35)
    assert caught >= 9


def test_what_explains_a_shift():
    random = np.random.default_rng(5)

    def at(center):
        return random.normal(center, 1.0, 2_000)

    def reading(**others):
        return movements([(Label("x", "days", "made"), Dates(at(0), at(1), **others))])[0].reading

    assert reading() == "moved"
    assert reading(year_ago=at(1)) == "season"
    assert reading(year_ago=at(0)) == "moved"
    assert reading(before=at(-1)) == "as before"
    assert reading(before=at(0)) == "moved"
    assert reading(settled=at(1), year_ago=at(0)) == "held"
    older = movements([(Label("x", "days", "made", ages_days=1.0), Dates(at(0), at(1)))])
    assert older[0].reading == "older"
    assert older[0].large is False

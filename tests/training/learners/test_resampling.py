"""Intervals of means over customers drawn anew."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.learners.resampling import MOST_GROUPS, mean_of


@pytest.mark.parametrize("customers", [400, 3 * MOST_GROUPS])
def test_the_interval_is_that_of_a_mean(customers: int) -> None:
    values = np.random.default_rng(1).normal(0.1, 2.0, customers)
    mean = mean_of(values, 1)
    error = 1.96 * values.std() / np.sqrt(customers)
    assert mean.value == values.mean()
    assert mean.low == pytest.approx(mean.value - error, abs=0.25 * error)
    assert mean.high == pytest.approx(mean.value + error, abs=0.25 * error)


def test_the_share_of_draws_below_zero_and_the_seed() -> None:
    values = np.random.default_rng(2).normal(-1.0, 1.0, 300)
    assert mean_of(values, 1).below_zero == 1.0
    assert mean_of(values, 1) == mean_of(values, 1) != mean_of(values, 2)
    assert mean_of(-values, 1).below_zero == 0.0


def test_nothing_is_said_without_values() -> None:
    assert np.isnan(mean_of(np.zeros(0), 1).value)
    assert np.isnan(mean_of(np.array([1.0, np.nan]), 1).low)

"""What scores explain, and whether they are worth their use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.serving.targeting.trial.adjustment import residuals, worth_using

ONE = np.zeros(60, dtype=np.int64)


def test_residuals_are_those_of_a_regression_with_a_mean_of_each_stratum() -> None:
    random = np.random.default_rng(1)
    stratum, x, y = np.arange(60) % 3, random.normal(size=(60, 2)), random.normal(size=(60, 1))
    design = np.column_stack([np.eye(3)[stratum], x])
    expected = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert residuals(y, stratum, x) == pytest.approx(expected)


@pytest.mark.parametrize("noise", [0.2, 20.0])
def test_a_score_is_used_if_it_predicts_the_customer_left_out(noise: float) -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=60)
    y = x + noise * random.normal(size=60)
    # by hand: each customer predicted by a line through, and a mean of, all others
    line, mean = 0.0, 0.0
    for k in range(60):
        others = np.arange(60) != k
        slope, at_zero = np.polyfit(x[others], y[others], 1)
        line += (y[k] - at_zero - slope * x[k]) ** 2
        mean += (y[k] - y[others].mean()) ** 2
    assert worth_using(y, ONE, x[:, None]) == (line < mean) == (noise < 1)


def test_a_slope_that_hangs_on_one_customer_is_not_used() -> None:
    y, x = np.zeros(60), np.zeros((60, 1))
    y[::4] = 1.0
    y[0], x[0], x[1] = 100.0, 5.0, 6.0
    assert np.corrcoef(x[:, 0], y)[0, 1] > 0.6
    assert not worth_using(y, ONE, x)


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-10, 10))
def test_units_do_not_matter(seed: int, factor: float, shift: float) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(60, 1))
    y = 0.2 * x[:, 0] + random.normal(size=60)
    first = worth_using(y, ONE, x)
    assert worth_using(factor * y + shift, ONE, factor * x + shift) == first


def test_a_constant_score_is_not_worth_using() -> None:
    assert not worth_using(np.arange(60.0), ONE, np.ones((60, 1)))

"""Slopes of the log-likelihoods, against differences of the log-likelihoods themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd.densities import log_likelihood
from stagecast.training.learners.btyd.gammagamma import log_density
from stagecast.training.learners.btyd.regular import log_few_phases
from stagecast.training.learners.btyd.slopes import (
    _few_phases,
    log_likelihood_slopes,
    spend_slopes,
)

MODELS = [
    ("bg_nbd", 1),
    ("mbg_nbd", 1),
    ("mbg_nbd", 2),
    ("mbg_nbd", 48),
    ("pareto_nbd", 1),
    ("pareto_nbd", 4),
    ("pareto_nbd", 48),
]
PARAMS = [
    (0.55, 70.0, 0.61, 80.0),
    (4.0, 15.0, 0.05, 4000.0),
    (8.0, 300.0, 3.0, 8.0),
    (300.0, 3000.0, 40.0, 0.1),  # quadratures with nodes that are too few
    (0.001, 1.0, 0.001, 1000.0),
    (5000.0, 2000.0, 7000.0, 1e5),
]
# beyond all rounding of the differences below, far below the effect of any term
TOLERANCE = 1e-5


def histories() -> tuple[Array, Array, Array]:
    """Return customers of all sorts; more than a block of rows."""
    draw = np.random.default_rng(11)
    x = draw.integers(0, 40, 700).astype(np.float64)
    x[:100] = 0.0
    t_x = np.where(x > 0, draw.uniform(0, 900, 700), 0.0)
    T = t_x + draw.choice([0.0, 0.25, 30.0, 700.0], 700)
    x[100:103], t_x[100:103], T[100:103] = 900.0, 1999.0, (1999.0, 2000.0, 9999.0)
    return x, t_x, T


def difference(value: Callable[[tuple[float, ...]], Array], at: tuple[float, ...], i: int) -> Array:
    """Return the slope in the log of a parameter, from four values around it."""

    def moved(steps: int) -> Array:
        point = list(at)
        point[i] *= np.exp(steps * 1e-3)
        return value(tuple(point))

    return (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / 12e-3


@pytest.mark.parametrize(("name", "k"), MODELS)
@pytest.mark.parametrize("params", PARAMS)
def test_slopes_are_those_of_the_log_likelihood(
    name: str, k: int, params: tuple[float, float, float, float]
) -> None:
    history = histories()

    def value(at: tuple[float, ...]) -> Array:
        return log_likelihood(name, (at[0], at[1], at[2], at[3]), k, *history)

    density, slopes = log_likelihood_slopes(name, params, k, *history)
    expected = value(params)
    np.testing.assert_allclose(density, expected, rtol=1e-11, atol=1e-11)
    rounding = 1e-16 * np.abs(expected).max() / 1e-3
    for i, parameter in enumerate(params):
        np.testing.assert_allclose(
            slopes[i] * parameter,
            difference(value, params, i),
            rtol=TOLERANCE,
            atol=max(TOLERANCE * 1e-1, 100 * rounding),
            err_msg=f"parameter {i}",
        )


def test_a_sum_of_phases_that_overflows_has_slopes() -> None:
    # up to 99 phases of rates of shape 1e6: the largest term is beyond any float
    R, elapsed, before = np.full(3, 1e6), np.array([4000.0, 900.0, 0.0]), np.array([8.0, 3.0, 3.0])
    few, in_R, in_before = _few_phases(R, 99, elapsed, before)
    np.testing.assert_array_equal(few, log_few_phases(R, 99, elapsed, before))

    def value(at: tuple[float, ...]) -> Array:
        return log_few_phases(R * at[0], 99, elapsed, before * at[1])

    for i, slope in enumerate((in_R * R, in_before * before)):
        np.testing.assert_allclose(slope, difference(value, (1.0, 1.0), i), rtol=1e-8)


@pytest.mark.parametrize("params", [(6.25, 3.74, 15.4), (0.01, 0.5, 1e-3), (900.0, 400.0, 1e4)])
def test_slopes_of_spend_are_those_of_its_log_density(params: tuple[float, float, float]) -> None:
    draw = np.random.default_rng(12)
    x = draw.integers(1, 40, 300).astype(np.float64)
    monetary = draw.lognormal(1.0, 2.0, 300)

    def value(at: tuple[float, ...]) -> Array:
        return log_density(at[0], at[1], at[2], x, monetary)

    density, slopes = spend_slopes(*params, x, monetary)
    np.testing.assert_allclose(density, value(params), rtol=1e-12)
    for i, parameter in enumerate(params):
        np.testing.assert_allclose(
            slopes[i] * parameter, difference(value, params, i), rtol=TOLERANCE, atol=1e-6
        )

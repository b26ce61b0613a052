"""The median time to the second order, and the pace that moves it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.what_if.levers import UnreachableError
from stagecast.training.what_if.orders import orders_of_model
from stagecast.training.what_if.second_order import p_order, second_order
from tests.profiles import examples
from tests.training.what_if.test_leaving import MBG, MODELS, PARETO

AGES = np.linspace(3.0, 400.0, 150)


def base_of(*models: Model) -> CustomerBase:
    return CustomerBase(models, None)


def test_the_median_is_the_closed_form() -> None:
    # one age: F(t) is proportional to 1 - (1 + t / A)^-r, with A = alpha + T
    r, alpha, _, _ = MBG.params
    A = alpha + 50.0
    half = (1.0 - (1.0 + 365.0 / A) ** -r) / 2.0
    median = A * ((1.0 - half) ** (-1.0 / r) - 1.0)
    moved = second_order(base_of(MBG), np.full(20, 50.0), -10.0)
    assert moved.median_days == pytest.approx(median, rel=1e-6)
    assert moved.changed_days == pytest.approx(median - 10.0, rel=1e-5)
    # at a pace c the inverse scale is A / c
    scaled = A / moved.pace
    half = (1.0 - (1.0 + 365.0 / scaled) ** -r) / 2.0
    assert scaled * ((1.0 - half) ** (-1.0 / r) - 1.0) == pytest.approx(median - 10.0, rel=1e-5)


def test_a_pace_recovers_simulated_second_orders() -> None:
    # one-time buyers of Pareto/NBD aged 0, whose rates are multiplied by 1.5
    rng, n = np.random.default_rng(5), 200_000
    r, alpha, s, beta = PARETO.params
    order = rng.exponential(1.0 / rng.gamma(r, 1.0 / alpha, n)) / 1.5
    leaves = rng.exponential(1.0 / rng.gamma(s, 1.0 / beta, n))
    second = order[order < np.minimum(leaves, 365.0)]
    none = np.zeros(1)
    assert p_order(PARETO, 365.0, 1.5, none)[0] == pytest.approx(len(second) / n, abs=0.005)
    now = second_order(base_of(PARETO), none, 0.0)
    shift = float(np.median(second)) - now.median_days
    assert second_order(base_of(PARETO), none, shift).pace == pytest.approx(1.5, rel=0.05)


@MODELS
@pytest.mark.parametrize("days", [-10.0, -3.0, 5.0])
def test_the_median_moves_by_the_days(model: Model, days: float) -> None:
    moved = second_order(base_of(model), AGES, days)
    assert moved.changed_days - moved.median_days == pytest.approx(days, abs=1e-4)
    assert (moved.pace > 1.0) == (days < 0)
    assert (moved.changed_p_within_year > moved.p_within_year) == (days < 0)


def test_no_shift_is_the_pace_one() -> None:
    moved = second_order(base_of(MBG, PARETO), AGES, 0.0)
    assert (moved.pace, moved.changed_days) == (1.0, moved.median_days)


def test_a_median_below_zero_is_refused_with_what_it_is() -> None:
    with pytest.raises(UnreachableError, match=r"within \d+\.\d days by the models"):
        second_order(base_of(MBG, PARETO), AGES, -300.0)


@MODELS
@given(st.floats(1.0, 3.0), st.floats(1.0, 700.0))
@settings(max_examples=examples(30))
def test_a_faster_pace_brings_more_orders_to_one_time_buyers_alone(
    model: Model, pace: float, T: float
) -> None:
    history = (np.array([0.0, 3.0]), np.array([0.0, T / 2]), np.array([T, T]))
    now, then = (orders_of_model(model, [365], history, 0.1, pace=c)[0] for c in (1.0, pace))
    assert then[0] >= now[0] * (1.0 - 1e-6)
    # the orders of a pace c are at most c times as many
    assert then[0] <= now[0] * pace * (1.0 + 1e-3)
    assert then[1] == now[1]


@MODELS
def test_orders_without_a_change_are_those_of_the_model(model: Model) -> None:
    history = (np.array([0.0, 3.0]), np.array([0.0, 100.0]), np.array([200.0, 200.0]))
    expected = [model.expected_orders_discounted(days, *history, 0.1) for days in (90, 1095)]
    assert orders_of_model(model, [90, 1095], history, 0.1).tolist() == np.array(expected).tolist()

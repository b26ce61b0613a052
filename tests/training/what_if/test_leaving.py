"""How likely customers leave within the horizon, and the drop-out that changes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta as beta_distribution

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.what_if.leaving import (
    History,
    drop_out_factor,
    mean_leaving,
    p_leaving,
    with_drop_out,
)
from stagecast.training.what_if.levers import UnreachableError
from stagecast.training.what_if.orders import orders_of_model
from tests.profiles import examples

MBG = Model("mbg_nbd", (0.5248, 6.1831 * 7, 0.8914, 1.6140), 0.0, 2357)
"""CDNOW, Batislam et al. (2007), times in days."""
PARETO = Model("pareto_nbd", (0.5533, 10.578 * 7, 0.6061, 11.669 * 7), 0.0, 2357)
"""CDNOW, Fader, Hardie and Lee (2005), times in days."""
REGULAR = Model("mbg_nbd", (5.0, 40.0, 0.5, 3.0), 0.0, 500, 6)
MODELS = pytest.mark.parametrize("model", [MBG, PARETO, REGULAR], ids=["mbg", "pareto", "regular"])
HISTORY: History = (
    np.array([0.0, 2.0, 9.0, 1.0]),
    np.array([0.0, 213.0, 250.0, 40.0]),
    np.array([30.0, 272.0, 270.0, 300.0]),
)


def test_leaving_is_the_integral_over_rates_and_coins() -> None:
    x, t_x, T = 2.0, 213.0, 272.0
    r, alpha, a, b = MBG.params
    coins = beta_distribution(a, b + x + 1.0)
    # given the coin p, the mean over Gamma(r + x, alpha + T) rates of exp(-rate p h) is a power
    expected, _ = quad(
        lambda p: (1.0 - (1.0 + 90.0 * p / (alpha + T)) ** -(r + x)) * coins.pdf(p), 0.0, 1.0
    )
    history = (np.array([x]), np.array([t_x]), np.array([T]))
    assert p_leaving(MBG, 90.0, history)[0] == pytest.approx(expected, rel=1e-6)


def test_leaving_of_pareto_nbd_is_the_published_form() -> None:
    # Schmittlein et al. (1987): lifetimes beyond T are Pareto with s and beta + T
    expected = 1.0 - ((81.683 + 272.0) / (81.683 + 362.0)) ** 0.6061
    assert p_leaving(PARETO, 90.0, HISTORY)[1] == pytest.approx(expected, rel=1e-9)


@MODELS
@pytest.mark.parametrize("change", [-0.5, -0.05, 0.05])
def test_the_factor_changes_the_mean_by_the_share(model: Model, change: float) -> None:
    weight = model.p_alive(*HISTORY)
    factor = drop_out_factor(model, 90.0, HISTORY, weight, change)
    before = mean_leaving(model, 90.0, HISTORY, weight)
    after = mean_leaving(with_drop_out(model, factor), 90.0, HISTORY, weight)
    assert after / before == pytest.approx(1.0 + change, rel=1e-8)


@MODELS
def test_no_change_and_nobody_who_can_leave_have_the_factor_one(model: Model) -> None:
    assert drop_out_factor(model, 90.0, HISTORY, model.p_alive(*HISTORY), 0.0) == 1.0
    assert drop_out_factor(model, 90.0, HISTORY, np.zeros(4), -0.05) == 1.0
    nobody: Array = np.zeros(0)
    assert drop_out_factor(model, 90.0, (nobody, nobody, nobody), nobody, -0.05) == 1.0


def test_a_leaving_that_is_out_of_reach_is_refused() -> None:
    certain = Model("pareto_nbd", (1.0, 50.0, 8.0, 20.0), 0.0, 100)
    customer = (np.zeros(1), np.zeros(1), np.ones(1))
    with pytest.raises(UnreachableError, match="more than the models can come to"):
        drop_out_factor(certain, 365.0, customer, np.ones(1), 0.5)


@MODELS
@given(st.floats(0.2, 0.95), st.integers(0, 12), st.floats(0.0, 1.0), st.floats(1.0, 700.0))
@settings(max_examples=examples(30))
def test_less_drop_out_makes_leaving_rarer_and_orders_more(
    model: Model, factor: float, x: int, share: float, T: float
) -> None:
    history = (np.array([float(x)]), np.array([share * T if x else 0.0]), np.array([T]))
    changed = with_drop_out(model, factor)
    assert p_leaving(changed, 90.0, history)[0] < p_leaving(model, 90.0, history)[0]
    now, then = (orders_of_model(model, [365], history, 0.1, f)[0, 0] for f in (1.0, factor))
    assert then >= now * (1.0 - 1e-9)


def simulated_mbg(rng: np.random.Generator, customers: int) -> tuple[History, Array, Array]:
    """Return the histories of customers who are active at T, with their rates and coins."""
    r, alpha, a, b = 0.9, 45.0, 0.8, 3.0
    rates, coins = rng.gamma(r, 1.0 / alpha, customers), rng.beta(a, b, customers)
    T = rng.uniform(60.0, 500.0, customers)
    x, t_x, is_active = np.zeros(customers), np.zeros(customers), rng.random(customers) >= coins
    at = np.zeros(customers)
    going = is_active.copy()
    while going.any():
        at[going] += rng.exponential(1.0 / rates[going])
        going &= at <= T
        x[going] += 1
        t_x[going] = at[going]
        leaves = going & (rng.random(customers) < coins)
        is_active &= ~leaves
        going &= ~leaves
    chosen = np.flatnonzero(is_active)
    history = (x[chosen], t_x[chosen], T[chosen])
    return history, rates[chosen], coins[chosen]


def same_share(leaving: Array, lowered: Array) -> float:
    return float(lowered.mean() / leaving.mean())


def test_simulated_coins_that_fall_less_often_bring_what_the_lever_says() -> None:
    history, rates, coins = simulated_mbg(np.random.default_rng(3), 40_000)
    model = Model("mbg_nbd", (0.9, 45.0, 0.8, 3.0), 0.0, 40_000)
    lowered = 0.6 * coins
    orders_now, orders_then = (
        float((-np.expm1(-rates * p * 365.0) / p).mean()) for p in (coins, lowered)
    )
    share = same_share(-np.expm1(-rates * coins * 90.0), -np.expm1(-rates * lowered * 90.0))
    active = np.ones(len(rates))
    factor = drop_out_factor(model, 90.0, history, active, share - 1.0)
    by_model = [
        float((orders_of_model(model, [365], history, 0.0, f)[0] / model.p_alive(*history)).mean())
        for f in (1.0, factor)
    ]
    assert by_model[0] == pytest.approx(orders_now, rel=0.02)
    gain, expected = by_model[1] / by_model[0] - 1.0, orders_then / orders_now - 1.0
    assert expected > 0.09
    assert by_model[1] == pytest.approx(orders_then, rel=0.03)
    # q a also makes coins less alike than 0.6 times each, which brings a little more
    assert gain == pytest.approx(expected, rel=0.2)


def test_simulated_lifetimes_that_last_longer_bring_what_the_lever_says() -> None:
    rng, customers = np.random.default_rng(4), 40_000
    model = Model("pareto_nbd", (0.9, 45.0, 1.2, 300.0), 0.0, customers)
    rates, leaving = rng.gamma(0.9, 1.0 / 45.0, customers), rng.gamma(1.2, 1.0 / 300.0, customers)
    T = rng.uniform(60.0, 500.0, customers)
    is_active = rng.exponential(1.0 / leaving) > T
    rates, leaving, T = rates[is_active], leaving[is_active], T[is_active]
    # a Poisson count and the last of that many uniform times
    x = rng.poisson(rates * T).astype(np.float64)
    t_x = np.where(x > 0, T * rng.random(len(T)) ** (1.0 / np.maximum(x, 1.0)), 0.0)
    history = (x, t_x, T)
    lowered = 0.6 * leaving
    orders_now, orders_then = (
        float((rates * -np.expm1(-mu * 365.0) / mu).mean()) for mu in (leaving, lowered)
    )
    share = same_share(-np.expm1(-leaving * 90.0), -np.expm1(-lowered * 90.0))
    factor = drop_out_factor(model, 90.0, history, np.ones(len(T)), share - 1.0)
    by_model = [
        float((orders_of_model(model, [365], history, 0.0, f)[0] / model.p_alive(*history)).mean())
        for f in (1.0, factor)
    ]
    assert by_model[0] == pytest.approx(orders_now, rel=0.02)
    gain, expected = by_model[1] / by_model[0] - 1.0, orders_then / orders_now - 1.0
    assert expected > 0.05
    assert by_model[1] == pytest.approx(orders_then, rel=0.02)
    assert gain == pytest.approx(expected, rel=0.1)

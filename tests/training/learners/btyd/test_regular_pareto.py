"""Pareto/CNBD-k: with one phase it is Pareto/NBD, with more what simulated customers do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from stagecast.training.learners.btyd import Model, paretonbd, regular_pareto

PARAMS = (0.8, 30.0, 1.2, 300.0)
HISTORY = (
    np.array([0.0, 1.0, 5.0, 40.0, 3.0]),
    np.array([0.0, 50.0, 200.0, 300.0, 100.0]),
    np.array([200.0, 60.0, 700.0, 305.0, 100.0]),
)


def test_with_one_phase_it_is_pareto_nbd() -> None:
    x, t_x, T = HISTORY
    days = np.full(5, 90.0)
    for actual, expected in (
        (
            regular_pareto.log_odds_dead(PARAMS, 1, x, t_x, T),
            paretonbd.log_odds_dead(PARAMS, x, t_x, T),
        ),
        (
            regular_pareto.log_likelihood(PARAMS, 1, x, t_x, T),
            paretonbd.log_likelihood(PARAMS, x, t_x, T),
        ),
        (
            regular_pareto.rate_if_left(PARAMS, 1, x, t_x, T),
            paretonbd.rate_if_left(PARAMS, x, t_x, T),
        ),
        (
            regular_pareto.none_if_active(PARAMS, 1, days, x, t_x, T),
            paretonbd.none_if_active(PARAMS, days, x, T),
        ),
        (
            regular_pareto.orders_if_active(PARAMS, 1, days, x, t_x, T),
            paretonbd.orders_if_active(PARAMS, days, x, T),
        ),
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_regular_customers_are_as_simulated() -> None:
    random = np.random.default_rng(0)
    n, k, (r, alpha, s, beta), T = 400_000, 4, (1.5, 6.0, 1.0, 300.0), 120.0
    phase, hazard = random.gamma(r, 1 / alpha, n), random.gamma(s, 1 / beta, n)
    until = random.exponential(1 / hazard)
    at = np.cumsum(random.gamma(k, 1.0, (8, n)) / phase, axis=0)
    # one repeat purchase near day 30, and silence since
    those = (at[0] > 26) & (at[0] < 34) & (at[0] < until) & (at[1] > np.minimum(until, T))
    model = Model("pareto_nbd", (r, alpha, s, beta), 0.0, n, k)
    history = np.array([1.0]), np.array([30.0]), np.array([T])
    alive = until[those] > T
    assert model.p_alive(*history)[0] == pytest.approx(alive.mean(), abs=0.03)
    left = those & (until < T)
    assert model.rate_if_left(*history)[0] == pytest.approx((phase[left] / k).mean(), rel=0.05)
    staying = those & (until > T)
    orders = ((at > T) & (at < np.minimum(until, T + 60.0)))[:, staying].sum(axis=0)
    expected = model.expected_orders(60.0, *history)[0] / model.p_alive(*history)[0]
    assert expected == pytest.approx(orders.mean(), rel=0.06)
    none = expit(model._log_odds_dead(*history))[0]
    silent = regular_pareto.none_if_active(model.params, k, np.array([60.0]), *history)[0]
    assert model.p_none(60.0, *history)[0] == pytest.approx(none + (1 - none) * silent)
    assert silent == pytest.approx((orders == 0).mean(), abs=0.03)


def test_who_buys_today_is_a_customer() -> None:
    model = Model("pareto_nbd", PARAMS, 0.0, 1, 6)
    assert model.p_alive(3.0, 100.0, 100.0) == 1.0
    assert np.isfinite(model.rate_if_left(3.0, 100.0, 100.0))

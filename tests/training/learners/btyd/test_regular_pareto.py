"""Pareto/CNBD-k: with one phase it is Pareto/NBD, with more what simulated customers do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from stagecast.training.learners.btyd import Model, paretonbd, regular_pareto, renewals

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


@pytest.mark.parametrize("k", [2, 4, 16])
@pytest.mark.parametrize(("days", "error"), [(30.0, 2e-4), (365.0, 1e-3), (3650.0, 5e-3)])
def test_discounted_orders_are_those_of_each_day(k: int, days: float, error: float) -> None:
    for r, alpha, s, beta in ((5.9, 165.6, 3.0, 4940.0), (0.8, 43.0, 0.5, 60.0)):
        model = Model("pareto_nbd", (r, alpha / k, s, beta), 0.0, 1, k)
        grid = np.linspace(0.0, days, 2_001)
        middle = (grid[1:] + grid[:-1]) / 2
        for history in ((0.0, 0.0, 20.0), (5.0, 160.0, 170.0), (20.0, 500.0, 540.0)):
            x, t_x, T = (np.full(len(grid), value) for value in history)
            stays = renewals.orders_if_active(model.params, k, grid, x, t_x, T, stays=True)
            still = (1.0 + middle / (beta + history[2])) ** -s
            slow = np.diff(stays) @ (still * 1.1 ** (-middle / 365)) * model.p_alive(*history)
            quick = model.expected_orders_discounted(days, *history, annual_rate=0.1)
            assert float(quick) == pytest.approx(float(slow), rel=error)
            undiscounted = model.expected_orders_discounted(days, *history, annual_rate=0.0)
            assert quick < undiscounted

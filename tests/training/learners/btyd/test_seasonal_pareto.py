"""Pareto/NBD with a season of purchases, against closed forms and against a simulation."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import FitError
from stagecast.training.learners.btyd.fit_seasonal_pareto import fit_seasonal_pareto
from stagecast.training.learners.btyd.seasonal_pareto import Histories, SeasonalPareto
from stagecast.training.learners.season_of_purchases import BINS, Season

AS_OF = 19_000.0
PARAMS = (1.2, 60.0, 2.0, 900.0)
EVEN = Season((1.0,) * BINS, AS_OF)
PEAK = Season((*(0.7,) * 22, *(2.65,) * 4), AS_OF)
X = np.array([0.0, 0.0, 1.0, 3.0, 12.0, 40.0])
T_X = np.array([0.0, 0.0, 200.0, 90.0, 500.0, 600.0])
T = np.array([30.0, 700.0, 400.0, 95.0, 640.0, 610.0])


def test_without_a_season_it_is_the_pareto_nbd() -> None:
    closed, ours = Model("pareto_nbd", PARAMS, 0.0, 1_000), SeasonalPareto(PARAMS, EVEN)
    past = Histories.of(X, T_X, T, AS_OF, EVEN)
    alive, rate_if_left = ours.alive_and_rate_if_left(past)
    true_alive = closed.p_alive(X, T_X, T)
    assert ours.log_likelihood(past) == pytest.approx(closed.log_likelihood_of(X, T_X, T), abs=0.02)
    assert alive == pytest.approx(true_alive, rel=0.03)
    assert rate_if_left == pytest.approx(closed.rate_if_left(X, T_X, T), rel=0.02)
    none = 1.0 - alive * (1.0 - ours.none_if_alive(past, 90.0))
    assert none == pytest.approx(closed.p_none(90.0, X, T_X, T), abs=0.005)
    kept, may_leave = ours.orders_ahead(past, 365.0, 0.1)
    assert kept == pytest.approx(closed.orders_if_kept(365.0, X, T_X, T, 0.1), rel=0.005)
    by_closed = closed.expected_orders_discounted(365.0, X, T_X, T, 0.1) / true_alive
    assert may_leave == pytest.approx(by_closed, rel=0.005)


def test_purchases_that_come_late_are_lost_the_more() -> None:
    model = SeasonalPareto(PARAMS, PEAK)
    shares = []
    for as_of in (AS_OF, AS_OF - 56.0):  # just after the peak, and just before it
        past = Histories.of(np.array([2.0]), np.array([90.0]), np.array([200.0]), as_of, PEAK)
        kept, may_leave = model.orders_ahead(past, 365.0, 0.1)
        shares.append(float(may_leave[0] / kept[0]))
    assert shares[0] < shares[1] - 0.03


def test_a_silence_says_less_where_few_buy() -> None:
    model = SeasonalPareto(PARAMS, PEAK)
    x, t_x, T = np.array([6.0]), np.array([300.0]), np.array([356.0])

    def alive(as_of: float) -> float:
        return float(model.alive_and_rate_if_left(Histories.of(x, t_x, T, as_of, PEAK))[0][0])

    # silent through the two months of the peak, and through two months before it
    assert alive(AS_OF) + 0.1 < alive(AS_OF - 56.0)


def test_the_parameters_of_a_simulation_are_found_again() -> None:
    random = np.random.default_rng(3)
    n = 4_000
    age = random.uniform(30.0, 1_000.0, n)
    rate, hazard = random.gamma(PARAMS[0], 1 / PARAMS[1], n), random.gamma(2.0, 1 / 900.0, n)
    stays = np.minimum(random.exponential(1 / hazard), age)
    first = AS_OF - age
    # purchases at random in the time of the season, which runs backwards through its inverse
    grid = np.arange(AS_OF - 1_100.0, AS_OF + 1.0)
    passed = PEAK.time_at(grid)
    start, end = PEAK.time_at(first), PEAK.time_at(first + stays)
    count = random.poisson(rate * (end - start)).astype(float)
    last_of = start + (end - start) * random.beta(np.maximum(count, 1.0), 1.0)
    last = np.where(count > 0, np.interp(last_of, passed, grid) - first, 0.0)
    past = Histories.of(count, last, age, AS_OF, PEAK)
    found, likelihood = fit_seasonal_pareto(past, PEAK, (0.7, 30.0, 1.0, 300.0))
    assert found.params[0] == pytest.approx(PARAMS[0], rel=0.1)
    assert found.params[0] / found.params[1] == pytest.approx(PARAMS[0] / PARAMS[1], rel=0.05)
    assert found.params[2] / found.params[3] == pytest.approx(2.0 / 900.0, rel=0.2)
    assert likelihood >= SeasonalPareto(PARAMS, PEAK).log_likelihood(past).sum()
    alive, _ = found.alive_and_rate_if_left(past)
    assert alive.sum() == pytest.approx((stays >= age).sum(), rel=0.04)


def test_a_start_without_a_likelihood_is_refused() -> None:
    past = Histories.of(X, T_X, np.full(len(X), np.nan), AS_OF, EVEN)
    with pytest.raises(FitError, match="too few"):
        fit_seasonal_pareto(past, EVEN, PARAMS)

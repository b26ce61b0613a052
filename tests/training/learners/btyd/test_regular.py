"""MBG/CNBD-k: its formulas against slow ones and simulation, and the choice of k from gaps."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import betaln
from scipy.stats import nbinom

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model, regular, renewals
from stagecast.training.learners.btyd.fit import fit
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.btyd.rhythm import choose_regularity
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import OF_A_PLAN, fit_customer_base
from tests.profiles import examples

RANDOM = Model("mbg_nbd", (0.52, 43.0, 0.9, 1.6), -9582.1, 2357)
MONTHLY = Model("mbg_nbd", (8.0, 8.0 * 30 / 16, 1.0, 8.0), 0.0, 1, 16)
YEARLY = Model("mbg_nbd", (400.0, 400.0 * 365 / 48, 2.0, 8.0), 0.0, 1, 48)
PARETO = Model("pareto_nbd", (0.55, 74.0, 0.61, 82.0), -9595.0, 2357)
HISTORIES = [
    (0, 0.0, 0.0),
    (0, 0.0, 40.0),
    (3, 90.0, 100.0),
    (3, 90.0, 300.0),
    (12, 360.0, 365.0),
    (40, 330.0, 331.0),
]


@dataclass(frozen=True)
class Simulated:
    """Customers of gamma gaps up to a date, and what they did in the ``days`` after it."""

    x: Array
    t_x: Array
    T: Array
    gaps: LogGaps
    orders: Array
    alive: Array

    @property
    def history(self) -> tuple[Array, Array, Array]:
        return self.x, self.t_x, self.T

    @property
    def features(self) -> dict[str, Array]:
        no_money = np.full(len(self.x), np.nan)
        return {"frequency": self.x, "t_x_days": self.t_x, "T_days": self.T, "monetary": no_money}


def simulate(
    customers: int,
    model: Model,
    days: float,
    seed: int,
    lifetime_days: float | None = None,
    span: float = 730.0,
) -> Simulated:
    """Draw customers of a model who begin within 70 % of a span, on whole days.

    With ``lifetime_days``, they leave after exponential times of that mean, not by a coin.
    """
    random = np.random.default_rng(seed)
    r, alpha, a, b = model.params
    k = model.regularity
    customer, day, orders, alive = [], [], [], []
    for i in range(customers):
        rate, p, at = random.gamma(r, 1 / alpha), random.beta(a, b), random.uniform(0, 0.7 * span)
        end = np.inf if lifetime_days is None else at + random.exponential(lifetime_days)
        times = [at]
        active = True
        while at < span + days:
            left = lifetime_days is None and random.random() < p
            at += random.gamma(k, 1 / rate)
            if left or at > end:
                # who left by the coin did so at the last purchase
                active = times[-1] >= span if lifetime_days is None else end >= span
                break
            times.append(at)
        bought = np.unique(np.floor(times)).astype(np.int64)
        past = bought[bought < span]
        customer.append(np.full(len(past), i))
        day.append(past)
        orders.append(float(((bought >= span) & (bought < span + days)).sum()))
        alive.append(active)
    first = np.array([d[0] for d in day], dtype=float)
    last = np.array([d[-1] for d in day], dtype=float)
    return Simulated(
        np.array([len(d) - 1.0 for d in day]),
        last - first,
        span - first,
        LogGaps.of(np.concatenate(customer), np.concatenate(day), customers),
        np.array(orders),
        np.array(alive, dtype=float),
    )


def slow_orders(model: Model, days: float, x: int, t_x: float, T: float, stays: bool) -> float:
    """E[orders | active], summed over the phases at T and the orders after it."""
    r, alpha, a, b = model.params
    k, R, j = model.regularity, r + model.regularity * x, np.arange(model.regularity)
    phase = nbinom.pmf(j, R, (alpha + t_x) / (alpha + T))
    total = 0.0
    for n in range(1, 200):
        survived = 1.0 if stays else np.exp(betaln(a, b + x + n) - betaln(a, b + x + 1))
        at_least = nbinom.sf(n * k - j - 1, R + j, (alpha + T) / (alpha + T + days))
        total += survived * float(phase @ at_least) / float(phase.sum())
    return total


@pytest.mark.parametrize("k", [2, 5, 12, 48])
@pytest.mark.parametrize("stays", [False, True])
def test_expected_orders_are_the_sum_over_phases_and_orders(k: int, stays: bool) -> None:
    for a in (0.1, 1.0, 4.0):
        model = Model("mbg_nbd", (1.3, 20.0, a, 2.5), 0.0, 1, k)
        for history in HISTORIES:
            columns = (np.array(value, dtype=float) for value in (90.0, *history))
            orders = renewals.orders_if_active(model.params, k, *columns, stays)
            assert float(orders) == pytest.approx(
                slow_orders(model, 90.0, *history, stays), rel=1e-6, abs=1e-8
            )


def test_one_phase_is_mbg_nbd() -> None:
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True))
    days, params = np.array(90.0), RANDOM.params
    alive = RANDOM.p_alive(x, t_x, T)
    np.testing.assert_allclose(
        regular.log_likelihood(params, 1, x, t_x, T),
        RANDOM.log_likelihood_of(x, t_x, T),
        atol=1e-12,
    )
    np.testing.assert_allclose(1 / (1 + np.exp(regular.log_odds_dead(params, 1, x, t_x, T))), alive)
    np.testing.assert_allclose(
        alive * renewals.orders_if_active(params, 1, days, x, t_x, T),
        RANDOM.expected_orders(90, x, t_x, T),
        rtol=1e-6,
    )
    none = regular.none_if_active(params, 1, days, x, t_x, T)
    np.testing.assert_allclose(1 - alive * (1 - none), RANDOM.p_none(90, x, t_x, T))


@pytest.mark.parametrize("k", [2, 8, 48])
def test_many_orders_are_approximated_within_half_a_per_cent(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [np.array(v) for v in ([0.0, 1.0, 12.0, 60.0], [0.0, 7.0, 84.0, 420.0])]
    x, t_x = rows
    columns = np.array(365.0), x, t_x, t_x + 3.0
    for shape in (3.0, 30.0):
        params = (shape, shape * 7 / k, 0.3, 3.0)
        for stays in (False, True):
            with monkeypatch.context() as patch:
                patch.setattr(renewals, "MOST_PHASES", 10_000)
                exact = renewals.orders_if_active(params, k, *columns, stays)
                patch.setattr(renewals, "MOST_PHASES", 0)
                rough = renewals.orders_if_active(params, k, *columns, stays)
            np.testing.assert_allclose(rough, exact, rtol=5e-3)


def test_the_likelihood_is_the_integral_over_rates_and_coins() -> None:
    random = np.random.default_rng(3)
    r, alpha, a, b = (4.0, 12.0, 1.2, 5.0)
    k, gaps, T = 3, np.array([10.0, 14.0, 9.0]), 50.0
    x, t_x = float(len(gaps)), float(gaps.sum())
    rate, p = random.gamma(r, 1 / alpha, 400_000), random.beta(a, b, 400_000)
    single = rate[:, None] ** k * gaps ** (k - 1) * np.exp(-rate[:, None] * gaps) / 2.0
    d = rate * (T - t_x)
    silent = np.exp(-d) * (1 + d + d**2 / 2)
    density = single.prod(axis=1) * (1 - p) ** x * (p + (1 - p) * silent)
    model = Model("mbg_nbd", (r, alpha, a, b), 0.0, 1, k)
    log_density = model.log_likelihood_of(x, t_x, T, np.log(gaps).sum())
    assert float(np.exp(log_density)) == pytest.approx(density.mean(), rel=0.01)
    weight = single.prod(axis=1) * (1 - p) ** (x + 1) * silent
    assert float(model.p_alive(x, t_x, T)) == pytest.approx(weight.sum() / density.sum(), rel=0.01)


@pytest.mark.parametrize("model", [MONTHLY, YEARLY], ids=["monthly", "yearly"])
def test_steps_of_orders_are_discounted(model: Model) -> None:
    for days, rate in ((365.0, 0.1), (3650.0, 0.1)):
        grid = np.linspace(0.0, days, 4_001)
        middle = (grid[1:] + grid[:-1]) / 2
        for history in ((0, 0.0, 5.0), (3, 1095.0, 1100.0)):
            slow = np.diff(model.expected_orders(grid, *history)) @ (1 + rate) ** (-middle / 365)
            quick = model.expected_orders_discounted(days, *history, annual_rate=rate)
            assert float(quick) == pytest.approx(float(slow), rel=2e-3)


def test_who_just_renewed_for_a_year_is_silent_until_the_next() -> None:
    x, renewed = np.array([1.0, 3.0, 6.0]), np.array([1.0, 3.0, 6.0]) * 365.0
    assert (YEARLY.p_none(90, x, renewed, renewed + 2.0) > 0.999).all()
    # the next renewal, unless the customer left at the last
    stays = YEARLY.p_alive(x, renewed, renewed + 2.0)
    orders = YEARLY.expected_orders(365 * 1.5, x, renewed, renewed + 2.0)
    np.testing.assert_allclose(orders, stays, rtol=0.03)
    # half a year late: gone
    assert (YEARLY.p_alive(x, renewed, renewed + 365 * 1.7) < 0.05).all()


@settings(deadline=None, max_examples=examples(60))
@given(
    st.sampled_from([2, 7, 48, 100]),
    st.tuples(
        st.floats(1e-3, 5e3), st.floats(1e-2, 1e6), st.floats(1e-3, 5e3), st.floats(1e-3, 5e3)
    ),
    st.one_of(st.integers(0, 5), st.integers(0, 2000)),
    st.tuples(st.floats(0.0, 4000.0), st.floats(0.0, 1.0)),
    st.floats(0.0, 4000.0),
)
@example(100, (1.0, 1.0, 1.0, 1.0), 489, (0.0, 0.0), 697.0)
def test_every_answer_is_finite_and_possible(
    k: int,
    params: tuple[float, float, float, float],
    x: int,
    times: tuple[float, float],
    days: float,
) -> None:
    model, T = Model("mbg_nbd", params, 0.0, 1, k), times[0]
    history = (x, T * times[1] if x else 0.0, T)
    none, alive, orders = (float(v) for v in model.outlook(days, *history))
    discounted = float(model.expected_orders_discounted(days, *history, annual_rate=0.1))
    stay = float(model.orders_if_kept(days, *history, annual_rate=0.1))
    assert np.isfinite([float(model.log_likelihood_of(*history)), discounted, stay]).all()
    assert 0.0 <= alive <= 1.0
    assert 1.0 - alive - 1e-9 <= none <= 1.0
    assert 1.0 - none - 1e-7 <= orders < np.inf
    assert discounted <= stay * alive * (1 + 1e-6) + 1e-9


def test_kept_orders_are_at_least_the_expected_ones_of_the_alive() -> None:
    x, t_x, T = (np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True))
    columns = {"frequency": x, "t_x_days": t_x, "T_days": T}
    for first in (RANDOM, MONTHLY):
        base = CustomerBase((first, PARETO), None, (0.7, 0.3))
        expected = base.discounted_orders(365, columns, 0.1)
        alive = base.columns(columns, 90)["btyd_alive"]
        assert (base.kept_orders(365, columns, 0.1) >= expected / alive * (1 - 1e-6)).all()


def test_regularity_is_stored_where_it_is_above_one() -> None:
    assert Model.from_json(json.loads(json.dumps(MONTHLY.to_json()))) == MONTHLY
    assert "regularity" not in RANDOM.to_json()
    for wrong in (0, 1.5, 401, "2"):
        with pytest.raises(ValueError, match=r"^regularity is"):
            Model.from_json({**MONTHLY.to_json(), "regularity": wrong})
    two = Model.from_json({**PARETO.to_json(), "regularity": 2})
    assert Model.from_json(two.to_json()).regularity == 2
    with pytest.raises(ValueError, match="bg_nbd has random gaps"):
        Model("bg_nbd", RANDOM.params, 0.0, 9, 2)


def by_tenth(expected: Array, came: Array) -> Array:
    """Return the totals of both by tenths of the expectation, shape (10, 2)."""
    parts = np.array_split(np.argsort(expected, kind="stable"), 10)
    return np.array([[expected[rows].sum(), came[rows].sum()] for rows in parts])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "lifetime_days"),
    [(MONTHLY, None), (YEARLY, None), (MONTHLY, 400.0)],
    ids=["monthly", "yearly", "monthly, leaving at any time"],
)
def test_a_regular_log_is_recognised_and_foretold(
    model: Model, lifetime_days: float | None
) -> None:
    span = 2600.0 if model is YEARLY else 730.0
    log = simulate(3_000, model, 365.0, 11, lifetime_days, span)
    base = fit_customer_base(log.features, gaps=log.gaps)
    fitted = base.models[0]
    # day numbers and few gaps leave the neighbours on the grid
    assert model.regularity / 1.6 < fitted.regularity < model.regularity * 1.6
    # a tenth buys at random, or as few as there are where purchases are payments of a plan
    random = 0.1 if fitted.regularity < OF_A_PLAN else 0.001
    assert 1.0 - base.weights[0] == pytest.approx(random, abs=0.001)
    _, alive, orders = fitted.outlook(365, *log.history)
    assert alive.mean() == pytest.approx(log.alive.mean(), abs=0.04)
    if lifetime_days is None:
        for expected, came in by_tenth(alive, log.alive) / 300:
            assert expected == pytest.approx(came, abs=0.08)
        assert orders.sum() == pytest.approx(log.orders.sum(), rel=0.05)
        for expected, came in by_tenth(orders, log.orders):
            assert expected == pytest.approx(came, rel=0.15, abs=60)
    else:
        assert orders.sum() == pytest.approx(log.orders.sum(), rel=0.15)


@pytest.mark.parametrize("gap_days", [3.0, 25.0])
def test_a_random_log_keeps_random_gaps(gap_days: float) -> None:
    log = simulate(800, Model("mbg_nbd", (2.0, 2.0 * gap_days, 1.0, 8.0), 0.0, 1), 90.0, 5)
    fitted = fit("mbg_nbd", *log.history)
    assert choose_regularity(fitted, *log.history, log.gaps) is fitted

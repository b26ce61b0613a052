"""Fitting: known parameters come back, weights are counts, awkward customers are fitted or
refused by number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.training.learners.btyd import PARAMETERS, GammaGamma, Model
from stagecast.training.learners.btyd.fit import (
    MIN_CUSTOMERS,
    MIN_REPEATERS,
    FitError,
    _distinct,
    fit,
    fit_gamma_gamma,
)

pytestmark = pytest.mark.slow

Params = tuple[float, float, float, float]
History = tuple[Array, Array, Array]

TRUTH: dict[str, Params] = {
    "bg_nbd": (0.6, 40.0, 0.8, 2.5),
    "mbg_nbd": (0.9, 30.0, 0.7, 1.5),
    "pareto_nbd": (0.8, 35.0, 0.7, 90.0),
}


def simulate(name: str, customers: int, days: float, seed: int) -> tuple[History, Array]:
    """Return histories under ``TRUTH[name]``, and the number of purchases in the ``days`` after
    T.
    """
    random = np.random.default_rng(seed)
    r, alpha, third, fourth = TRUTH[name]
    T = random.uniform(100.0, 700.0, customers)
    rate = random.gamma(r, 1.0 / alpha, customers)
    coin, leaves = np.zeros(customers), np.full(customers, np.inf)
    if name == "pareto_nbd":
        leaves = random.exponential(1.0 / random.gamma(third, 1.0 / fourth, customers))
    else:
        coin = random.beta(third, fourth, customers)
        if name == "mbg_nbd":
            leaves[random.random(customers) < coin] = 0.0
    x, t_x, later, now = (
        np.zeros(customers),
        np.zeros(customers),
        np.zeros(customers),
        np.zeros(customers),
    )
    going = leaves > 0
    while going.any():
        now = np.where(going, now + random.exponential(1.0 / rate), now)
        going &= (now < leaves) & (now < T + days)
        observed = going & (now <= T)
        x, t_x, later = x + observed, np.where(observed, now, t_x), later + (going & (now > T))
        going &= random.random(customers) >= coin
    return (x, t_x, T), later


@pytest.mark.parametrize("name", PARAMETERS)
def test_simulated_parameters_come_back(name: str) -> None:
    history, _ = simulate(name, 6_000, 1.0, seed=20)
    model = fit(name, *history)
    # three to four standard errors of 6,000 customers
    assert np.log(model.params) == pytest.approx(np.log(TRUTH[name]), abs=0.3)
    truth = Model(name, TRUTH[name], 0.0, 1)
    assert 0 <= model.log_likelihood - truth.log_likelihood_of(*history).sum() < 10
    assert model.expected_orders_new(365.0) == pytest.approx(
        truth.expected_orders_new(365.0), rel=0.03
    )


@pytest.mark.parametrize("name", PARAMETERS)
def test_forecasts_hold_for_simulated_customers(name: str) -> None:
    days = 120.0
    history, later = simulate(name, 25_000, days, seed=21)
    model = Model(name, TRUTH[name], 0.0, 1)
    p_none, expected = model.p_none(days, *history), model.expected_orders(days, *history)
    x, t_x, T = history
    groups = {
        "no repeat": x == 0,
        "silent": (x > 0) & (T - t_x > 150),
        "active": (x > 0) & (T - t_x < 50),
        "heavy": x >= 8,
    }
    for group, rows in groups.items():
        assert rows.sum() > 300
        error = np.sqrt((p_none[rows] * (1 - p_none[rows])).sum())
        assert (later[rows] == 0).sum() == pytest.approx(p_none[rows].sum(), abs=3.5 * error), group
        error = later[rows].std() * np.sqrt(rows.sum())
        assert later[rows].sum() == pytest.approx(expected[rows].sum(), abs=3.5 * error), group


@pytest.mark.parametrize("name", PARAMETERS)
def test_new_customers_buy_as_often_as_simulated(name: str) -> None:
    (x, _, T), _ = simulate(name, 25_000, 1.0, seed=22)
    expected = Model(name, TRUTH[name], 0.0, 1).expected_orders_new(T)
    assert x.sum() == pytest.approx(expected.sum(), abs=3.5 * x.std() * np.sqrt(len(x)))


def test_weights_are_counts_of_customers() -> None:
    (x, t_x, T), _ = simulate("mbg_nbd", 400, 1.0, seed=23)
    weights = np.arange(400) % 3
    weighted = fit("mbg_nbd", x, t_x, T, weights=weights)
    repeated = fit("mbg_nbd", np.repeat(x, weights), np.repeat(t_x, weights), np.repeat(T, weights))
    assert weighted.params == pytest.approx(repeated.params, rel=1e-9)
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, rel=1e-12)
    assert weighted.customers == repeated.customers == weights.sum()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_fit_does_not_hang_on_time_unit_start_or_order(name: str) -> None:
    (x, t_x, T), _ = simulate(name, 400, 1.0, seed=24)
    model = fit(name, x, t_x, T)
    assert fit(name, x, t_x, T) == model
    assert fit(name, x[::-1], t_x[::-1], T[::-1]) == model
    warm = fit(name, x, t_x, T, start=model)
    assert warm.params == pytest.approx(model.params, rel=2e-3)
    assert warm.log_likelihood == pytest.approx(model.log_likelihood, abs=1e-3)
    unit = np.array([24.0 if key.endswith("_days") else 1.0 for key in PARAMETERS[name]])
    in_hours = fit(name, x, t_x * 24.0, T * 24.0)
    assert np.array(in_hours.params) / unit == pytest.approx(model.params, rel=2e-3)


def test_fitting_leaves_warning_filters_the_random_state_and_the_terminal_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    history, _ = simulate("pareto_nbd", 200, 1.0, seed=25)
    filters, state = list(warnings.filters), np.random.get_state()[1].copy()  # type: ignore[index]
    for name in PARAMETERS:
        fit(name, *history)
    assert list(warnings.filters) == filters
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", PARAMETERS)
def test_our_climb_finds_the_optimum_where_lifetimes_fails(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, _ = simulate(name, 400, 1.0, seed=32)
    model = fit(name, *history)
    monkeypatch.setattr("stagecast.training.learners.btyd.fit._lifetimes_optimum", lambda *_: None)
    alone = fit(name, *history)
    assert alone.params == pytest.approx(model.params, rel=2e-3)
    assert alone.log_likelihood == pytest.approx(model.log_likelihood, abs=1e-3)


def test_a_place_that_is_no_optimum_is_refused_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    history, _ = simulate("mbg_nbd", 800, 1.0, seed=33)
    repeaters = int((history[0] > 0).sum())
    r, alpha, a, b = fit("mbg_nbd", *history).params
    beside = Model("mbg_nbd", (r * 1.02, alpha, a, b), 0.0, 1)
    monkeypatch.setattr("stagecast.training.learners.btyd.fit._lifetimes_optimum", lambda *_: None)
    monkeypatch.setattr(
        "stagecast.training.learners.btyd.climb.minimize",
        lambda _, theta, **__: SimpleNamespace(x=theta),
    )
    with pytest.raises(
        FitError, match=f"no optimum on 800 customers, {repeaters} of them .*: 4 starts led nowhere"
    ):
        fit("mbg_nbd", *history, start=beside)


def _no_churn(random: np.random.Generator) -> History:
    rate, T = random.gamma(2.0, 1 / 60.0, 400), random.uniform(50.0, 400.0, 400)
    x = random.poisson(rate * T).astype(np.float64)
    return x, np.where(x > 0, T * random.random(400) ** (1 / np.maximum(x, 1)), 0.0), T


def _all_alike(_: np.random.Generator) -> History:
    return np.full(100, 5.0), np.full(100, 90.0), np.full(100, 100.0)


def _all_heavy(random: np.random.Generator) -> History:
    T = random.uniform(1000.0, 4000.0, 50)
    return random.integers(500, 2001, 50).astype(np.float64), T * random.uniform(0.3, 1.0, 50), T


def _barely_enough(_: np.random.Generator) -> History:
    x = np.repeat([1.0, 0.0], [MIN_REPEATERS, MIN_CUSTOMERS - MIN_REPEATERS])
    return x, np.where(x > 0, np.arange(MIN_CUSTOMERS), 0.0), np.full(MIN_CUSTOMERS, 30.0)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("draw", [_no_churn, _all_alike, _all_heavy, _barely_enough])
def test_an_optimum_at_infinity_is_reported_finite(
    name: str, draw: Callable[[np.random.Generator], History]
) -> None:
    history = draw(np.random.default_rng(26))
    model = fit(name, *history)
    assert model.log_likelihood == pytest.approx(model.log_likelihood_of(*history).sum(), rel=1e-12)
    expected = model.expected_orders(30.0, *history)
    assert np.isfinite(expected).all()
    assert (
        max(
            v
            for key, v in zip(PARAMETERS[name], model.params, strict=True)
            if not key.endswith("_days")
        )
        < 8_104
    )
    for position, key in enumerate(PARAMETERS[name]):
        unit = history[2].max() if key.endswith("_days") else 1.0
        low, high = (-14.0, 14.0) if key.endswith("_days") else (-9.0, 9.0)
        for step in (-0.05, 0.05):
            moved = list(model.params)
            moved[position] *= float(np.exp(step))
            if (
                low <= np.log(moved[position] / unit) <= high
            ):  # beyond a bound it may well be better
                other = Model(name, (moved[0], moved[1], moved[2], moved[3]), 0.0, 1)
                gain = other.log_likelihood_of(*history).sum() - model.log_likelihood
                assert gain < 1e-4, (key, step)


@pytest.mark.parametrize("name", PARAMETERS)
def test_customers_without_churn_are_alive(name: str) -> None:
    history = _no_churn(np.random.default_rng(27))
    assert fit(name, *history).p_alive(*history).mean() > 0.99


@pytest.mark.parametrize("name", PARAMETERS)
def test_too_few_customers_are_refused_by_number(name: str) -> None:
    x, t_x, T = _barely_enough(np.random.default_rng(0))
    with pytest.raises(
        FitError, match=rf"{name} .* on 29 customers, 10 of them with a repeat purchase"
    ):
        fit(name, x[:-1], t_x[:-1], T[:-1])
    with pytest.raises(FitError, match="30 customers, 9 of them"):
        fit(name, np.where(np.arange(30) < 1, 0.0, x), np.where(np.arange(30) < 1, 0.0, t_x), T)
    with pytest.raises(FitError, match="0 customers, 0 of them"):
        fit(name, [], [], [])
    with pytest.raises(FitError, match="all 40 customers are new today"):
        fit(name, np.ones(40), np.zeros(40), np.zeros(40))
    assert issubclass(FitError, NotEnoughDataError)


def test_arguments_that_cannot_be_are_refused_by_value() -> None:
    x, t_x, T = _barely_enough(np.random.default_rng(0))
    with pytest.raises(
        UsageError, match=r"'mbgnbd' is no customer-base model.*Did you mean 'mbg_nbd'"
    ):
        fit("mbgnbd", x, t_x, T)
    with pytest.raises(UsageError, match="one length"):
        fit("bg_nbd", x[:-1], t_x, T)
    with pytest.raises(UsageError, match=r"weights holds -1 at position 0"):
        fit("bg_nbd", x, t_x, T, weights=np.full(30, -1.0))
    with pytest.raises(UsageError, match=r"x holds 0.5; .* whole"):
        fit("bg_nbd", np.where(x > 0, 0.5, 0.0), t_x, T)
    for column, value in ((0, np.nan), (1, 100.0), (2, np.inf), (2, -1.0)):
        columns = [x.copy(), t_x.copy(), T.copy()]
        columns[column][3] = value
        with pytest.raises(ValueError, match="1 customer without a possible history"):
            fit("bg_nbd", columns[0], columns[1], columns[2])
    with pytest.raises(UsageError, match="cannot start a fit of bg_nbd from a fit of mbg_nbd"):
        fit("bg_nbd", x, t_x, T, start=Model("mbg_nbd", (1.0, 1.0, 1.0, 1.0), 0.0, 1))


def _spend(customers: int, p: float, q: float, v: float, seed: int) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.integers(1, 12, customers).astype(np.float64)
    return x, random.gamma(p * x, 1.0 / (random.gamma(q, 1.0 / v, customers) * x))


def test_simulated_spend_comes_back() -> None:
    x, monetary = _spend(8000, 5.0, 3.5, 20.0, seed=28)
    model = fit_gamma_gamma(x, monetary)
    # three to four standard errors of 8,000 repeaters
    assert (model.p, model.q, model.v) == pytest.approx((5.0, 3.5, 20.0), rel=0.1)
    assert model.expected_spend(0, 0) == pytest.approx(5.0 * 20.0 / 2.5, rel=0.03)
    truth = GammaGamma(5.0, 3.5, 20.0, 1.0, 0.0, 1)
    assert 0 <= model.log_likelihood - truth.log_likelihood_of(x, monetary).sum() < 10


def test_spend_in_another_currency_is_the_same_model() -> None:
    x, monetary = _spend(300, 5.0, 3.5, 20.0, seed=29)
    item, other = fit_gamma_gamma(x, monetary), fit_gamma_gamma(x, monetary * 1e6)
    assert (item.p, item.q, item.v) == pytest.approx((other.p, other.q, other.v / 1e6), rel=1e-6)
    assert item.log_likelihood == pytest.approx(other.log_likelihood + 300 * np.log(1e6), abs=1e-6)


def test_spend_without_a_finite_population_mean_is_held_at_q_of_1() -> None:
    x, monetary = _spend(2000, 5.0, 0.6, 20.0, seed=30)
    model = fit_gamma_gamma(x, monetary)
    assert model.q == 1.0
    assert float(model.expected_spend(0, 0)) == pytest.approx(float((x * monetary).sum() / x.sum()))
    assert np.isfinite(model.expected_spend(x, monetary)).all()


def test_spend_is_fitted_on_paying_repeaters_only() -> None:
    x, monetary = _spend(60, 5.0, 3.5, 20.0, seed=31)
    padded = fit_gamma_gamma(
        np.append(x, [0.0, 3.0, 2.0]), np.append(monetary, [50.0, 0.0, np.nan])
    )
    assert padded == fit_gamma_gamma(x, monetary)
    assert padded.customers == 60
    assert fit_gamma_gamma(x, monetary, weights=np.full(60, 2.0)).p == pytest.approx(
        padded.p, rel=1e-5
    )


def test_too_few_repeaters_with_spend_are_refused_by_number() -> None:
    with pytest.raises(
        FitError, match=r"9 customers have a repeat purchase with a spend above 0, 10 are needed"
    ):
        fit_gamma_gamma(np.ones(20), np.where(np.arange(20) < 9, 5.0, 0.0))
    with pytest.raises(UsageError, match="x holds a value that is negative"):
        fit_gamma_gamma([-1.0], [5.0])


def test_equal_spend_of_everybody_is_fitted() -> None:
    model = fit_gamma_gamma(np.full(50, 3.0), np.full(50, 10.0))
    assert model.expected_spend([0, 3], [0.0, 10.0]) == pytest.approx([10.0, 10.0], rel=1e-3)


@pytest.mark.parametrize(
    "name", ["bg_nbd", "mbg_nbd", pytest.param("pareto_nbd", marks=pytest.mark.long)]
)
def test_many_customers_are_fitted_to_the_same_optimum_by_a_short_way(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (x, t_x, T), _ = simulate(name, 12_000, 300.0, 5)
    monkeypatch.setattr("stagecast.training.learners.btyd.fit.SAMPLE_CUSTOMERS", 2_000)
    short = fit(name, x, t_x, T)
    monkeypatch.setattr("stagecast.training.learners.btyd.fit.SAMPLE_CUSTOMERS", 10**9)
    long = fit(name, x, t_x, T)
    assert short.log_likelihood == pytest.approx(long.log_likelihood, abs=0.02)
    np.testing.assert_allclose(short.params, long.params, rtol=0.02)


def test_rows_that_are_not_whole_numbers_are_told_apart_as_well() -> None:
    x = np.array([1.0, 1.0, 0.0, 1.0])
    T = np.array([10.0, 10.0, 3.0, 10.5])
    for times in (T, T * 1e12, np.floor(T)):
        rows, counts = _distinct((x, times / 2, times), None)
        again = np.unique(np.column_stack([x, times / 2, times]), axis=0, return_counts=True)
        np.testing.assert_array_equal(np.column_stack(rows), again[0])
        np.testing.assert_array_equal(counts, again[1])

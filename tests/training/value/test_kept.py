"""Value if kept and its parts, against customers whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import fit
from stagecast.training.learners.btyd.seasonal_pareto import SeasonalPareto
from stagecast.training.learners.customer_base import CustomerBase, log_odds
from stagecast.training.learners.leaving import Leaving
from stagecast.training.learners.season_of_purchases import BINS, Season
from stagecast.training.value.kept import (
    parts_of_buyers,
    parts_of_contracts,
    range_of_contracts,
    still_customer,
)
from stagecast.training.value.model import ValueModel
from stagecast.training.value.money_of_buyers import money_of_buyers


def test_a_pooled_probability_of_the_customer_base_moves_nobody() -> None:
    random = np.random.default_rng(1)
    alive, if_alive = random.uniform(0.01, 0.99, (2, 500))
    none = 1.0 - alive * if_alive
    np.testing.assert_allclose(still_customer(none, logit(none), alive), alive, rtol=1e-6)


def test_the_likelier_a_purchase_the_more_of_a_customer() -> None:
    p = np.linspace(0.99, 0.01, 50)
    alive = still_customer(p, np.full(50, logit(0.6)), np.full(50, 0.7))
    assert (np.diff(alive) > 0).all()
    assert (alive >= 1.0 - p - 1e-12).all()


def test_a_silence_in_which_nobody_buys_says_nothing() -> None:
    # just after a yearly renewal, a purchase within the horizon is unlikely for a customer, too
    alive = still_customer(np.array([0.9999]), np.array([logit(0.995)]), np.array([0.85]))
    assert alive[0] == pytest.approx(0.85, abs=0.02)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_part_is_negative_and_the_clv_stays(seed: int) -> None:
    random = np.random.default_rng(seed)
    clv, alive = random.lognormal(2, 2, 1_000), random.uniform(0, 1, 1_000)
    orders, stay, back, each = random.lognormal(0, 2, (4, 1_000))
    parts = parts_of_buyers(clv, alive, orders, orders + stay, back, each)
    np.testing.assert_array_equal(parts.clv, clv)
    assert (parts.at_risk >= 0).all()
    assert (parts.gone >= 0).all()
    assert np.isfinite(parts.at_risk + parts.gone).all()


@pytest.mark.slow
def test_parts_of_simulated_customers_have_the_true_totals_and_beat_simple_rankings() -> None:
    """Pareto/NBD customers: who leaves at a constant hazard, and buys at a constant rate."""
    random = np.random.default_rng(7)
    n, T, ahead = 12_000, random.uniform(100, 900, 12_000), 365.0
    rate, hazard = random.gamma(1.0, 1 / 40, n), random.gamma(2.0, 1 / 800, n)
    until = random.exponential(1 / hazard)
    observed = np.minimum(until, T)
    x = random.poisson(rate * observed).astype(float)
    # given their number, purchase times are uniform, and the last of x is the largest
    t_x = np.floor(np.where(x > 0, observed * random.uniform(0, 1, n) ** (1 / np.maximum(x, 1)), 0))
    features = {"frequency": x, "t_x_days": t_x, "T_days": np.ceil(T)}
    base = CustomerBase((fit("pareto_nbd", x, t_x, np.ceil(T)),), None)
    spend = random.lognormal(3, 0.6, n)
    columns = base.columns(features, 90)
    orders = base.discounted_orders(365, features, 0.0)
    alive = still_customer(expit(columns["btyd_none"]), columns["btyd_none"], columns["btyd_alive"])
    np.testing.assert_allclose(alive, columns["btyd_alive"], atol=1e-5)
    parts = parts_of_buyers(
        orders * spend,
        alive,
        orders / columns["btyd_alive"],
        base.kept_orders(365, features, 0.0),
        base.regained_orders(365, features, 0.0),
        spend,
    )
    is_alive = until > T
    stays = np.clip(until - T, 0, ahead)
    kept_value = rate * ahead * spend
    lost, gone = (
        np.where(is_alive, kept_value - rate * stays * spend, 0.0),
        np.where(is_alive, 0.0, kept_value),
    )
    assert parts.at_risk.sum() == pytest.approx(lost.sum(), rel=0.10)
    assert parts.gone.sum() == pytest.approx(gone.sum(), rel=0.10)

    def reached(score: np.ndarray, truth: np.ndarray, share: float) -> float:
        first = np.argsort(-score)[: int(share * n)]
        return float(truth[first].sum() / truth.sum())

    churn, yearly = expit(columns["btyd_none"]), x / np.maximum(T, 30) * 365 * spend
    simple = [churn * orders * spend, churn * yearly, orders * spend, yearly]
    for share in (0.02, 0.05, 0.10):
        best = max(reached(score, lost, share) for score in simple)
        assert reached(parts.at_risk, lost, share) > best - 0.01
        best = max(reached(score, gone, share) for score in simple)
        assert reached(parts.gone, gone, share) > best - 0.01


def test_the_value_of_a_contract_falls_with_the_chance_of_its_end() -> None:
    p = np.array([0.0, 0.1, 0.5, 1.0])
    parts = parts_of_contracts(np.full(4, 10.0), np.full(4, 120.0), p, 30, 365, 0.1)
    assert parts.clv[0] == pytest.approx(120.0)
    assert (np.diff(parts.at_risk) > 0).all()
    assert (parts.clv >= 10.0 - 1e-9).all()
    assert (parts.gone == 0).all()
    np.testing.assert_allclose(parts.clv + parts.at_risk, 120.0)


def test_ranges_of_contracts_cover_and_never_exceed_the_price() -> None:
    random = np.random.default_rng(11)
    n, price = 20_000, 10.0
    hazard = random.gamma(1.5, 1 / 500, n)
    parts = parts_of_contracts(
        np.zeros(n), np.full(n, 12 * price), -np.expm1(-hazard * 90), 90, 365, 0.0
    )
    low, high = range_of_contracts(parts.clv, parts.clv + parts.at_risk, np.full(n, price))
    assert (low <= parts.clv).all()
    assert (parts.clv <= high).all()
    assert (high <= 13 * price + 1e-9).all()
    # a bill each 30 days, from a day of its own on, until the contract ends
    bills = random.uniform(0, 30, n)[:, None] + 30.0 * np.arange(13)
    ends = random.exponential(1 / hazard)
    paid = price * ((bills < 365) & (bills < ends[:, None])).sum(axis=1)
    assert ((paid >= low) & (paid <= high)).mean() == pytest.approx(0.92, abs=0.03)
    risky = hazard > np.quantile(hazard, 0.8)
    assert 0.86 < ((paid >= low) & (paid <= high))[risky].mean() < 0.97


def test_log_odds_of_the_pool_are_clipped_not_infinite() -> None:
    p = np.array([0.0, 1.0])
    assert np.isfinite(still_customer(p, log_odds(p), np.array([0.0, 1.0]))).all()


def test_a_burst_long_ago_is_not_at_risk_any_more() -> None:
    # 22 orders within two months and none for 416 days: P(alive) is beyond what one divides by
    base = CustomerBase((Model("mbg_nbd", (0.52, 6.2, 0.89, 1.6), 0.0, 1),), None)
    columns = {
        name: np.array([value])
        for name, value in {
            "frequency": 21.0,
            "orders": 22.0,
            "t_x_days": 40.0,
            "T_days": 456.0,
            "spend_mean": 30.0,
        }.items()
    }
    columns |= base.columns(columns, 90)
    assert columns["btyd_alive"][0] < 1e-12
    config = TrainConfig(horizon_days=90)
    money = money_of_buyers(ValueModel(30.0), base, config, columns, np.array([0.944]), 0.0)
    # the chance of an order times what such orders bring, and not the pace of the burst
    assert money.value_at_risk[0] < 5 * money.clv[0]
    assert money.value_at_risk[0] < 0.02 * money.value_gone[0]


def test_the_money_carries_who_is_still_a_customer_and_works_it_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    T = np.array([300.0, 700.0])
    history = {
        "frequency": np.array([0.0, 3.0]),
        "t_x_days": np.array([0.0, 400.0]),
        "T_days": T,
        "first_day": 19_000.0 - T,
        "orders": np.array([1.0, 4.0]),
        "spend_mean": np.array([30.0, 20.0]),
    }
    params = {"mbg_nbd": (0.52, 60.2, 0.89, 1.6), "pareto_nbd": (1.0, 40.0, 2.0, 800.0)}
    base = CustomerBase(tuple(Model(name, p, 0.0, 1) for name, p in params.items()), None)
    columns = history | base.columns(history, 90)
    season = Season((0.5, *(1.0,) * (BINS - 2), 1.5), 19_000.0)
    leaving = Leaving((0.5, 0.5), seasonal=SeasonalPareto(params["pareto_nbd"], season))
    config, none = TrainConfig(horizon_days=90), np.array([0.8, 0.6])
    for model in (ValueModel(30.0, leaving=leaving), ValueModel(30.0), ValueModel(None)):
        said = money_of_buyers(model, base, config, columns, none, 0.0).p_alive
        assert said.tobytes() == np.asarray(model.p_alive(columns)).tobytes()
    of_season = ValueModel(30.0, leaving=leaving)
    assert (of_season.p_alive(columns) != columns["btyd_alive"]).all()
    monkeypatch.delattr(SeasonalPareto, "alive")
    assert np.isfinite(money_of_buyers(of_season, base, config, columns, none, 0.0).p_alive).all()

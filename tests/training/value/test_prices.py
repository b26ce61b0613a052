"""The trend of the prices: what is one, what is none, and what it does to the money."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.record import PurchaseDays
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd.gammagamma import GammaGamma
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import predict
from stagecast.training.value.fit_prices import Estimate, fit_prices, yearly_trend
from stagecast.training.value.model import ValueModel, spend_so_far
from stagecast.training.value.prices import MAX_YEARLY, NO_TREND, PriceTrend
from stagecast.training.value.spans import Purchases
from tests.training.made import Row, Trained, day, trained

AS_OF_DAY = 19_000
YEARS = 2.6
BASE = CustomerBase((), GammaGamma(6.0, 4.0, 15.0, 30.0, -1.0, 100))


def log(
    seed: int, trend: float = 0.0, christmas: float = 1.0, *, years: float = YEARS, n: int = 600
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return customer, day and log of the spend of each purchase day, of customers who buy about
    every 40 days for about 400, and spend more by ``christmas`` in 40 days of each year.
    """
    random, length = np.random.default_rng(seed), round(365 * years)
    customers, days, spend = [], [], []
    for k in range(n):
        at, usual = random.uniform(0, length), random.normal(3.5, 0.5)
        end = min(at + random.exponential(400.0), length)
        own = np.unique((at + np.append(0.0, np.cumsum(random.exponential(40.0, 60)))).astype(int))
        own = own[own < end]
        amounts = random.normal(usual, 0.5, len(own)) + trend * own / 365.0
        amounts += np.where(own % 365 > 320, np.log(christmas), 0.0)
        customers += [k] * len(own)
        days += own.tolist()
        spend += amounts.tolist()
    return np.array(customers), np.array(days) + AS_OF_DAY - length, np.array(spend)


def purchases(customer: np.ndarray, days: np.ndarray, spend: np.ndarray) -> Purchases:
    at = PurchaseDays(customer, days, np.exp(spend), days * 86_400_000_000)
    return Purchases(at, float(AS_OF_DAY))


def estimate(
    customer: np.ndarray, days: np.ndarray, spend: np.ndarray, years: float = YEARS
) -> Estimate:
    result = yearly_trend(purchases(customer, days, spend), 365.0 * years)
    assert result is not None
    return result


def fitted(customer: np.ndarray, days: np.ndarray, spend: np.ndarray) -> PriceTrend:
    """Return the trend that a training would use."""
    starts = np.flatnonzero(np.diff(customer, prepend=-1))
    first, last = np.minimum.reduceat(days, starts), np.maximum.reduceat(days, starts)
    now = {
        "spend_mean": np.full(len(starts), 30.0),
        "frequency": np.bincount(customer)[customer[starts]] - 1.0,
        "first_day": first.astype(float),
        "t_x_days": (last - first).astype(float),
        "T_days": (AS_OF_DAY - first).astype(float),
    }
    return fit_prices(purchases(customer, days, spend), BASE, now, 365.0 * YEARS, 90)


@pytest.mark.parametrize("trend", [0.22, -0.3])
def test_the_trend_of_the_amounts_is_recovered(trend: float) -> None:
    estimates = [estimate(*log(seed, trend, 1.5)) for seed in range(8)]
    errors = np.array([(e.yearly - trend) / np.sqrt(e.variance) for e in estimates])
    assert np.abs(np.mean([e.yearly for e in estimates]) - trend) < 0.03
    assert np.abs(errors).max() < 3.0
    assert np.mean([e.believed for e in estimates]) == pytest.approx(trend, abs=0.05)


def test_without_a_trend_few_logs_show_one() -> None:
    believed = [estimate(*log(seed, n=200)).believed for seed in range(40)]
    assert sum(value != 0.0 for value in believed) <= 5
    assert np.abs(believed).max() < 0.2


@pytest.mark.parametrize("years", [1.4, 1.95, 2.3, 2.95])
def test_a_christmas_season_is_no_trend(years: float) -> None:
    """Wherever the log begins and ends within the year."""
    for seed in range(4):
        result = estimate(*log(seed, christmas=2.0, years=years), years)
        assert abs(result.yearly) < 3.0 * np.sqrt(result.variance)
        assert abs(result.believed) < 0.06


def test_fifteen_months_tell_no_trend() -> None:
    assert yearly_trend(purchases(*log(1, 0.4, years=1.25)), 456.0) is None
    assert yearly_trend(purchases(*log(1, 0.4, years=1.4)), 511.0) is not None


def test_customers_who_spend_more_the_longer_they_stay_are_no_trend() -> None:
    """Each spends .3 in logs more a year, while what new customers begin with stays the same."""
    customer, days, spend = log(4)
    first = np.minimum.reduceat(days, np.flatnonzero(np.diff(customer, prepend=-1)))[customer]
    spend += 0.3 * (days - first) / 365.0
    within = estimate(customer, days, spend)
    assert within.believed > 0.2
    assert fitted(customer, days, spend) == NO_TREND


def test_prices_that_rise_for_old_and_new_customers_are_a_trend() -> None:
    trends = [fitted(*log(seed, 0.25)).yearly for seed in range(6)]
    assert np.mean(trends) == pytest.approx(0.25, abs=0.05)
    assert min(trends) > 0.15


def test_one_giant_order_hardly_moves_the_trend() -> None:
    customer, days, spend = log(3, 0.2)
    row = int(np.flatnonzero((np.bincount(customer)[customer] > 5) & (days > AS_OF_DAY - 90))[-1])
    usual = estimate(customer, days, spend)
    spend[row] += np.log(1e6)
    assert estimate(customer, days, spend).yearly == pytest.approx(usual.yearly, abs=0.01)


def test_other_customers_than_before_are_no_trend() -> None:
    """Who comes a year later spends a half more, and nobody changes."""
    customer, days, spend = log(5)
    first = np.minimum.reduceat(days, np.flatnonzero(np.diff(customer, prepend=-1)))
    spend += 0.4 * (first[customer] - AS_OF_DAY) / 365.0
    result = estimate(customer, days, spend)
    assert abs(result.believed) < 0.05


def test_a_large_first_purchase_is_no_trend() -> None:
    customer, days, spend = log(6)
    usual = estimate(customer, days, spend)
    spend[np.diff(customer, prepend=-1) != 0] += 2.0
    assert estimate(customer, days, spend) == usual


def test_months_that_differ_for_everybody_are_chance() -> None:
    """With customers alone as clusters, most of these trends would be far beyond chance."""
    believed = []
    for seed in range(20):
        customer, days, spend = log(seed + 50)
        of_month = np.random.default_rng(seed).normal(0.0, 0.3, 40)
        spend += of_month[(AS_OF_DAY - days) // 31]
        believed.append(estimate(customer, days, spend).believed)
    assert sum(value != 0.0 for value in believed) <= 6


def test_fixed_prices_that_rise_once_a_year_are_a_trend() -> None:
    customer, days, _ = log(7)
    year = (days - AS_OF_DAY) // 365
    assert estimate(customer, days, 3.0 + 0.05 * year).yearly == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("months_ago", [9, 12])
def test_a_price_that_rose_once_for_all_is_no_trend(months_ago: int) -> None:
    customer, days, _ = log(7)
    prices = np.log(np.array([9.0, 19.0, 49.0]))[customer % 3]
    rose = np.log(1.2) * (days > AS_OF_DAY - 30 * months_ago)
    assert estimate(customer, days, prices + rose).believed > 0.05
    assert abs(fitted(customer, days, prices + rose).yearly) < 0.03
    # and one that rises each year is one
    rises = fitted(customer, days, prices + 0.1 * ((days - AS_OF_DAY) // 365))
    assert rises.yearly == pytest.approx(0.1, abs=0.02)


def test_amounts_that_never_change_have_no_trend() -> None:
    customer, days, _ = log(7)
    prices = np.log(np.array([9.0, 19.0, 49.0]))[customer % 3]
    assert estimate(customer, days, prices).believed == 0.0


def test_a_trend_counts_as_half_a_log_a_year_at_most() -> None:
    assert Estimate(2.0, 1e-6).believed == MAX_YEARLY
    assert Estimate(-2.0, 1e-6).believed == -MAX_YEARLY
    assert Estimate(0.2, 0.01).believed == 0.0


COLUMNS = {
    "orders": np.array([3.0, 1.0, 2.0]),
    "spend_mean": np.array([40.0, 25.0, 0.0]),
    "first_day": np.full(3, AS_OF_DAY - 730.0),
    "t_x_days": np.array([730.0, 0.0, 365.0]),
    "T_days": np.full(3, 730.0),
}


def test_amounts_are_brought_to_the_prices_of_the_horizon() -> None:
    prices = PriceTrend(0.2, AS_OF_DAY - 365.0, 45.0)
    actual = spend_so_far(COLUMNS, BASE, 30.0, 0.5, prices)
    # the amounts are of one, two and one and a half years ago, the mean of all of one year ago
    coming = np.exp(0.2 * (365 + 45) / 365)
    of_first = 6.0 * (15.0 + 3 * 40.0) / (6.0 * 3 + 3) * coming
    of_second = 6.0 * (15.0 + 25.0 * np.exp(0.2)) / (6.0 + 3) * coming
    assert actual[:2] == pytest.approx([of_first, of_second])
    unpaid = spend_so_far(COLUMNS, BASE, 30.0, 0.5)[2]
    assert actual[2] == pytest.approx(unpaid * coming)
    assert spend_so_far(COLUMNS, None, 30.0, 0.5, prices)[0] == pytest.approx(37.5 * coming)


def test_a_trend_of_zero_leaves_every_bit() -> None:
    none = PriceTrend(0.0, AS_OF_DAY - 365.0, 45.0)
    assert none.is_none
    assert none.after_horizon(365) == 1.0
    np.testing.assert_array_equal(
        spend_so_far(COLUMNS, BASE, 30.0, 0.5, none), spend_so_far(COLUMNS, BASE, 30.0, 0.5)
    )
    assert "prices" not in ValueModel(30.0, prices=none).to_json()


def test_a_trend_is_stored_and_damage_is_refused() -> None:
    model = ValueModel(30.0, prices=PriceTrend(0.2, 18_000.5, 45.0))
    assert ValueModel.from_json(model.to_json(), {}).prices == model.prices
    assert ValueModel.from_json(ValueModel(30.0).to_json(), {}).prices == NO_TREND
    for damage in ({"yearly": 0.6}, {"yearly": np.nan}, {"ahead_days": -1.0}, {"mean_day": "x"}):
        with pytest.raises(ValueError, match=r"."):
            PriceTrend.from_json({**model.prices.to_json(), **damage})


def test_without_a_model_of_spend_there_is_no_trend() -> None:
    now = {"spend_mean": np.ones(3), "frequency": np.ones(3)}
    bought = purchases(*log(1, 0.3))
    for base in (None, CustomerBase((), None)):
        assert fit_prices(bought, base, now, 365.0 * YEARS, 90) == NO_TREND


DAYS = 1_000


def rows_of_shop(growth: float, seed: int) -> list[Row]:
    """Return customers who buy at random rates until they leave, at prices that grow."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(900):
        at, rate = random.uniform(0, DAYS), random.gamma(1.2, 0.03 / 1.2)
        end, usual = at + random.exponential(500.0), 40.0 * np.exp(random.normal(0.0, 0.4))
        while at < min(end, DAYS + 365):
            amount = usual * np.exp(random.normal(0.0, 0.5)) * growth ** (at / 365)
            rows.append((f"c{k}", day(at), "purchase", round(float(amount), 2)))
            at += random.exponential(1 / rate)
    return rows


@pytest.fixture(scope="module")
def inflation(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], Trained]:
    rows = rows_of_shop(1.25, seed=2)
    past = [row for row in rows if row[1] < day(DAYS)]
    folder: Path = tmp_path_factory.mktemp("inflation")
    config = TrainConfig(max_dates=4)
    return rows, trained(past, folder / "model", day(DAYS), config, evaluated=False)


def test_under_inflation_an_order_costs_what_it_will_cost(
    inflation: tuple[list[Row], Trained],
) -> None:
    """The spend of the orders that came, at the expected spend per order, is that which came."""
    rows, shop = inflation
    trend = shop.bundle.models.value.prices
    assert trend.yearly == pytest.approx(np.log(1.25), abs=0.06)
    scores = shop.scores().to_pandas().set_index("customer_id")
    per_order = (scores["expected_spend"] / scores["expected_orders"]).to_dict()
    came = [(r[0], r[3]) for r in rows if day(DAYS) <= r[1] < day(DAYS + 90) and r[0] in per_order]
    expected = sum(per_order[customer] for customer, _ in came)
    assert expected / sum(amount or 0.0 for _, amount in came) == pytest.approx(1.0, abs=0.07)
    later = [row for row in rows if row[1] >= day(DAYS) and row[0] in per_order]
    of_year = sum((r[3] or 0.0) * 1.1 ** (-(r[1] - day(DAYS)).days / 365) for r in later)
    assert scores["clv"].sum() / of_year == pytest.approx(1.0, abs=0.1)


def test_the_parts_of_the_value_agree_under_inflation(
    inflation: tuple[list[Row], Trained],
) -> None:
    _, shop = inflation
    models, panel = shop.bundle.models, shop.training.panel
    value = models.value
    still = replace(models, value=replace(value, prices=replace(value.prices, ahead_days=0.0)))
    predicted, at_once = predict(models, panel.now), predict(still, panel.now)
    buyers = predicted.buyers
    np.testing.assert_allclose(predicted.clv_by_year[buyers, 0], predicted.clv[buyers], rtol=1e-9)
    assert (predicted.clv_by_year[buyers] >= 0).all()
    half = np.exp(value.prices.yearly * value.prices.ahead_days / 365)
    for name in ("expected_spend", "clv", "value_at_risk", "value_gone"):
        later, now = getattr(predicted, name)[buyers], getattr(at_once, name)[buyers]
        np.testing.assert_allclose(later, now * half, rtol=1e-9, atol=1e-9, err_msg=name)

"""First orders of another kind: bicycles and parts, samples, prices of welcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY
from stagecast.features.engines.duckdb import DailyTable
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.learners.btyd.fit import fit_gamma_gamma
from stagecast.training.learners.btyd.gammagamma import GammaGamma
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import without_outliers
from stagecast.training.panel import build
from stagecast.training.value.first_orders import USUAL, FirstOrders
from stagecast.training.value.fit_first_orders import FEWEST, fit_first_orders
from stagecast.training.value.model import ValueModel
from tests.training.made import START, log_of

PRICE, PART = 2_000.0, 60.0


def amounts(seed: int, customers: int = 400) -> tuple[Array, Array, Array]:
    """Return first amounts, mean later ones and their number, of customers alike in all orders."""
    random = np.random.default_rng(seed)
    usual = 40.0 / random.gamma(3.0, 1.0, customers) * 2.0
    number = random.integers(1, 5, customers).astype(float)
    first, later = (usual * random.gamma(k * 4.0) / (k * 4.0) for k in (np.ones(customers), number))
    return first, later, number


def fitted(first: Array, later: Array, number: Array) -> tuple[GammaGamma, FirstOrders]:
    model = fit_gamma_gamma(number, without_outliers(later))
    now = {"spend_first": first, "monetary": later, "frequency": number}
    return model, fit_first_orders(model, now)


@pytest.mark.parametrize("seed", range(4))
def test_a_first_order_like_any_other_counts_as_it_is(seed: int) -> None:
    assert fitted(*amounts(seed))[1] == USUAL


@pytest.mark.parametrize("seed", range(3))
def test_a_dear_first_order_says_nothing_of_the_parts_that_follow(seed: int) -> None:
    random = np.random.default_rng(seed)
    first = PRICE * random.lognormal(0.0, 0.4, 200)
    later, number = PART * random.lognormal(0.0, 0.3, 200), np.ones(200)
    model, counted = fitted(first, later, number)
    assert counted.power <= 0.25
    mean = counted.mean_of({"spend_mean": first, "spend_first": first, "orders": number})
    expected = model.expected_spend(number, mean)
    assert expected.mean() == pytest.approx(later.mean(), rel=0.1)
    assert expected.max() < 2.0 * later.mean()


@pytest.mark.parametrize(("share", "seed"), [(0.2, 1), (0.2, 2), (5.0, 3)])
def test_a_first_order_at_a_part_of_the_price_counts_as_the_whole(share: float, seed: int) -> None:
    first, later, number = amounts(seed)
    model, counted = fitted(first * share, later, number)
    ones = np.ones(len(first))
    mean = counted.mean_of(
        {"spend_mean": first * share, "spend_first": first * share, "orders": ones}
    )
    ratio = model.expected_spend(ones, mean).sum() / later.sum()
    assert ratio == pytest.approx(1.0, abs=0.1)
    # who is dear stays dear
    assert np.corrcoef(np.log(mean), np.log(first))[0, 1] > 0.99 or counted.power == 0.0


def test_one_customer_does_not_change_what_all_first_orders_count_as() -> None:
    first, later, number = amounts(5)
    first[0], later[0] = 1e-2, 1e7
    assert fitted(first, later, number)[1] == USUAL
    random = np.random.default_rng(6)
    first = PRICE * random.lognormal(0.0, 0.4, 200)
    later = PART * random.lognormal(0.0, 0.3, 200)
    ones = {"spend_first": first, "frequency": np.ones(200)}
    model = fit_gamma_gamma(np.ones(200), later)
    without = fit_first_orders(model, {**ones, "monetary": later})
    typed = later.copy()
    typed[0] *= 1e5
    columns = {"spend_mean": first, "spend_first": first, "orders": np.ones(200)}
    changed = fit_first_orders(model, {**ones, "monetary": typed})
    before, after = (
        model.expected_spend(np.ones(200), counted.mean_of(columns))
        for counted in (without, changed)
    )
    np.testing.assert_allclose(after, before, rtol=0.05)


def test_few_repeat_customers_or_no_model_of_spend_leave_first_orders_as_they_are() -> None:
    first, later, number = amounts(1)
    model = fit_gamma_gamma(number, later)
    few = slice(0, FEWEST - 1)
    now = {"spend_first": first[few] * 50, "monetary": later[few], "frequency": number[few]}
    assert fit_first_orders(model, now) == USUAL
    now = {"spend_first": first * 50, "monetary": later, "frequency": number}
    assert fit_first_orders(None, now) == USUAL
    assert fit_first_orders(model, now) != USUAL


def test_first_days_that_brought_nothing_are_left_as_they_are() -> None:
    counted = FirstOrders(2.0, 0.0)
    columns = {
        "spend_mean": np.array([10.0, 5.0, np.nan, -3.0]),
        "spend_first": np.array([0.0, np.nan, np.nan, -6.0]),
        "orders": np.array([2.0, 1.0, 1.0, 2.0]),
    }
    np.testing.assert_array_equal(counted.mean_of(columns), columns["spend_mean"])


def test_what_first_orders_count_as_is_stored_and_read() -> None:
    model = ValueModel(10.0, first_orders=FirstOrders(1.5, 0.25))
    stored = model.to_json()
    assert ValueModel.from_json(stored, {}).first_orders == model.first_orders
    older = {name: value for name, value in stored.items() if name != "first_orders"}
    assert ValueModel.from_json(older, {}).first_orders == USUAL
    assert "first_orders" not in replace(model, first_orders=USUAL).to_json()
    with pytest.raises(ValueError, match="level"):
        FirstOrders(np.nan, 1.0)


def test_an_order_of_the_mean_is_expected_of_a_counted_order_of_the_mean() -> None:
    base = CustomerBase((), GammaGamma(6.0, 4.0, 15.0, 30.0, -1.0, 100))
    usual = 6.0 * 15.0 / 3.0
    model = ValueModel(500.0, first_orders=FirstOrders(np.log(usual), 0.0))
    columns = {
        "spend_mean": np.array([900.0]),
        "spend_first": np.array([900.0]),
        "orders": np.array([1.0]),
    }
    assert model.spend_so_far(columns, base) == pytest.approx([usual])


def tractors(seed: int, customers: int = 900, days: int = 1_400) -> pd.DataFrame:
    """Return a log of buyers of a tractor, a quarter of whom buy parts until they leave."""
    random = np.random.default_rng(seed)
    rows: list[tuple[str, float, float]] = []
    for k in range(customers):
        at, needs = float(random.uniform(0, days)), PART * random.lognormal(-0.18, 0.6)
        rows.append((f"t{k}", at, PRICE * random.lognormal(0.0, 0.4)))
        while random.random() < (0.25 if rows[-1][2] > 400 else 0.75):
            at += float(random.exponential(150.0))
            if at >= days:
                break
            rows.append((f"t{k}", at, needs * random.lognormal(-0.045, 0.3)))
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    instants = START.replace(tzinfo=None) + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame.assign(timestamp=instants.dt.floor("s"), amount=frame["amount"].round(2))


def test_parts_are_expected_of_buyers_of_tractors() -> None:
    with log_of(tractors(3)) as log:
        table = DailyTable(log.con, START + 1_400 * DAY)
        panel = build(table, TrainConfig(horizon_days=90))
        models, predicted = fit_models(
            panel, table.purchase_days(), TrainConfig(horizon_days=90), True, with_reference=False
        )
    assert not models.value.first_orders.is_usual
    buyers = predicted.buyers
    orders, spend = predicted.expected_orders[buyers], predicted.expected_spend[buyers]
    assert spend.sum() / orders.sum() == pytest.approx(PART, rel=0.25)
    once = predicted.columns["orders"] == 1
    assert spend[once].sum() / orders[once].sum() < 2.0 * PART

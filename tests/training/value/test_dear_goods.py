"""A maker of dear goods with cheap parts: what a customer pays depends on the time since the first
purchase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY
from stagecast.features.engines.duckdb import DailyTable
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.learners.fit_customer_base import usual_range
from stagecast.training.models import Models, predict
from stagecast.training.panel import build
from stagecast.training.value.ahead import OrdersAhead
from stagecast.training.value.model import ValueModel
from tests.training.made import START, log_of

DAYS, CUSTOMERS = 1_400, 1_500
KAYAK, PADDLE = 1_200.0, 40.0
PARTS_PER_DAY, STAYS_DAYS = 1 / 250, 1_300.0
AGAIN_DAYS, AGAIN_SPREAD = 900.0, 180.0
MIDDLE = (150.0, 600.0)


def kayaks(seed: int, customers: int = CUSTOMERS) -> pd.DataFrame:
    """Return a log of customers who buy a kayak, parts, and another kayak after about 900 days."""
    random = np.random.default_rng(seed)
    rows: list[tuple[str, float, float]] = []
    for k in range(customers):
        first = float(random.uniform(0, DAYS))
        end = min(first + float(random.exponential(STAYS_DAYS)), DAYS)
        at, dear = first, [first]
        while (at := at + float(random.normal(AGAIN_DAYS, AGAIN_SPREAD))) < end:
            dear.append(at)
        parts = random.uniform(first, end, random.poisson(PARTS_PER_DAY * (end - first)))
        rows += [(f"k{k}", t, KAYAK * random.lognormal(-0.08, 0.4)) for t in dear]
        rows += [(f"k{k}", t, PADDLE * random.lognormal(-0.08, 0.4)) for t in parts]
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    instants = START.replace(tzinfo=None) + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame.assign(timestamp=instants.dt.floor("s"), amount=frame["amount"].round(2))


def price(age: Array, days: float) -> Array:
    """Return the true spend per order within so many days of customers of an age who stay."""
    dear = norm.cdf((age + days - AGAIN_DAYS) / AGAIN_SPREAD)
    dear = dear - norm.cdf((age - AGAIN_DAYS) / AGAIN_SPREAD)
    return np.asarray(
        (KAYAK * dear + PADDLE * PARTS_PER_DAY * days) / (dear + PARTS_PER_DAY * days)
    )


@dataclass(frozen=True)
class Fitted:
    """Models of a log; of its buyers age, expected orders and money, shape (rows,) each.

    ``orders`` and ``money`` are those of the horizon and of the value horizon.
    """

    models: Models
    columns: dict[str, Array]
    orders: tuple[Array, Array]
    money: tuple[Array, Array]

    @property
    def age(self) -> Array:
        return self.columns["T_days"]

    def per_order(self, rows: Array) -> tuple[float, float]:
        """Return the spend per order of rows, within the horizon and the value horizon."""
        return tuple(  # type: ignore[return-value]
            float(money[rows].sum() / orders[rows].sum())
            for money, orders in zip(self.money, self.orders, strict=True)
        )


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    config = TrainConfig(horizon_days=90, annual_discount=0.0, max_dates=4)
    with log_of(kayaks(5)) as log:
        table = DailyTable(log.con, START + DAYS * DAY)
        panel = build(table, config)
        models, predicted = fit_models(panel, table.purchase_days(), config, True)
    buyers, columns = predicted.buyers, dict(predicted.columns)
    near = predicted.expected_orders[buyers]
    ahead = OrdersAhead(models.value, models.base, config, columns, near)
    money = predicted.expected_spend[buyers], predicted.clv[buyers]
    return Fitted(models, columns, (near, ahead.until(365)), money)


def test_young_customers_are_expected_to_buy_parts(fitted: Fitted) -> None:
    young = fitted.age < MIDDLE[0]
    of_horizon, of_year = fitted.per_order(young)
    assert of_horizon == pytest.approx(PADDLE, rel=0.35)
    assert of_year == pytest.approx(float(price(fitted.age[young], 365.0).mean()), rel=0.6)


def test_the_year_of_who_is_about_to_replace_is_dearer_than_the_horizon(fitted: Fitted) -> None:
    middle = (fitted.age > MIDDLE[0] + 250) & (fitted.age < MIDDLE[1])
    assert fitted.models.value.later_spend is not None
    of_horizon, of_year = fitted.per_order(middle)
    true = [float(price(fitted.age[middle], days).mean()) for days in (90.0, 365.0)]
    assert true[1] > 1.5 * true[0]
    assert of_year > 1.5 * of_horizon
    assert of_year == pytest.approx(true[1], rel=0.35)


def test_the_totals_are_those_of_the_true_prices(fitted: Fitted) -> None:
    for orders, money, days in zip(fitted.orders, fitted.money, (90.0, 365.0), strict=True):
        true = float((orders * price(fitted.age, days)).sum())
        assert float(money.sum()) == pytest.approx(true, rel=0.25)


def test_the_models_come_back_from_plain_data(fitted: Fitted) -> None:
    value = fitted.models.value
    texts = {name: trees.text for name, trees in value.trees.items()}
    assert "later_spend" in texts
    again = ValueModel.from_json(value.to_json(), texts)
    np.testing.assert_array_equal(
        again.price_after(fitted.columns, 365), value.price_after(fitted.columns, 365)
    )
    older = {key: part for key, part in value.to_json().items() if key != "later_spend"}
    assert ValueModel.from_json(older, texts).price_after(fitted.columns, 365) == 1.0


def test_one_customer_who_pays_a_thousandfold_hardly_moves_the_others() -> None:
    config = TrainConfig(horizon_days=90, max_dates=1)
    clv = []
    for factor in (1.0, 1_000.0):
        frame = kayaks(8, 1_000)
        last = frame.index[frame["timestamp"] == frame["timestamp"].max()]
        frame.loc[last, "amount"] *= factor
        with log_of(frame) as log:
            table = DailyTable(log.con, START + DAYS * DAY)
            panel = build(table, config)
            models, _ = fit_models(panel, table.purchase_days(), config, True)
            predicted = predict(models, panel.now)
        others = panel.now.ids[panel.now.customer] != frame["customer_id"][last[0]]
        clv.append(float(predicted.clv[others].sum()))
    assert clv[1] == pytest.approx(clv[0], rel=0.03)


def test_the_usual_range_holds_both_kinds_of_goods_but_no_typing_error() -> None:
    random = np.random.default_rng(4)
    money = np.r_[random.lognormal(3.7, 0.4, 600), random.lognormal(7.1, 0.4, 400), 1e9]
    least, largest = usual_range(money)
    assert least < money.min()
    assert np.sort(money)[-2] < largest < 1e9
    assert usual_range(np.zeros(0)) == (0.0, np.inf)

"""Customers who pay at different intervals, where cancellations are not recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.periods import BillingPeriods, Period
from stagecast.training.billing.renewals import Renewals
from stagecast.training.bundle.stored_models import base_from_json
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.dated import DatedModel
from stagecast.training.learners.customer_base import HISTORY, CustomerBase
from stagecast.training.learners.fit_plans import later_prices
from stagecast.training.learners.plans import PlannedBase
from stagecast.training.models import predict
from stagecast.training.one_row.predict import usable_base
from stagecast.training.what_if.levers import Levers
from stagecast.training.what_if.value import what_if
from tests.training.made import Row, Trained, day, simulated_rows, trained

MONTH, YEAR, DAYS = 30.44, 365.25, 1_150.0
PRICE = {MONTH: 12.0, YEAR: 100.0}
LEAVES = {MONTH: 0.04, YEAR: 0.2}


def period(days: float, price: float, customers: int = 100) -> Period:
    prices, longer = (price,) * customers, (0.0,) * 6
    renewals = Renewals(1.0, 9.0, (0.0, 1.0))
    return Period(days, 1.0, 1.0, customers, prices, longer, (1.0, 1.0), renewals)


def models_of(gap: float) -> CustomerBase:
    regular = Model("mbg_nbd", (900.0, 900.0 * gap / 96, 1.0, 9.0), 0.0, 100, 96)
    random = Model("pareto_nbd", (2.0, 2.0 * gap, 1.0, 9.0 * gap), 0.0, 100)
    return CustomerBase((regular, random), None, (0.95, 0.05))


def planned(*, prices: tuple[float, float] = (10.0, 100.0)) -> PlannedBase:
    """Return a customer base of monthly and yearly payers."""
    base = models_of(90.0)
    periods = BillingPeriods((period(MONTH, prices[0]), period(YEAR, prices[1])))
    plans = (models_of(MONTH), models_of(YEAR))
    return PlannedBase(base.models, None, base.weights, None, None, periods, plans)


def payers(rows: list[tuple[int, float, float, float]]) -> dict[str, Array]:
    """Return the features of customers: payments, usual gap, days since the last one, price."""
    orders, gap, recency, price = (
        np.array(values, dtype=np.float64) for values in zip(*rows, strict=True)
    )
    t_x = gap * (orders - 1.0)
    known = np.where(orders > 1.0, gap, np.nan)
    return {
        "frequency": orders - 1.0,
        "t_x_days": t_x,
        "T_days": t_x + recency,
        "orders": orders,
        "gap_last": known,
        "gap_mean": known,
        "recency_days": recency,
        "spend_last": price,
    }


CUSTOMERS = payers(
    [
        (1, 0.0, 20.0, 10.0),  # once, the monthly price
        (1, 0.0, 20.0, 100.0),  # once, the yearly one
        (12, MONTH, 300.0, 10.0),  # who has not paid for long has left, and pays no year
        (3, YEAR, 100.0, 100.0),
        (7, MONTH, 40.0, 100.0),  # from months to a year
    ]
)


def test_the_price_tells_the_plan_before_a_gap_does() -> None:
    base = planned()
    assert base.periods.likeliest(CUSTOMERS).tolist() == [0, 1, 0, 1, 1]
    (monthly, yearly) = base.parts(CUSTOMERS)
    assert (monthly.base, yearly.base) == base.plans
    # what was paid each month says nothing of the gap of who has begun to pay each year
    assert yearly.histories["frequency"].tolist() == [0.0, 2.0, 0.0]
    # of a trial and two years, the years
    trial = {name: values[[3]] for name, values in CUSTOMERS.items()}
    trial |= {"frequency": np.array([3.0]), "t_x_days": np.array([2 * YEAR + 14.0])}
    (part,) = base.parts(trial | {"gap_mean": trial["t_x_days"] / 3.0})
    assert part.histories["frequency"].tolist() == [2.0]
    assert part.histories["t_x_days"] == pytest.approx([2 * YEAR])
    assert yearly.histories["T_days"].tolist() == [20.0, 2 * YEAR + 100.0, 40.0]
    none = base.none_within(30.0, CUSTOMERS)
    assert none[[1, 3, 4]].min() > 0.97
    assert none[0] < 0.3


def test_a_price_that_was_raised_is_of_the_plan_whose_price_is_nearest() -> None:
    raised = payers([(1, 0.0, 20.0, 11.5), (1, 0.0, 20.0, 115.0), (1, 0.0, 20.0, 1.0)])
    assert planned().periods.likeliest(raised).tolist() == [0, 1, 0]


def test_without_prices_the_silence_of_who_has_paid_once_tells() -> None:
    no_prices = tuple(replace(period(days, 1.0), prices=()) for days in (MONTH, YEAR))
    base = replace(planned(), periods=BillingPeriods(no_prices))
    nothing = {**CUSTOMERS, "spend_last": np.full(5, np.nan), "recency_days": np.full(5, 200.0)}
    assert base.periods.likeliest(nothing).tolist() == [1, 1, 0, 1, 0]


ASKED: dict[str, Callable[[CustomerBase, dict[str, Array]], Array]] = {
    "none": lambda base, rows: base.none_within(60.0, rows),
    "orders": lambda base, rows: base.discounted_orders(365, rows, 0.1),
    "until": lambda base, rows: base.discounted_orders_until(
        [30, 365], rows, 0.1, base.p_alive_by_model(rows)
    ),
    "rest": lambda base, rows: base.rest_if_silent(30, 365, rows, 0.1),
    "kept": lambda base, rows: base.kept_orders(365, rows, 0.1, base.p_alive_by_model(rows)),
    "kept alone": lambda base, rows: base.kept_orders(365, rows, 0.1),
    "regained": lambda base, rows: base.regained_orders(
        365, rows, 0.1, base.p_alive_by_model(rows)
    ),
    "columns": lambda base, rows: np.array(list(base.columns(rows, 30).values())),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("distinct", [False, True])
def test_what_is_asked_of_all_is_asked_of_the_models_of_each_plan(
    name: str, distinct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if distinct:  # of many rows each history is evaluated once
        monkeypatch.setattr("stagecast.training.learners.customer_base.DEDUPLICATION_ROWS", 1)
    twice = {column: np.r_[values, values] for column, values in CUSTOMERS.items()}
    base, ask = planned(), ASKED[name]
    values = ask(base, twice)
    for row in range(10):
        one = {column: column_values[[row]] for column, column_values in twice.items()}
        (part,) = base.parts(one)
        own = ask(part.base, dict(part.histories))
        np.testing.assert_allclose(values[..., [row]], own, rtol=1e-12)


def test_a_stored_base_is_the_same_and_one_without_plans_has_none() -> None:
    base = planned()
    again = base_from_json(json.loads(json.dumps(base.to_json())))
    assert again == base
    assert again.is_regular
    assert again.regular_model == base.plans[0].models[0]
    plain = models_of(30.0)
    assert base_from_json(json.loads(json.dumps(plain.to_json()))) == plain
    # nobody is asked of no plan
    nobody = {name: values[:0] for name, values in CUSTOMERS.items()}
    assert base.none_within(30.0, nobody).shape == (0,)
    # of who has no payments the plan is not known
    history = {name: np.zeros(1) for name in HISTORY}
    (part,) = base.parts(history)
    assert part.plan is None
    assert part.base == models_of(90.0)


class Payer:
    """A simulated customer: when and what is paid, and until when."""

    def __init__(self, random: np.random.Generator, *, late: float) -> None:
        self.gap = float(random.choice([MONTH, YEAR], p=[0.6, 0.4]))
        self.price, self.leaves = PRICE[self.gap], LEAVES[self.gap]
        first = float(random.uniform(0.0, DAYS - 1.0))
        self.days = [first]
        while self.days[-1] < DAYS and random.random() > self.leaves:
            due = first + self.gap * len(self.days)
            self.days.append(due + (float(random.choice([3.0, 5.0])) * (random.random() < late)))
        self.past = [at for at in self.days if at < DAYS]
        self.due = first + self.gap * len(self.past) - DAYS

    def clv(self) -> float:
        """Return the expected value of a year: the next payment may still be late."""
        if self.due < -6.0:
            return 0.0
        stays, dues = 1.0 - self.leaves, np.arange(max(self.due, 0.0), 365.0, self.gap)
        return float(
            sum(self.price * 1.1 ** (-at / 365.0) * stays ** (n + 1) for n, at in enumerate(dues))
        )


def simulated(customers: int, seed: int, late: float) -> tuple[list[Row], dict[str, Payer]]:
    random = np.random.default_rng(seed)
    made = {f"p{k:04d}": Payer(random, late=late) for k in range(customers)}
    rows = [
        (name, day(at), "purchase", payer.price)
        for name, payer in made.items()
        for at in payer.past
    ]
    return sorted(rows, key=lambda row: row[1]), made


def scores_of(folder: Path, customers: int, seed: int, late: float) -> tuple[Trained, list[dict]]:
    rows, made = simulated(customers, seed, late)
    config = TrainConfig(horizon_days=90, max_dates=4)
    done = trained(rows, folder, day(DAYS), config, evaluated=False)
    scores = [{**row, "payer": made[row["customer_id"]]} for row in done.scores().to_pylist()]
    return done, scores


@pytest.mark.parametrize(
    # of 60 yearly payers the log tells less exactly how many leave
    ("customers", "seed", "late", "off"),
    [(500, 2, 0.25, 0.12), (150, 3, 0.1, 0.25)],
)
def test_monthly_and_yearly_payers_are_worth_what_they_pay(
    customers: int, seed: int, late: float, off: float, tmp_path: Path
) -> None:
    done, scores = scores_of(tmp_path / "m", customers, seed, late)
    base = done.bundle.models.base
    assert isinstance(base, PlannedBase)
    assert [plan.is_regular for plan in base.plans] == [True, True]
    # a yearly plan has dates, also of few customers
    assert isinstance(base.plans[1].models[0], DatedModel)
    for gap in (MONTH, YEAR):
        of_plan = [row for row in scores if row["payer"].gap == gap]
        going_on = [row for row in of_plan if row["payer"].due > 1.0]
        truth = np.array([row["payer"].clv() for row in going_on])
        clv = np.array([row["clv"] for row in going_on])
        assert clv.sum() == pytest.approx(truth.sum(), rel=off)
        assert np.abs(clv - truth).sum() < 0.25 * truth.sum()
        most = np.ceil(365.0 / gap) + 1
        for row in going_on:
            payer = row["payer"]
            assert row["clv_high"] <= most * payer.price * 1.001
            if payer.due > 0.05 * gap:
                assert row["p_alive"] > 0.97
                assert row["state"] == "active"
                assert row["stage"] != "at_risk"
                assert row["value_gone"] < 0.03 * payer.price * 365.0 / gap
            if gap == YEAR and payer.due < 75.0:
                days = (row["next_order_date"] - day(DAYS).date()).days
                assert days == pytest.approx(payer.due, abs=8.0)
        gone = [row for row in of_plan if row["payer"].due < -0.5 * gap - 10.0]
        assert max(row["clv"] for row in gone) < 0.25 * PRICE[gap]
    later = [row["p_inactive"] for row in scores if row["payer"].due > 105.0]
    assert np.mean(later) > 0.97
    soon = [row["p_inactive"] for row in scores if 10.0 < row["payer"].due < 75.0]
    assert np.mean(soon) == pytest.approx(0.12, abs=0.1)


def test_yearly_payers_beside_monthly_bills_of_what_was_used(tmp_path: Path) -> None:
    rows, made = simulated(400, 8, 0.05)
    random = np.random.default_rng(8)
    usual = {name: float(random.lognormal(3.0, 0.6)) for name in made}
    rows = [
        (name, at, event, price)
        if price == PRICE[YEAR]
        else (name, at, event, usual[name] * float(random.lognormal(0.0, 0.3)))
        for name, at, event, price in rows
    ]
    config = TrainConfig(horizon_days=90, max_dates=4)
    done = trained(rows, tmp_path / "u", day(DAYS), config, evaluated=False)
    scores = [{**row, "payer": made[row["customer_id"]]} for row in done.scores().to_pylist()]
    going_on = [row for row in scores if row["payer"].due > 1.0]
    for gap in (MONTH, YEAR):
        of_plan = [row for row in going_on if row["payer"].gap == gap]
        bill = 1.046 if gap == MONTH else 1.0  # mean of a lognormal amount over its median
        truth = np.array(
            [
                row["payer"].clv()
                / PRICE[gap]
                * bill
                * (usual[row["customer_id"]] if gap == MONTH else PRICE[gap])
                for row in of_plan
            ]
        )
        clv = np.array([row["clv"] for row in of_plan])
        assert clv.sum() == pytest.approx(truth.sum(), rel=0.12)
        assert np.abs(clv - truth).sum() < 0.3 * truth.sum()
    yearly = [row for row in going_on if row["payer"].gap == YEAR and row["payer"].due > 20.0]
    assert {row["stage"] for row in yearly} <= {"new", "repeat", "loyal"}
    assert max(row["clv_high"] for row in yearly) < 2.0 * PRICE[YEAR]
    assert max(row["value_gone"] for row in yearly) < 0.05 * PRICE[YEAR]
    # the next amount is not the last one
    last = {name: price for name, _, _, price in rows}
    monthly = [row for row in going_on if row["payer"].gap == MONTH and row["orders"] > 8]
    of_last = np.array([last[row["customer_id"]] for row in monthly])
    of_usual = np.array([usual[row["customer_id"]] for row in monthly])
    per_order = np.array([row["expected_spend"] / row["expected_orders"] for row in monthly])
    assert np.abs(np.log(per_order / of_usual)).mean() < np.abs(np.log(per_order / of_last)).mean()


def test_a_shop_and_payers_of_one_plan_have_no_plans(tmp_path: Path) -> None:
    rows = simulated_rows(300, 700, 2)
    shop = trained(rows, tmp_path / "s", day(700), TrainConfig(max_dates=2), evaluated=False)
    assert not isinstance(shop.bundle.models.base, PlannedBase)
    rows, made = simulated(500, 4, 0.0)
    yearly = [row for row in rows if made[row[0]].gap == YEAR]
    one = trained(yearly, tmp_path / "y", day(DAYS), TrainConfig(max_dates=2), evaluated=False)
    assert one.bundle.models.base is not None
    assert one.bundle.models.base.has_dates
    assert not isinstance(one.bundle.models.base, PlannedBase)


def test_fewer_leave_from_the_next_payment_on(tmp_path: Path) -> None:
    done, _ = scores_of(tmp_path / "m", 300, 6, 0.05)
    models, now = done.bundle.models, done.training.panel.now
    predicted = predict(models, now, 1)
    active = np.ones(len(predicted.buyers), dtype=np.bool_)
    result = what_if(models, now, predicted, active, Levers(churn=-0.2), 1)
    (changed,) = result.changed.values()
    gain = changed[:, 0] / np.maximum(result.as_is[:, 0], 1e-9) - 1.0
    columns = predicted.columns
    is_yearly = columns["spend_last"] == PRICE[YEAR]
    later = (columns["recency_days"] < 0.9 * YEAR) & is_yearly
    # of a price that is paid once a year, a fifth fewer than one in five leave: .84 over .8
    assert later.sum() > 60
    assert gain[later].mean() == pytest.approx(0.05, abs=0.025)
    assert 0.0 <= gain.min() < gain.max() < 0.3
    gone = columns["btyd_alive"] < 0.01
    np.testing.assert_allclose(gain[gone], 0.0, atol=0.08)
    # there is no form for one row: the models of arrays score one, too
    with pytest.raises(NotImplementedError, match="different intervals"):
        usable_base(models)


def test_a_trial_price_is_followed_by_that_of_the_plan_and_some_change_to_a_dearer_one() -> None:
    rows = []
    for customer in range(40):
        paid = [1.0] + [29.0] * 9  # a trial
        if customer >= 20:
            paid = [12.0] * 6 + [24.0 if customer % 4 == 0 else 12.0] * 4
        rows += [(customer, 30 * n, price) for n, price in enumerate(paid)]
    rows += [(100 + customer, 0, 7.0) for customer in range(9)]  # nobody has paid again
    customer, day, spend = np.array(rows).T
    whole = day.astype(np.int64)
    days = PurchaseDays(customer.astype(np.int64), whole, spend, whole * 86_400_000_000)
    known = dict(later_prices(days))
    assert set(known) == {1.0, 12.0, 29.0}
    assert known[1.0] == pytest.approx((20 * 29 + 5) / 25, rel=1e-3)
    assert known[29.0] == 1.0
    assert known[12.0] == pytest.approx((15 * 4 + 5 * 4 * 2 + 5) / 85, rel=1e-3)
    base = replace(planned(), later_prices=(later_prices(days), ()))
    price = np.array([1.0, 12.0, 12.05, 7.0, 500.0, np.nan, 0.0])
    nothing = {name: np.zeros(7) for name in CUSTOMERS}
    last = {**nothing, "gap_last": np.full(7, MONTH), "gap_mean": np.full(7, MONTH)}
    last["spend_last"] = price
    (prices,) = base.prices(last, np.full(7, 20.0), (90,))
    expected = [known[1.0], 12 * known[12.0], 12.05 * known[12.0], 7.0, 500.0, 20.0, 20.0]
    assert prices.tolist() == pytest.approx(expected)
    assert planned().prices(last, np.full(7, 20.0), (90,))[0, 0] == 1.0
    assert base_from_json(json.loads(json.dumps(base.to_json()))) == base

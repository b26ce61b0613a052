"""Payments on one plan in a row, and the plans that follow one that is paid once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.arrays import Integers
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.fit_periods import plans_of_payments
from stagecast.training.billing.payments import Payments
from stagecast.training.billing.periods import BillingPeriods
from stagecast.training.config import TrainConfig
from stagecast.training.learners.fit_plans import following_plans
from stagecast.training.learners.following import FollowedBase, Following
from stagecast.training.learners.plan_runs import PlanRuns
from stagecast.training.learners.plans import PlannedBase
from tests.training.learners.test_plans import models_of, period
from tests.training.made import Row, Trained, day, trained

TRIAL, MONTH, YEAR = 14.0, 30.0, 365.0
PRICES = {1.0: TRIAL, 10.0: MONTH, 100.0: YEAR}
PERIODS = BillingPeriods(tuple(period(days, price) for price, days in PRICES.items()))


def days_of(*customers: list[tuple[int, float]]) -> PurchaseDays:
    """Return the purchase days of customers: day and price of each payment."""
    rows = [(k, *payment) for k, payments in enumerate(customers) for payment in payments]
    customer, day, spend = (np.array(values) for values in zip(*rows, strict=True))
    return PurchaseDays(customer, day, spend.astype(np.float64), day * 86_400_000_000)


DAYS = days_of(
    [(0, 1.0), (14, 10.0), (44, 10.0), (74, 100.0), (439, 100.0)],  # all three, one after another
    [(5, 1.0)],
    [(0, 10.0), (30, 10.0), (97, 10.0), (127, 10.0)],  # a payment was left out
    [(0, 10.0), (41, 10.0), (71, 10.0)],  # one came late
    [(0, 7.0), (3, 9.0), (14, 7.0), (90, 8.0), (455, 7.0)],  # buys when they like
)
LAST: Integers = np.array([2, 0, 1, 1, 1])


def test_a_run_ends_with_the_payment_that_begins_the_next_plan() -> None:
    runs = PlanRuns.of(DAYS, PERIODS, LAST)
    assert runs.customer.tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert runs.plan.tolist() == [0, 1, 2, 0, 1, 1, 1]
    assert runs.follows.tolist() == [1, 2, -1, -1, -1, -1, -1]
    assert runs.own.tolist() == [1, 2, 2, 1, 4, 3, 5]
    silence = np.array([20.0, 3.0, 5.0, 9.0, 70.0])
    monthly = runs.of_plan(1)
    history = monthly.histories(silence)
    assert history["frequency"].tolist() == [2, 3, 2, 4]
    assert history["t_x_days"].tolist() == [60, 127, 71, 455]
    # who has changed to a year was a customer at the change, and is known no longer
    assert history["T_days"].tolist() == [60, 132, 80, 525]
    assert monthly.own_days.day.tolist()[:2] == [14, 44]
    assert monthly.own_days.spend.tolist()[:3] == [10.0, 10.0, 10.0]
    assert len(monthly.own_days.day) == monthly.own.sum()
    trial = runs.of_plan(0).histories(silence)
    assert trial["T_days"].tolist() == [14, 3]


def test_of_who_buys_when_they_like_all_payments_are_of_one_plan() -> None:
    payments = Payments.of_customers(DAYS)
    plan = plans_of_payments(payments, PERIODS, LAST[DAYS.customer])
    assert set(plan[DAYS.customer == 4].tolist()) == {1}


def test_what_most_go_on_with_follows_a_plan() -> None:
    trials = [[(0, 1.0), (14, 10.0), (44, 10.0)] for _ in range(6)]
    trials += [[(0, 1.0), (14, 100.0)] for _ in range(2)]
    months = [[(30 * n, 10.0) for n in range(9)] for _ in range(6)]
    months += [[(0, 10.0), (30, 100.0)] for _ in range(6)]
    days = days_of(*trials, *months)
    last = np.array([1] * 6 + [2] * 2 + [1] * 6 + [2] * 6)
    runs = PlanRuns.of(days, PERIODS, last)
    assert following_plans(runs, 0, PERIODS) == Following(
        (0.0, 0.75, 0.25), (0.0, 10.0, 100.0), 14.0
    )
    # most payments after one of a month are of a month
    assert following_plans(runs, 1, PERIODS) is None
    # every plan of the log has a share, also one that nobody has now
    none_yearly = PlanRuns.of(days_of(*trials[:6]), PERIODS, np.ones(6, dtype=np.int64))
    known = following_plans(none_yearly, 0, PERIODS)
    assert known == Following((0.0, 1.0, 0.0), (0.0, 10.0, 0.0), 14.0)


def after_a_trial() -> PlannedBase:
    base = models_of(MONTH)
    plans = tuple(models_of(days) for days in (TRIAL, MONTH, YEAR))
    follows = Following((0.0, 0.75, 0.25), (0.0, 10.0, 100.0), TRIAL)
    return PlannedBase(
        base.models, None, base.weights, None, None, PERIODS, plans, (), (follows, None, None)
    )


def in_trial(*recency: float) -> dict[str, np.ndarray]:
    rows = len(recency)
    nan, zero = np.full(rows, np.nan), np.zeros(rows)
    return {
        "frequency": zero,
        "t_x_days": zero,
        "T_days": np.array(recency),
        "recency_days": np.array(recency),
        "gap_last": nan,
        "gap_mean": nan,
        "orders": zero + 1.0,
        "spend_last": zero + 1.0,
    }


def test_a_trial_is_worth_what_the_plans_after_it_bring() -> None:
    base, rows = after_a_trial(), in_trial(4.0, 13.0, 60.0)
    trial, monthly, yearly = base.plans
    fresh = {name: np.zeros(1) for name in ("frequency", "t_x_days", "T_days")}
    pays = 1.0 - trial.none_within(365.0, rows)
    orders = base.discounted_orders(365, rows, 0.0)
    for row, wait in ((0, 10), (1, 1)):
        of_month, of_year = (
            1.0 + plan.discounted_orders(365 - wait, fresh, 0.0)[0] for plan in (monthly, yearly)
        )
        expected = pays[row] * (0.75 * of_month + 0.25 * of_year)
        assert orders[row] == pytest.approx(expected, rel=1e-9)
    assert pays[0] > 0.8
    assert pays[2] < 0.1
    # before the payment falls due nobody pays, and what follows it is later
    assert base.discounted_orders(5, rows, 0.0)[0] < 0.05
    spans = base.discounted_orders_until([30, 365], rows, 0.1)
    assert spans[1] == pytest.approx(base.discounted_orders(365, rows, 0.1))
    assert spans[0, 0] == pytest.approx(
        base.columns(rows, 30)["btyd_orders"][0] * 1.1 ** (-10 / 365), rel=1e-3
    )
    # of who surely goes on, orders are more
    kept = base.kept_orders(365, rows, 0.0)
    assert (kept > orders).all()
    # who pays nothing within a week may still pay after it
    assert base.rest_if_silent(7, 365, rows, 0.0)[0] == pytest.approx(orders[0])
    # at the prices of the plans, of which a year counts once
    (price,), (of_year,) = map(set, base.prices(rows, np.full(3, np.nan), (30, 365)))
    assert price == pytest.approx(0.75 * 10.0 + 0.25 * 100.0, rel=0.03)
    assert 10.0 < of_year < price
    (part,) = base.parts(rows)
    assert isinstance(part.base, FollowedBase)
    most = part.base.most(365, part.histories, 0.0)
    assert part.plan == 0
    # twelve months, or a year and hardly the next one
    assert 120.0 < most[0] < 150.0
    assert most[2] in (0.0, most[0])
    stored = json.loads(json.dumps(base.to_json()))
    assert Following.from_json(stored["following"][0]) == base.following[0]


def software(customers: int, seed: int) -> tuple[list[Row], dict[str, float]]:
    """Return payments of a software with trials, and the expected money of a year of running ones.

    Half of the trials go on, a quarter of these with a year, of which one in five leaves; of months
    one in twenty.
    """
    random = np.random.default_rng(seed)
    rows, running = [], {}
    for k in range(customers):
        name, at, price = f"s{k:04d}", float(random.uniform(0.0, 899.0)), 1.0
        while at < 900.0:
            rows.append((name, day(at), "purchase", price))
            if price == 1.0 and 900.0 - at < TRIAL - 1.0:
                months = np.arange(900.0 - at < TRIAL, 13.0)
                running[name] = 0.5 * (0.75 * 29.0 * (0.95**months).sum() + 0.25 * 290.0)
            leaves = {1.0: 0.5, 29.0: 0.05, 290.0: 0.2}[price]
            if random.random() < leaves:
                break
            at += {1.0: TRIAL, 29.0: 30.4, 290.0: 365.25}[price]
            if price == 1.0:
                price = 290.0 if random.random() < 0.25 else 29.0
    return sorted(rows, key=lambda row: row[1]), running


def test_running_trials_are_worth_what_trials_have_brought(tmp_path: Path) -> None:
    rows, running = software(1_100, 5)
    config = TrainConfig(horizon_days=30, max_dates=4)
    done: Trained = trained(rows, tmp_path / "s", day(900.0), config, evaluated=False)
    scores = {row["customer_id"]: row for row in done.scores().to_pylist()}
    assert len(running) >= 8
    clv = np.array([scores[name]["clv"] for name in running])
    truth = np.array(list(running.values()))
    assert clv.sum() == pytest.approx(truth.sum(), rel=0.25)
    assert max(scores[name]["clv_high"] for name in running) < 14 * 29.0
    assert max(scores[name]["clv_low"] for name in running) == 0.0
    pays = 1.0 - np.array([scores[name]["p_inactive"] for name in running])
    assert pays.mean() == pytest.approx(0.5, abs=0.12)
    over = {row[0] for row in rows if row[3] > 1.0} | set(running)
    left = [row for name, row in scores.items() if name not in over and row["recency_days"] > 30]
    assert max(row["clv"] for row in left) < 2.0

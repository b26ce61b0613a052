"""Billing periods: found in payments, and whose is whose."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.clock import microseconds
from stagecast.features.contracts import Terms
from stagecast.features.engines.duckdb import DailyTable
from stagecast.training.billing.fit_periods import fit_periods
from stagecast.training.billing.periods import NO_PERIODS, BillingPeriods
from stagecast.training.learners.fit_plans import as_contracts
from tests.training.made import Row, day, log_of
from tests.training.made_plans import (
    MONTH,
    MONTHLY,
    QUARTER,
    YEAR,
    YEARLY,
    Plan,
    members,
    rows_of,
)

DAYS = 900
PLANS = (MONTHLY, Plan(QUARTER, (50.0,), 0.12), YEARLY)


def periods_of(rows: list[Row], days: float = DAYS) -> BillingPeriods:
    with log_of(rows) as log:
        table = DailyTable(log.con, day(days))
        found = fit_periods(table.purchase_days(), table.spells(Terms()))
        table.close()
    return found


def periods_of_customers(rows: list[Row], days: float = 2_200) -> BillingPeriods:
    """Return the periods of a log without contracts, all of a customer as of one."""
    with log_of(rows) as log:
        table = DailyTable(log.con, day(days))
        bought = table.purchase_days()
        found = fit_periods(bought, as_contracts(bought, microseconds(day(days))))
        table.close()
    return found


@pytest.fixture(scope="module")
def found() -> BillingPeriods:
    return periods_of(rows_of(members(PLANS, 600, DAYS, 1), DAYS))


def columns(
    gap: float = np.nan,
    silence: float = 5.0,
    price: float = np.nan,
    orders: float = 1.0,
    mean: float | None = None,
) -> dict[str, Array]:
    mean = gap if mean is None else mean
    values = {
        "gap_last": gap,
        "gap_mean": mean,
        "recency_days": silence,
        "spend_last": price,
        "orders": orders,
    }
    return {name: np.array([value]) for name, value in values.items()}


def test_the_periods_of_a_log_are_found(found: BillingPeriods) -> None:
    assert [period.days for period in found.periods] == pytest.approx(
        [MONTH, QUARTER, YEAR], rel=0.01
    )
    assert found.has_fixed_prices
    kept = [float(period.renewals.renewal(np.ones(1))[0]) for period in found.periods]
    assert kept == pytest.approx([0.95, 0.88, 0.7], abs=0.06)
    # who has paid once is counted by the price: a third of the members have each plan
    assert [period.customers for period in found.periods] == pytest.approx([200] * 3, rel=0.1)


def test_monthly_members_leave_at_any_time_and_yearly_ones_at_its_end(
    found: BillingPeriods,
) -> None:
    month, _, year = (np.asarray(period.renewals.ended) for period in found.periods)
    half = len(month) // 2
    assert 0.3 < month[half] < 0.7
    assert year[half] < 0.1


@pytest.mark.parametrize(
    ("known", "position"),
    [
        ({"gap": 30.0, "price": 20.0}, 0),
        ({"gap": 365.0, "price": 120.0}, 2),
        ({"price": 120.0}, 2),  # before the second payment the price tells
        ({"price": 50.0}, 1),
        ({"price": 20.0}, 0),
        ({"silence": 200.0, "price": 77.0}, 2),  # and the silence, also of a price of nobody
        ({"gap": 30.0, "silence": 120.0, "price": 120.0}, 2),  # who has changed to a year
        ({"gap": 60.0, "mean": 33.0, "price": 20.0}, 0),  # a payment was left out
        ({"gap": 365.0, "mean": 66.0, "price": 120.0}, 2),  # monthly before, and long ago
    ],
)
def test_gap_price_and_silence_tell_the_period(
    found: BillingPeriods, known: dict[str, float], position: int
) -> None:
    shares = found.shares(columns(**known))[0]
    assert shares.argmax() == position
    assert shares[position] > 0.9
    assert shares.sum() == pytest.approx(1.0)


def test_a_silence_that_no_period_explains_has_none(found: BillingPeriods) -> None:
    assert found.shares(columns(gap=365.0, silence=900.0, price=120.0)).sum() < 0.01
    assert found.shares(columns(gap=30.0, silence=100.0, price=20.0))[0, 0] < 0.01


def test_a_price_that_is_not_known_says_nothing(found: BillingPeriods) -> None:
    with_gap = {name: values for name, values in columns(gap=91.0).items() if name != "spend_last"}
    assert found.shares(with_gap)[0].argmax() == 1


def test_periods_survive_json(found: BillingPeriods) -> None:
    again = BillingPeriods.from_json(found.to_json())
    assert again == found
    assert BillingPeriods.from_json(NO_PERIODS.to_json()) == NO_PERIODS


def test_irregular_purchases_have_no_period() -> None:
    random = np.random.default_rng(5)
    rows: list[Row] = []
    for k in range(150):
        name, at = f"c{k:03d}", float(random.uniform(0, 300))
        rows.append((name, day(at), "subscribe", None))
        while at < 800:
            rows.append((name, day(at), "purchase", 20.0))
            at += 1.0 + float(random.gamma(4.0, 8.0))  # as regular as Erlang-4
        if k % 3 == 0:
            rows.append((name, day(810), "cancel", None))
    assert periods_of(rows).is_none


def test_few_payments_have_no_period() -> None:
    assert periods_of(rows_of(members(PLANS, 15, 300, 2), 300), 300).is_none


def test_a_gap_between_two_contracts_is_none_of_a_period() -> None:
    rows: list[Row] = []
    for k in range(60):
        name = f"c{k:02d}"
        for begins in (0.0, 250.0):  # two contracts of three months, months apart
            rows.append((name, day(begins + k), "subscribe", None))
            rows += [(name, day(begins + k + 30.0 * n), "purchase", 9.0) for n in range(3)]
            rows.append((name, day(begins + k + 80.0), "cancel", None))
    periods = periods_of(sorted(rows, key=lambda row: row[1]), 500).periods
    assert [period.days for period in periods] == [30.0]


def test_a_box_each_week_that_may_be_left_out() -> None:
    random = np.random.default_rng(8)
    rows: list[Row] = []
    for k in range(240):
        name, at = f"b{k:03d}", float(random.uniform(0, 200))
        days, price = (14.0, 45.0) if k % 4 == 0 else (7.0, 25.0)
        rows.append((name, day(at), "subscribe", None))
        until = at + float(random.exponential(250.0))
        while at < min(until, 365):
            if random.random() < 0.8:
                rows.append((name, day(at + float(random.uniform(0, 1))), "purchase", price))
            at += days
        if until < 365:
            rows.append((name, day(until), "cancel", None))
    found = periods_of(sorted(rows, key=lambda row: row[1]), 365)
    assert [period.days for period in found.periods] == pytest.approx([7.0, 14.0], rel=0.05)
    assert [period.paid for period in found.periods] == pytest.approx([0.8, 0.8], abs=0.05)
    # a week was left out, and the price is that of a box each week
    assert found.shares(columns(gap=14.0, mean=8.5, price=25.0))[0].argmax() == 0
    assert found.shares(columns(gap=14.0, mean=16.0, price=45.0))[0].argmax() == 1


def boxes(seed: int, skips: float, *, fortnightly: int = 0, customers: int = 300) -> list[Row]:
    """Return boxes each week, a share of them left out, sometimes four in a row; and others who
    get one each two weeks, at the same prices.
    """
    random, rows = np.random.default_rng(seed), []
    for k in range(customers + fortnightly):
        step = 7 if k < customers else 14
        at, price = float(random.uniform(0, DAYS)), float(random.choice([45.0, 62.0]))
        pause = 0
        rows.append((f"b{k}", day(at), "purchase", price))
        while (at := at + step) < DAYS and random.random() > 0.03 * step / 7:
            if pause:
                pause -= 1
            elif random.random() < 0.02:
                pause = 3
            elif random.random() >= skips:
                rows.append((f"b{k}", day(at), "purchase", price))
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_boxes_that_are_left_out_make_no_period_of_two_weeks(seed: int) -> None:
    assert [round(period.days) for period in periods_of(boxes(seed, 0.25)).periods] == [7]


@pytest.mark.parametrize("skips", [0.0, 0.1])
def test_boxes_each_two_weeks_are_a_period_beside_weekly_ones(skips: float) -> None:
    found = periods_of(boxes(2, skips, fortnightly=60))
    assert [round(period.days) for period in found.periods] == [7, 14]


def donors(seed: int, *, biennial: int = 0) -> list[Row]:
    """Return gifts of any amount near the end of each year, of which a third are left out, and
    those of others who give each second year.
    """
    random, rows = np.random.default_rng(seed), []
    for k in range(500 + biennial):
        step = 1 if k < 500 else 2
        for year in range(int(random.integers(0, 5)), 6, step):
            if step == 2 or random.random() > 0.33:
                at = 365.25 * year + 340.0 + random.normal(0.0, 6.0)
                rows.append((f"g{k}", day(at), "purchase", float(random.gamma(2.0, 30.0))))
            if random.random() < 0.15:
                break
    return rows


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_year_that_is_left_out_makes_no_period_of_two_years(seed: int) -> None:
    found = periods_of_customers(donors(seed))
    assert [round(period.days / YEAR) for period in found.periods] == [1]


def test_gifts_each_second_year_are_a_period_beside_yearly_ones() -> None:
    found = periods_of_customers(donors(4, biennial=300))
    assert [round(period.days / YEAR) for period in found.periods] == [1, 2]


def payers(seed: int, *, customers: int = 185, until: int = 1_000) -> list[Row]:
    """Return payments of customers of whom seven in ten pay each month, and others when they like.

    One in twelve pays for a year.
    """
    random, rows = np.random.default_rng(seed), []
    for k in range(customers):
        usual = 30.4 if k < 0.7 * customers else 365.25
        at, price = float(random.uniform(0, until)), 20.0 if usual < 365 else 200.0
        if k > 0.78 * customers:
            usual, price = -float(random.uniform(20, 90)), 20.0
        while at < until:
            rows.append((f"p{k}", day(at), "purchase", price))
            if random.random() < 0.06:
                break
            at += usual + random.normal(0, 1) if usual > 0 else max(3.0, random.exponential(-usual))
    return rows


def test_a_gap_that_a_few_have_by_chance_is_no_period() -> None:
    found = [periods_of_customers(payers(seed), 1_000).periods for seed in range(12)]
    by_chance = [
        periods for periods in found if any(31 < round(period.days) < 300 for period in periods)
    ]
    assert len(by_chance) <= 1
    assert all(any(round(period.days) == 30 for period in periods) for periods in found)
    assert sum(periods[-1].days > 300 for periods in found) >= 9


def test_prices_are_told_of_each_period() -> None:
    random = np.random.default_rng(6)
    rows = rows_of(members((MONTHLY, YEARLY), 400, DAYS, 6), DAYS)
    # what was used in the month
    rows = [
        (name, at, event, float(np.round(random.lognormal(3.0, 0.5), 2)) if money else None)
        if money in MONTHLY.prices
        else (name, at, event, money)
        for name, at, event, money in rows
    ]
    found = periods_of(rows)
    assert [period.has_fixed_prices for period in found.periods] == [False, True]
    assert found.has_fixed_prices
    two = {name: np.repeat(values, 2) for name, values in columns(gap=30.0).items()}
    two |= {"gap_last": np.array([30.0, 365.0]), "spend_last": np.array([21.3, 120.0])}
    assert found.pays_a_price(two | {"gap_mean": two["gap_last"]}).tolist() == [False, True]
    stored = found.to_json()
    assert BillingPeriods.from_json(stored) == found
    # bundles of before knew of all periods together whether prices are fixed
    for period in stored["periods"]:
        del period["has_fixed_prices"]
    assert not BillingPeriods.from_json({**stored, "has_fixed_prices": False}).has_fixed_prices

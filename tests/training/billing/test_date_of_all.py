"""Yearly payments on a date of the year, where cancellations are not recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stagecast.features.record import PurchaseDays
from stagecast.training.billing.calendar import READS, DueDate
from stagecast.training.billing.fit_calendar import due_date_of_all
from stagecast.training.billing.payments import Payments
from stagecast.training.config import TrainConfig
from stagecast.training.fit_bases import gaps_of
from stagecast.training.learners.customer_base import CustomerBase
from tests.training.made import Row, day, simulated_rows, trained

YEAR, DAYS, FEE = 365.2425, 1_430, 60.0
BEGIN = float((pd.Timestamp(day(0)) - pd.Timestamp("1970-01-01", tz="UTC")).days)


def members(customers: int, seed: int, *, tied: bool, spread: float = 6.0) -> list[Row]:
    """Return payments only: three in ten join on the date, the others on any day.

    One in seven pays no more after each payment. The others pay on day 14 of each year, or a year
    after they have joined.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(customers):
        at = float(random.uniform(0, DAYS - 20))
        while at < DAYS:
            rows.append((f"p{k:04d}", day(at), "purchase", FEE))
            if random.random() < 1 / 7:
                break
            date = YEAR * np.floor((BEGIN + at - 14.0 + 40.0) / YEAR) + YEAR + 14.0 - BEGIN
            at = (date if tied else at + YEAR) + float(random.normal(0.0, spread))
    return sorted(rows, key=lambda row: row[1])


def payments_of(rows: list[Row], until: float = DAYS) -> PurchaseDays:
    frame = pd.DataFrame([row for row in rows if row[1] < day(until)])
    at = (frame[1] - pd.Timestamp("1970-01-01", tz="UTC")).dt.days
    frame = pd.DataFrame({"customer": frame[0], "day": at}).drop_duplicates()
    frame = frame.sort_values(["customer", "day"])
    number = pd.factorize(frame["customer"])[0].astype(np.int64)
    days = frame["day"].to_numpy()
    return PurchaseDays(number, days, np.full(len(days), FEE), days * 86_400_000_000)


@pytest.mark.parametrize("until", [700, 1_100, DAYS])
def test_the_date_is_found_also_before_anybody_paid_three_times(until: float) -> None:
    days = payments_of(members(500, 1, tied=True), until)
    due = due_date_of_all(Payments.of_customers(days))
    assert due is not None
    assert abs((due.day - 14.0 + YEAR / 2) % YEAR - YEAR / 2) < 3.0
    gaps = gaps_of(days, np.unique(days.customer), due)
    as_they_are = gaps_of(days, np.unique(days.customer))
    repeats = np.bincount(days.customer) - 1
    # all gaps are years, also the first ones
    year = np.exp(gaps.log[repeats > 0] / repeats[repeats > 0])
    assert (np.abs(year - YEAR) < 30.0).mean() > 0.97
    assert (np.abs(np.exp(as_they_are.log[repeats == 1]) - YEAR) > 60.0).mean() > 0.5


def test_a_date_is_none_of_a_shop_nor_of_members_with_dates_of_their_own() -> None:
    for rows in (members(500, 1, tied=False), simulated_rows(500, 900, 2), christmas(600, 3)):
        for until in (400, 700, DAYS):
            days = payments_of(rows, until)
            assert due_date_of_all(Payments.of_customers(days)) is None
    none = np.zeros(0, dtype=np.int64)
    assert (
        due_date_of_all(Payments.of_customers(PurchaseDays(none, none, none * 1.0, none))) is None
    )


def christmas(customers: int, seed: int) -> list[Row]:
    """Return a shop in which half of all orders are of December."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(customers):
        at = float(random.uniform(0, DAYS))
        while at < DAYS and random.random() > 0.15:
            rows.append((f"c{k:04d}", day(at), "purchase", 30.0))
            at += float(random.exponential(150.0))
            of_year = (BEGIN + at) % YEAR
            if of_year > 180 and random.random() < 0.6:
                at += float(random.uniform(335, 358)) - of_year
    return sorted((row for row in rows if row[1] < day(DAYS)), key=lambda row: row[1])


def test_histories_begin_a_year_before_the_next_date() -> None:
    due = DueDate(14.0, 40.5)
    first = 20_000.0 + np.array([0.0, 0.0, 0.0, 0.0])
    of_year = (first[0] - 14.0) % YEAR
    on_date = first + (YEAR - of_year)  # the next date
    last = np.array([first[0], on_date[1] + 5.0, on_date[2] + 120.0, on_date[3] + YEAR])
    T = np.array([30.0, 900.0, 900.0, 900.0])
    repeats = np.array([0.0, 1.0, 1.0, 2.0])
    history = dict(zip(READS, (first, last, last - first, T, repeats), strict=True))
    moved = due.on_the_date({**history, "orders": repeats + 1.0})
    back = first - moved["first_day"]
    assert back[[0, 1, 3]] == pytest.approx(of_year, abs=0.6)
    assert back[2] == 0.0  # whose last payment did not come on the date has an own one
    np.testing.assert_array_equal(moved["T_days"], T + back)
    # the second paid five days late, which is nothing of the next payment
    assert moved["t_x_days"] == pytest.approx([0.0, YEAR, last[2] - first[2], 2 * YEAR], abs=1.0)
    np.testing.assert_array_equal(moved["orders"], repeats + 1.0)
    # who joined a week before the date has paid for the year that begins then
    early = {name: np.array([value]) for name, value in zip(READS, (0.0,) * 5, strict=True)}
    early["first_day"] = early["last_day"] = np.array([14.0 - 7.0 + 40 * YEAR])
    early["T_days"] = np.array([3.0])
    moved = due.on_the_date(early)
    assert moved["T_days"][0] == 0.0


@pytest.mark.parametrize(("spread", "late"), [(30.0, 8.0), (6.0, 24.85), (2.0, 74.56)])
def test_a_payment_is_the_more_overdue_the_nearer_to_the_date_all_pay(
    spread: float, late: float
) -> None:
    due = DueDate(14.0, 40.5, None, spread)
    last = np.array([14.0 + 55 * YEAR, 14.0 + 55 * YEAR])
    silence = np.array([YEAR + 8.0, YEAR - 8.0])
    history = {
        "first_day": last - 2 * YEAR,
        "last_day": last,
        "t_x_days": np.full(2, 2 * YEAR),
        "T_days": 2 * YEAR + silence,
        "frequency": np.full(2, 2.0),
    }
    moved = due.on_the_date(history)
    assert moved["T_days"] - moved["t_x_days"] == pytest.approx([YEAR + late, YEAR - 8.0], abs=4.0)
    assert DueDate.from_json(due.to_json()) == due


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_the_next_payment_comes_on_the_date_and_a_year_holds_one(
    tmp_path_factory: pytest.TempPathFactory, *, tied: bool
) -> None:
    config = TrainConfig(horizon_days=90, max_dates=3)
    folder = tmp_path_factory.mktemp("date") / "model"
    done = trained(members(500, 4, tied=tied), folder, day(DAYS), config, evaluated=False)
    base = done.training.models.base
    assert base is not None
    assert (base.due is not None) == tied
    again = CustomerBase.from_json(base.to_json())
    assert again == base
    assert replace(again, due=None).to_json().keys() == base.to_json().keys() - {"due"}
    scores = done.scores().to_pandas().set_index("customer_id")
    members_now = scores[(scores["state"] == "active") & (scores["recency_days"] < 330)]
    dates = pd.to_datetime(members_now["next_order_date"], utc=True)
    ahead = (dates - pd.Timestamp(day(DAYS))).dt.days
    if not tied:
        assert (ahead - (YEAR - members_now["recency_days"])).abs().median() < 12
        return
    # the 14th of January, whenever they joined: the log ends on 30 November
    left = (14.0 - BEGIN - DAYS) % YEAR
    assert 20 < left < 70
    young = members_now[members_now["recency_days"] < 250]
    assert len(young) > 30
    assert (ahead - left).abs().median() < 25
    assert young["expected_orders"].mean() == pytest.approx(6 / 7, abs=0.12)
    assert members_now["clv"].mean() == pytest.approx(FEE * 6 / 7, rel=0.15)
    # how long ago they joined is told as it is
    facts = scores.loc[young.index]
    assert (facts["tenure_days"] >= facts["recency_days"] - 1).all()

"""Fees that all members pay in January, whenever they joined: the date is found, and used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stagecast.training.billing.periods import BillingPeriods
from stagecast.training.config import TrainConfig
from tests.training.made import Row, day, trained

pytestmark = pytest.mark.slow
YEAR, DAYS, FEE = 365, 1_050, 49.0
CONFIG = TrainConfig(horizon_days=90, churn="cancellation", max_dates=2)


def association(customers: int, seed: int, *, tied: bool) -> list[Row]:
    """Return members who join on any day; nine in ten renew, in the first days of each year.

    Or, where the fee is not tied to the year, a year after they have joined.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(customers):
        name, at = f"f{k:03d}", float(random.uniform(0, DAYS - 2))
        start = np.floor((pd.Timestamp(day(0)) - pd.Timestamp("1970-01-01", tz="UTC")).days)
        rows.append((name, day(at), "subscribe", None))
        while at < DAYS:
            rows.append((name, day(at + 0.001), "purchase", FEE))
            new_year = at + 365.2425 - (start + at - 9.0) % 365.2425
            next_fee = new_year + float(random.gamma(2, 3)) if tied else at + YEAR
            if random.random() < 0.1:
                rows.append((name, day(float(random.uniform(at + 0.1, next_fee))), "cancel", None))
                break
            at = next_fee
    return sorted((row for row in rows if row[1] < day(DAYS)), key=lambda row: row[1])


@pytest.mark.parametrize("tied", [True, False])
def test_the_next_fee_is_due_on_the_date_or_after_a_year(
    tmp_path_factory: pytest.TempPathFactory, *, tied: bool
) -> None:
    rows = association(500, 3, tied=tied)
    folder = tmp_path_factory.mktemp("fees") / "model"
    done = trained(rows, folder, day(DAYS), CONFIG, evaluated=False)
    billing = done.training.models.value.billing
    assert BillingPeriods.from_json(billing.to_json()) == billing
    yearly = billing.periods[-1]
    assert yearly.days == pytest.approx(YEAR, abs=8)
    assert (yearly.due is not None) == tied
    scores = done.scores().to_pandas().set_index("customer_id")
    members = scores[scores["state"] == "active"]
    assert (members["clv"] <= 1.05 * FEE).all()
    assert (members["value_gone"].fillna(0.0) <= 1.05 * FEE).all()
    today = pd.Timestamp(day(DAYS))
    dates = pd.to_datetime(members["next_order_date"], utc=True)
    if not tied:
        since = YEAR - members["recency_days"]
        away = (dates - today).dt.days - since
        assert (away.abs() <= 3).mean() > 0.9
        return
    assert yearly.due is not None
    date = yearly.due.day
    of_year = ((dates - pd.Timestamp("1970-01-01", tz="UTC")).dt.days - date) % 365.2425
    assert ((of_year < 3) | (of_year > 362)).mean() > 0.9
    # all are due in the horizon or none is, however long ago they joined
    left = float((date - (today - pd.Timestamp("1970-01-01", tz="UTC")).days) % 365.2425)
    young = members[members["recency_days"] < 200]
    assert len(young) > 50
    expected = 0.9 if left < 75 else 0.0
    assert young["expected_orders"].mean() == pytest.approx(expected, abs=0.12)


def club(customers: int, seed: int, *, monthly: float) -> list[Row]:
    """Return members who pay 180 on day 244 of each year, and a part of it when they join.

    A share of ``monthly`` pays 16 a month instead. A tenth of the yearly members leaves each year.
    """
    random = np.random.default_rng(seed)
    start = np.floor((pd.Timestamp(day(0)) - pd.Timestamp("1970-01-01", tz="UTC")).days)
    rows: list[Row] = []
    for k in range(customers):
        name, at = (
            f"{'m' if random.random() < monthly else 'y'}{k:03d}",
            random.uniform(0, DAYS - 2),
        )
        rows.append((name, day(at), "subscribe", None))
        if name[0] == "m":
            rows += [(name, day(t + 0.001), "purchase", 16.0) for t in np.arange(at, DAYS, 30.4)]
            continue
        paid = 180.0
        left = 365.2425 - (start + at - 244.0) % 365.2425
        rows.append((name, day(at + 0.001), "purchase", round(paid * left / 365.2425, 2)))
        at += left
        while at < DAYS:
            if random.random() < 0.1:
                rows.append((name, day(at - float(random.uniform(1, left))), "cancel", None))
                break
            rows.append((name, day(at), "purchase", paid))
            at += 365.2425
    return sorted((row for row in rows if row[1] < day(DAYS)), key=lambda row: row[1])


@pytest.mark.parametrize("monthly", [0.0, 0.4])
def test_first_payments_are_parts_of_a_price_and_monthly_members_may_stand_beside(
    tmp_path_factory: pytest.TempPathFactory, monthly: float
) -> None:
    folder = tmp_path_factory.mktemp("club") / "model"
    done = trained(club(700, 5, monthly=monthly), folder, day(DAYS), CONFIG, evaluated=False)
    billing = done.training.models.value.billing
    assert BillingPeriods.from_json(billing.to_json()) == billing
    assert billing.has_fixed_prices
    assert [round(period.days / 10) for period in billing.periods] == ([3, 37] if monthly else [37])
    due = billing.periods[-1].due
    assert due is not None
    assert due.price == pytest.approx(180.0)
    assert due.day == pytest.approx(244.0, abs=1.0)
    scores = done.scores().to_pandas().set_index("customer_id")
    members = scores[scores["state"] == "active"]
    yearly = members[members.index.str.startswith("y")]
    # a year holds one payment, however little the first one was
    assert yearly["clv"].max() < 181.0
    left = (
        244.0 - (pd.Timestamp(day(DAYS)) - pd.Timestamp("1970-01-01", tz="UTC")).days
    ) % 365.2425
    assert yearly["clv"].mean() == pytest.approx(0.9 * 180.0 * 1.1 ** (-left / 365.0), rel=0.1)
    assert yearly["clv_high"].max() < 190.0
    if monthly:
        by_month = members[members.index.str.startswith("m")]
        assert by_month["clv"].mean() == pytest.approx(12 * 16.0 * 0.96, rel=0.08)
        assert by_month["expected_orders"].mean() == pytest.approx(3.0, rel=0.08)

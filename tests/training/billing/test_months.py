"""Payments on the same day of each month: whether they are, and when the next ones are due."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import NEVER, Contracts, Spells
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.fit_periods import fit_periods
from stagecast.training.billing.months import day_of_month, months_after, months_between
from stagecast.training.billing.periods import AS_OF_DAY, BillingPeriods, Period
from stagecast.training.billing.schedule import Spans, schedule
from stagecast.training.billing.standing import days_late, days_to_payment

EPOCH, AS_OF = date(1970, 1, 1), date(2026, 3, 12)


def number(day: date) -> float:
    return float((day - EPOCH).days)


def by_months(began: date, months: int) -> list[float]:
    """Return the days of the payments before the as_of, worked out by the calendar."""
    days: list[float] = []
    for k in range(200):
        year, month = divmod(began.year * 12 + began.month - 1 + k * months, 12)
        following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
        last = (following - timedelta(days=1)).day
        due = date(year, month + 1, min(began.day, last))
        if due >= AS_OF:
            break
        days.append(number(due))
    return days


def log(contracts: list[list[float]]) -> tuple[PurchaseDays, Spells]:
    customer = np.repeat(np.arange(len(contracts)), [len(days) for days in contracts])
    day = np.concatenate(contracts).astype(np.int64)
    days = PurchaseDays(customer, day, np.full(len(day), 10.0), day * DAY_MICROSECONDS)
    start = np.array([each[0] for each in contracts], dtype=np.int64) * DAY_MICROSECONDS
    nobody = np.zeros(len(contracts), dtype=np.int64)
    return days, Spells(
        int(number(AS_OF)) * DAY_MICROSECONDS,
        np.array([f"c{k}" for k in nobody + np.arange(len(nobody))], dtype=object),
        np.arange(len(nobody)),
        start,
        np.full(len(nobody), NEVER),
        start,
        nobody,
        0,
    )


def joined(customers: int, seed: int) -> list[date]:
    random = np.random.default_rng(seed)
    return [date(2024, 1, 1) + timedelta(days=int(d)) for d in random.integers(0, 700, customers)]


def last_payments(contracts: list[list[float]], today: float) -> dict[str, Array]:
    gaps = [np.diff(days) for days in contracts]
    return {
        "recency_days": np.array([today - days[-1] for days in contracts]),
        "gap_last": np.array([gap[-1] if len(gap) else np.nan for gap in gaps]),
        "gap_mean": np.array([gap.mean() if len(gap) else np.nan for gap in gaps]),
        "spend_last": np.full(len(contracts), 10.0),
        "orders": np.array([float(len(days)) for days in contracts]),
        AS_OF_DAY: np.full(len(contracts), today),
    }


@pytest.mark.parametrize("months", [1, 3])
def test_a_plan_by_months_is_due_on_its_day_and_a_year_holds_no_payment_more(months: int) -> None:
    contracts = [days for began in joined(300, 4) if (days := by_months(began, months))]
    periods = fit_periods(*log(contracts))
    assert [period.months for period in periods.periods] == [months]
    assert BillingPeriods.from_json(periods.to_json()) == periods
    today = number(AS_OF)
    columns = last_payments(contracts, today)
    rows = len(contracts)
    paid = np.array([days[0] for days in contracts])
    contract = Contracts(
        int(today) * DAY_MICROSECONDS,
        np.ones(rows, dtype=np.bool_),
        np.ones(rows, dtype=np.bool_),
        today - paid,
        np.zeros(rows),
        np.full(rows, NEVER),
        np.full(rows, np.nan),
    )
    plan = schedule(periods, columns, contract, np.zeros(rows), Spans(30, 365, 0.1))
    of_month = np.array([float((EPOCH + timedelta(days=d)).day) for d in paid])
    gap = np.array([len(days) * months for days in contracts])
    due = months_after(paid, gap, of_month)
    # after 30 November and 28 February nobody knows whether a quarterly plan is paid on a 31st
    known = (of_month < 31) | (months == 1)
    np.testing.assert_allclose(plan.next_days[known], np.maximum(due - today, 0.5)[known])
    # who pays today pays again on the first day after the year
    assert (due == today).any()
    assert (plan.high[known] == 12 // months).all()
    if months > 1:
        np.testing.assert_allclose(plan.orders[known], (due - today < 30)[known], atol=0.03)


@pytest.mark.parametrize("gap", [30.0, 30.4, 30.44, 31.0, 7.0, 14.0])
def test_payments_that_are_days_apart_keep_their_days(gap: float) -> None:
    random = np.random.default_rng(2)
    began = random.uniform(number(date(2024, 1, 1)), number(date(2025, 1, 1)), 200)
    paid = np.floor(began[:, None] + gap * np.arange(13)[None, :])
    assert months_between(paid[:, :-1].ravel(), paid[:, 1:].ravel(), gap) is None


def test_after_a_short_month_the_day_is_the_one_before() -> None:
    paid = np.array([number(date(2026, 2, 28))] * 4)
    gap = np.array([28.0, 30.0, np.nan, 31.0])  # 31 and 29 January, none, 28 January
    gap[1] = number(date(2026, 2, 28)) - number(date(2026, 1, 29))
    assert day_of_month(paid, gap, 1).tolist() == [31.0, 29.0, 28.0, 28.0]


@pytest.fixture
def monthly() -> Period:
    contracts = [days for began in joined(100, 5) if (days := by_months(began, 1))]
    return fit_periods(*log(contracts)).periods[0]


def test_a_payment_that_is_overdue_comes_now_or_is_left_out(monthly: Period) -> None:
    today = number(AS_OF)
    paid = np.array([number(day) for day in (date(2026, 2, 3), date(2026, 1, 20), AS_OF)])
    columns = {"recency_days": today - paid, AS_OF_DAY: np.full(3, today)}
    ahead = monthly.dates_ahead(columns, 2)
    # due 9 days ago; due 20 days ago, so the next one; paid today
    assert ahead.tolist() == [[-9.0, 22.0], [8.0, 39.0], [31.0, 61.0]]


def test_days_are_those_of_the_shop(monthly: Period) -> None:
    # midnight in a shop three hours east of UTC
    today = number(AS_OF) - 0.125
    columns = {"recency_days": np.array([20.0]), AS_OF_DAY: np.array([today])}
    paid = number(AS_OF) - 20.0
    ahead = monthly.dates_ahead(columns, 1)[0, 0] + today
    assert ahead == months_after(np.array([paid]), 1, np.array([20.0]))[0]
    assert monthly.silence(columns)[0] == pytest.approx(monthly.days - (ahead - today))
    unknown = {"recency_days": np.array([np.nan]), AS_OF_DAY: np.array([today])}
    assert np.isnan(monthly.silence(unknown)).all()
    assert replace(monthly, months=None).silence(columns).tolist() == [20.0]


def test_a_payment_is_late_after_its_day_alone(monthly: Period) -> None:
    today = number(AS_OF)
    paid = np.array([number(day) for day in (date(2026, 2, 10), date(2026, 2, 12), AS_OF)])
    columns = {
        "recency_days": np.r_[today - paid, 2000.0],
        "gap_last": np.full(4, 31.0),
        "gap_mean": np.full(4, 30.4),
        "spend_last": np.full(4, 10.0),
        "orders": np.full(4, 9.0),
        AS_OF_DAY: np.full(4, today),
    }
    periods = BillingPeriods((monthly,))
    assert days_late(periods, columns)[:3].tolist() == [2.0, 0.0, 0.0]
    assert days_to_payment(periods, columns)[:3] == pytest.approx([0.0, 0.0, 31.0], abs=1e-6)
    # of who paid years ago no period is known
    assert np.isnan(days_late(periods, columns)[3])
    # payments that are days apart are late beyond the spread of their gaps
    apart = BillingPeriods((replace(monthly, months=None, spread_days=4.0),))
    assert days_late(
        apart, {**columns, "recency_days": np.array([33.0, 36.0, 30.0, 1.0])}
    ).tolist() == [0.0, 5.0, 0.0, 0.0]

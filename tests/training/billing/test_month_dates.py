"""Payments on a day of the month, where cancellations are not recorded."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.record import PurchaseDays
from stagecast.training.billing.month_dates import MonthDates, month_dates
from stagecast.training.billing.months import months_after
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd.dated import DatedModel
from stagecast.training.learners.customer_base import CustomerBase
from tests.training.made import Row, trained


def number(day: date) -> float:
    return float((day - date(1970, 1, 1)).days)


def payers(customers: int, payments: int, months: int, late: float, seed: int) -> PurchaseDays:
    random, rows = np.random.default_rng(seed), []
    for customer in range(customers):
        first = number(date(2022, 1, 1)) + float(random.integers(0, 365))
        of_month = float(date.fromordinal(719_163 + int(first)).day)
        for n in range(payments):
            at = float(months_after(np.array([first]), n * months, np.array([of_month]))[0])
            rows.append((customer, int(at + 4.0 * (random.random() < late))))
    customer, day = (np.array(values, dtype=np.int64) for values in zip(*rows, strict=True))
    return PurchaseDays(customer, day, np.full(len(day), 10.0), day * 86_400_000_000)


def test_the_months_between_payments_are_found() -> None:
    assert month_dates(payers(30, 9, 1, 0.05, 1), 30.4) == MonthDates(1)
    assert month_dates(payers(30, 5, 3, 0.0, 2), 91.0) == MonthDates(3)
    # a year is as long as another
    assert month_dates(payers(30, 3, 12, 0.0, 3), 365.0) is None
    # of each second one late, dates tell less than gaps do
    assert month_dates(payers(30, 9, 1, 0.5, 4), 30.4) is None
    assert month_dates(payers(2, 5, 1, 0.0, 5), 30.4) is None
    each_30 = np.tile(np.arange(9) * 30, 30)
    customer = np.repeat(np.arange(30), 9)
    fixed = PurchaseDays(customer, each_30, np.ones(270), each_30 * 86_400_000_000)
    assert month_dates(fixed, 30.0) is None


def test_a_silence_leaves_the_days_to_the_same_day_of_the_month() -> None:
    as_of = date(2026, 3, 2)
    paid = [date(2026, 2, 10), date(2026, 1, 30), date(2026, 3, 2), date(2025, 6, 1)]
    last = np.array([number(day) for day in paid])
    features = {
        "last_day": last,
        "gap_last": np.array([31.0, np.nan, 28.0, 31.0]),
        "t_x_days": np.array([31.0, 0.0, 100.0, 60.0]),
        "T_days": np.array([31.0, 0.0, 100.0, 60.0]) + number(as_of) - last,
    }
    dates = MonthDates(1)
    silence = dates.on_the_date(features)["T_days"] - features["t_x_days"]
    due = [date(2026, 3, 10), date(2026, 2, 28), None, date(2025, 7, 1)]
    left = np.array([np.nan if day is None else number(day) - number(as_of) for day in due])
    known = np.isfinite(left)
    np.testing.assert_allclose(dates.days - silence[known], left[known])
    assert silence[2] == 0.0  # paid today
    stored = dates.to_json()
    assert MonthDates.from_json(stored) == dates
    base = CustomerBase((), None, months=dates)
    assert CustomerBase.from_json(base.to_json()) == base
    assert set(base.reads_of_histories) == set(features)
    assert base.histories(features)["T_days"] == pytest.approx(silence + features["t_x_days"])


@pytest.mark.slow
def test_after_february_a_payment_is_expected_on_its_day_of_march(tmp_path: Path) -> None:
    """Monthly payers on dates of their own, of whom one in twenty leaves at a payment."""
    random, as_of = np.random.default_rng(3), number(date(2026, 3, 3))
    rows: list[Row] = []
    for k in range(300):
        first = as_of - float(random.integers(1, 900))
        of_month = float(date.fromordinal(719_163 + int(first)).day)
        for n in range(40):
            at = float(months_after(np.array([first]), n, np.array([of_month]))[0])
            if at >= as_of or (n and random.random() < 0.05):
                break
            when = datetime.fromordinal(719_163 + int(at)).replace(hour=9, tzinfo=UTC)
            rows.append((f"m{k:03d}", when, "purchase", 12.0))
    rows.sort(key=lambda row: row[1])
    config = TrainConfig(horizon_days=30, max_dates=3)
    done = trained(rows, tmp_path / "m", datetime(2026, 3, 3, tzinfo=UTC), config, evaluated=False)
    base = done.bundle.models.base
    assert base is not None
    assert base.months == MonthDates(1)
    dated = base.models[0]
    assert isinstance(dated, DatedModel)
    assert dated.usual == pytest.approx(0.0, abs=1e-6)
    assert dated.spread == pytest.approx(0.0, abs=1e-6)
    scores = done.scores().to_pylist()
    last = {row[0]: row[1].date() for row in rows}
    waits, today = [], date(2026, 3, 3)
    for row in scores:
        paid = last[row["customer_id"]]
        if date(2026, 2, 5) <= paid and paid.day < 28:
            due = date(paid.year, paid.month + 1, paid.day)
            assert row["p_alive"] > 0.9, row
            assert abs((row["next_order_date"] - due).days) <= 1, row
            if (due - today).days < 28:
                waits.append(1.0 - row["p_inactive"])
    assert len(waits) > 80
    assert np.mean(waits) == pytest.approx(0.95, abs=0.03)

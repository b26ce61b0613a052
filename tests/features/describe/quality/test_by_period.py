"""Days of a log that is dated by month or by week are not compared with those around them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from stagecast.features.describe.quality.daily import Calendar
from stagecast.features.describe.quality.odd import find_odd_days
from tests.features.describe.quality.made import described

FIRST = (date(2020, 1, 1) - date(1970, 1, 1)).days


def calendar(positions: list[int], days: int = 720) -> Calendar:
    """Return a calendar with 200 events of 200 customers on some days, none on the others."""
    events = np.zeros(days)
    events[positions] = 200.0
    return Calendar(FIRST, events, events, np.minimum(events, 1.0))


def firsts_of_months() -> list[int]:
    starts = np.arange("2020-01", "2021-12", dtype="datetime64[M]").astype("datetime64[D]")
    return [int(k) - FIRST for k in starts.astype(np.int64)]


@pytest.mark.parametrize("positions", [firsts_of_months(), list(range(5, 720, 7))])
def test_no_day_of_a_log_dated_by_period_is_odd(positions: list[int]) -> None:
    by_period = calendar(positions)
    assert by_period.by_period
    assert find_odd_days(by_period, [], []) == ()


def ends_of_months(months: int, freq: str, noise: int, seed: int = 2) -> pd.DataFrame:
    """Return a log with sixty bills on a day of each month, and some orders on any day."""
    random = np.random.default_rng(seed)
    days = pd.date_range("2022-01-01", periods=months, freq=freq)
    bills = np.repeat(days.to_numpy(), 60)
    others = np.datetime64("2022-01-01") + random.integers(0, 30 * months, noise)
    times = np.concatenate([bills, others.astype(bills.dtype)])
    customers = [f"c{k % 60}" for k in range(len(times))]
    return pd.DataFrame({"customer_id": customers, "timestamp": times, "event": "purchase"})


@pytest.mark.slow
@pytest.mark.parametrize("freq", ["ME", "BMS", "BME"])
@pytest.mark.parametrize(("months", "noise"), [(10, 0), (24, 0), (24, 150), (4, 0), (36, 2000)])
def test_days_that_come_every_month_are_no_imports(freq: str, months: int, noise: int) -> None:
    odd_days = described(ends_of_months(months, freq, noise)).odd_days
    assert [odd for odd in odd_days if odd.kind == "high"] == []


def test_a_month_with_far_more_than_the_other_months_still_stands_out() -> None:
    frame = ends_of_months(24, "ME", 0)
    times = pd.Series(frame["timestamp"])
    extra = frame[times == times.unique()[10]]
    more = pd.concat([frame, *(extra.assign(customer_id=f"x{k}") for k in range(5))])
    assert [odd.kind for odd in described(more).odd_days] == ["high"]


def test_a_log_of_all_days_is_not_dated_by_period() -> None:
    daily = calendar(list(range(720)))
    assert not daily.by_period
    daily.events[300] = daily.customers[300] = 2000.0
    assert [odd.kind for odd in find_odd_days(daily, [], [])] == ["high"]
    assert not calendar([1, 8]).by_period

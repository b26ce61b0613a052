"""Days of a log that is dated by month or by week are not compared with those around them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from stagecast.features.describe.quality.daily import Calendar
from stagecast.features.describe.quality.odd import find_odd_days

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


def test_a_log_of_all_days_is_not_dated_by_period() -> None:
    daily = calendar(list(range(720)))
    assert not daily.by_period
    daily.events[300] = daily.customers[300] = 2000.0
    assert [odd.kind for odd in find_odd_days(daily, [], [])] == ["high"]
    assert not calendar([1, 8]).by_period

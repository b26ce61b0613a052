"""Day and month swapped in part of the rows are named in one line, and a sound log is not."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from stagecast.features.demo import cdnow_sample_frame
from stagecast.features.describe.quality.daily import Calendar
from stagecast.features.describe.quality.swapped import swapped
from stagecast.features.events import from_frame
from tests.features.describe.quality.made import described, shop


def days(begin: str, end: str, per_day: float, seed: int = 3) -> pd.Series:
    """Return the dates of orders at so many a day, each day's number by chance."""
    random = np.random.default_rng(seed)
    dates = pd.date_range(begin, end)
    return pd.Series(np.repeat(dates.to_numpy(), random.poisson(per_day, len(dates))))


def swap(dates: pd.Series, rows: pd.Series) -> pd.Series:
    """Return the dates with day and month swapped where ``rows`` holds and the day can be one."""
    swaps = rows & (dates.dt.day <= 12)
    images = pd.to_datetime(
        {"year": dates.dt.year, "month": dates.dt.day.clip(upper=12), "day": dates.dt.month}
    )
    return dates.where(~swaps, images)


def calendar_of(dates: pd.Series) -> Calendar:
    numbers = (dates.to_numpy().astype("datetime64[D]")).astype(np.int64)
    events = np.bincount(numbers - numbers.min()).astype(float)
    return Calendar(int(numbers.min()), events, events, np.minimum(events, 1.0))


@pytest.mark.parametrize("per_day", [4, 40])
@pytest.mark.parametrize("month", [1, 3])
def test_a_swapped_month_is_named_with_an_example(per_day: int, month: int) -> None:
    dates = days("2024-01-01", "2024-06-30", per_day)
    (sentence,) = swapped(calendar_of(swap(dates, dates.dt.month == month)))
    assert "day and month look swapped" in sentence
    assert f"2024-{month:02d}-12 lack about" in sentence
    assert "default as_of" in sentence


def test_a_swapped_month_in_the_midst_of_years_is_named() -> None:
    dates = days("2022-03-05", "2025-04-20", 12)
    is_swapped = (dates.dt.year == 2024) & (dates.dt.month == 2)
    (sentence,) = swapped(calendar_of(swap(dates, is_swapped)))
    assert "2024-02-01" in sentence


def test_a_third_of_the_rows_of_every_day_is_named_by_the_bare_months_behind_them() -> None:
    dates = days("2024-01-01", "2024-06-30", 20)
    rows = pd.Series(np.random.default_rng(5).random(len(dates)) < 1 / 3)
    (sentence,) = swapped(calendar_of(swap(dates, rows)))
    assert "after 2024-06-30 all" in sentence
    assert "of 6 months fall on days 1 to 6" in sentence


def test_the_bare_months_may_stand_before_the_log() -> None:
    dates = days("2024-07-01", "2024-12-31", 20)
    rows = pd.Series(np.random.default_rng(5).random(len(dates)) < 1 / 3)
    (sentence,) = swapped(calendar_of(swap(dates, rows)))
    assert "before 2024-07-01 all" in sentence


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("per_day", [0.3, 1, 3, 30])
def test_a_sound_log_is_not_named(per_day: float, seed: int) -> None:
    dates = days("2023-02-11", "2024-11-08", per_day, seed)
    assert swapped(calendar_of(dates)) == []


def test_a_shop_that_rests_after_new_year_and_bills_on_the_first_is_not_named() -> None:
    dates = days("2023-01-01", "2024-12-31", 10)
    is_closed = (dates.dt.month == 1) & dates.dt.day.isin(range(2, 10))
    bills = pd.Series(np.repeat(pd.date_range("2023-01-01", "2024-12-01", freq="MS").values, 50))
    assert swapped(calendar_of(pd.concat([dates[~is_closed], bills]))) == []


def test_bills_that_go_on_after_the_shop_has_closed_are_not_named() -> None:
    dates = days("2023-01-01", "2023-08-31", 10)
    bills = pd.Series(np.repeat(pd.date_range("2023-01-01", "2024-12-01", freq="MS").values, 20))
    assert swapped(calendar_of(pd.concat([dates, bills]))) == []


@pytest.mark.parametrize("frame", [shop(), shop(seed=4, december=1.0, closed=())])
def test_the_clean_shops_have_no_warning(frame: pd.DataFrame) -> None:
    assert described(frame).warnings == ()


def test_the_log_of_the_demo_has_no_warning_of_dates() -> None:
    from stagecast.features.describe.quality import describe

    with from_frame(cdnow_sample_frame()) as log:
        assert not [w for w in describe(log.con).warnings if "swapped" in w or "lie" in w]


def test_a_log_of_one_day_is_not_judged() -> None:
    events = np.array([5.0])
    first = (date(2024, 1, 5) - date(1970, 1, 1)).days
    assert swapped(Calendar(first, events, events, events)) == []

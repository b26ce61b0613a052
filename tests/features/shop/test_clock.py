"""Shop time against Python's own zone arithmetic, around every kind of change of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.clock import DAY_MICROSECONDS, SHOP, iso, microseconds, parse_shop_time
from stagecast.features.errors import UsageError
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock, clock_named
from tests.profiles import examples

ZONES = ("America/Los_Angeles", "Asia/Tehran", "Asia/Kolkata", "Europe/Berlin")
ODD_ZONES = ("America/Havana", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia")
HOUR = 3_600_000_000


def instants() -> st.SearchStrategy[int]:
    return st.integers(
        microseconds(datetime(1995, 1, 1, tzinfo=UTC)),
        microseconds(datetime(2030, 1, 1, tzinfo=UTC)),
    )


def changes_of(zone: str, year: int) -> list[datetime]:
    """Return the hours of a year at whose end the offset differs, found by trying each."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=k) for k in range(366 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hours[k + 1] for k in range(len(hours) - 1) if offsets[k] != offsets[k + 1]]


def shop(zone: str, instant: int) -> int:
    return int(clock_named(zone).shop_microseconds(np.array([instant]))[0])


@pytest.mark.parametrize("zone", [*ZONES, *ODD_ZONES])
@settings(max_examples=examples(60), deadline=None)
@given(instant=instants())
def test_the_day_is_the_date_that_the_wall_shows(zone: str, instant: int) -> None:
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(
        ZoneInfo(zone)
    )
    day = shop(zone, instant) // DAY_MICROSECONDS
    assert day == (wall.date() - date(1970, 1, 1)).days


@pytest.mark.parametrize("zone", [*ZONES, *ODD_ZONES])
def test_shop_time_never_goes_back_and_comes_back_to_the_instant(zone: str) -> None:
    clock = clock_named(zone)
    changes = [
        microseconds(change) for year in (2008, 2011, 2017) for change in changes_of(zone, year)
    ]
    for change in changes or [microseconds(datetime(2017, 3, 1, tzinfo=UTC))]:
        minutes = np.arange(-180, 181) * (HOUR // 60)
        near = np.unique(change + np.concatenate([minutes, minutes + 2, minutes - 2]))
        times = clock.shop_microseconds(near)
        assert (np.diff(times) > 0).all()
        assert np.array_equal(clock.instant_microseconds(times), near)


@pytest.mark.parametrize("zone", [*ZONES, *ODD_ZONES])
def test_no_instant_of_a_skipped_time_stands_before_what_was_known(zone: str) -> None:
    clock = clock_named(zone)
    for year in (2008, 2011, 2017):
        for change in changes_of(zone, year):
            grid = microseconds(change) + np.arange(-200, 201) * (HOUR // 100)
            back = clock.instant_microseconds(clock.shop_microseconds(grid[:1])[0] + grid - grid[0])
            assert (np.diff(back) >= 0).all()


@pytest.mark.parametrize(
    ("zone", "day", "instant"),
    [
        ("America/Los_Angeles", date(2024, 1, 1), "2024-01-01T08:00:00+00:00"),
        ("Asia/Tehran", date(2022, 9, 22), "2022-09-21T20:30:00+00:00"),
        ("Asia/Kolkata", date(2024, 1, 1), "2023-12-31T18:30:00+00:00"),
        ("Europe/Berlin", date(2024, 7, 1), "2024-06-30T22:00:00+00:00"),
        # clocks skip this midnight: the day begins at 01:00
        ("America/Sao_Paulo", date(2017, 10, 15), "2017-10-15T03:00:00+00:00"),
        # midnight happens twice: the day begins with the first
        ("America/Havana", date(2017, 11, 5), "2017-11-05T04:00:00+00:00"),
    ],
)
def test_a_date_is_the_beginning_of_the_day_in_the_shop(zone: str, day: date, instant: str) -> None:
    clock = ShopClock(zone)
    midnight = clock.shop(day)
    assert clock.instant(midnight).isoformat() == instant
    assert clock.shop(datetime.fromisoformat(instant)) == midnight
    assert microseconds(midnight) % DAY_MICROSECONDS == 0
    assert iso(midnight) == day.isoformat()


def test_days_of_23_and_25_hours_are_days() -> None:
    clock = ShopClock("America/Los_Angeles")
    starts = [clock.instant(clock.shop(date(2024, 3, day))) for day in (10, 11)]
    assert starts[1] - starts[0] == timedelta(hours=23)
    starts = [clock.instant(clock.shop(date(2024, 11, day))) for day in (3, 4)]
    assert starts[1] - starts[0] == timedelta(hours=25)


@pytest.mark.parametrize("zone", [*ZONES, *ODD_ZONES])
def test_the_sql_is_the_arithmetic(zone: str) -> None:
    clock, draw = clock_named(zone), np.random.default_rng(3)
    first, last = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (2006, 2019))
    near = [
        microseconds(change) + draw.integers(-3 * HOUR, 3 * HOUR, 30)
        for year in (2008, 2017)
        for change in changes_of(zone, year)
    ]
    at = np.concatenate([draw.integers(first, last, 500), *near, [first, last]])
    sql = clock.sql("micros", first, last, "({} >> 1)")
    con = duckdb.connect()
    con.register("instants", {"micros": at, "k": np.arange(len(at))})
    result = con.execute(f"select {sql} as shop from instants order by k").fetchnumpy()["shop"]
    assert np.array_equal(result, clock.shop_microseconds(at))


def test_without_a_zone_shop_time_is_utc_and_not_marked() -> None:
    instant = datetime(2024, 5, 1, 13, tzinfo=UTC)
    assert UTC_CLOCK.shop(instant).tzinfo is UTC
    assert UTC_CLOCK.shop(parse_shop_time("2024-05-01")).tzinfo is UTC
    assert UTC_CLOCK.instant(instant) == UTC_CLOCK.shop(instant) == instant


def test_a_text_without_a_zone_is_what_the_shop_shows_and_others_are_instants() -> None:
    clock = ShopClock("Europe/Berlin")
    assert parse_shop_time("2024-07-01").tzinfo is SHOP
    assert clock.instant(clock.shop(parse_shop_time("2024-07-01T12:00"))) == datetime(
        2024, 7, 1, 10, tzinfo=UTC
    )
    assert iso(clock.shop(parse_shop_time("2024-07-01T12:00Z"))) == "2024-07-01T14:00:00"


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'Europe/Berlin'"):
        ShopClock("Europe/Berlim")

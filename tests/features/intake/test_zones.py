"""Local times as UTC, compared with Python's zone arithmetic at random instants, also in gaps."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.features.intake.zones import find_zone, offset_periods
from tests.profiles import examples

ZONES = [
    "Europe/London",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Pacific/Apia",
]


@pytest.mark.slow
@settings(max_examples=examples(400), deadline=None)
@given(
    zone=st.sampled_from(ZONES), local=st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31))
)
def test_a_local_time_is_the_instant_that_python_gives(zone: str, local: datetime) -> None:
    check(zone, local)


@pytest.mark.parametrize("zone", ZONES)
def test_the_hours_around_each_change_are_right_and_named(zone: str) -> None:
    for period in offset_periods(zone)[1:]:
        for minutes in (-61, -31, -1, 0, 1, 29, 59, 61):
            check(zone, period.begins + timedelta(minutes=minutes))


def check(zone: str, local: datetime) -> None:
    periods = offset_periods(zone)
    period = periods[bisect_right([period.begins for period in periods], local) - 1]
    instant = (local - period.offset).replace(tzinfo=UTC)
    first, second = (
        local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)
    )
    assert instant == first
    is_skipped = first.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local
    assert period.kind == ("gap" if is_skipped else "overlap" if first != second else "regular")


def test_offsets_are_zones_too_and_others_are_refused_with_the_nearest_name() -> None:
    assert find_zone("utc") is UTC
    assert [period.offset for period in offset_periods("-03:30")] == [
        timedelta(hours=-3, minutes=-30)
    ]
    with pytest.raises(UsageError, match="Did you mean 'Europe/Moscow'"):
        find_zone("Europe/Mosow")
    with pytest.raises(UsageError, match="is not a time zone"):
        find_zone("+25:00")

"""Time: instants in UTC to the microsecond, spans in whole days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features import clock
from stagecast.features.errors import UsageError

# a day number keeps the microsecond until 2059, when doubles run out of digits
LAST = datetime(2059, 9, 1)
INSTANTS = st.datetimes(datetime(1900, 1, 1), LAST, timezones=st.just(UTC))


@given(instant=INSTANTS)
def test_microseconds_there_and_back_are_exact(instant: datetime) -> None:
    assert clock.from_microseconds(clock.microseconds(instant)) == instant


@given(instant=INSTANTS, ticks=st.integers(-(10**12), 10**12))
def test_microseconds_count_microseconds(instant: datetime, ticks: int) -> None:
    assert (
        clock.microseconds(instant + timedelta(microseconds=ticks))
        == clock.microseconds(instant) + ticks
    )


@given(day=st.dates(date(1900, 1, 1), date(2200, 12, 31)))
def test_day_numbers_are_whole_at_midnight_and_come_back(day: date) -> None:
    number = clock.day_number(clock.to_utc(day))
    assert number == (day - date(1970, 1, 1)).days
    assert clock.from_day(number).date() == day


@given(instant=INSTANTS)
def test_a_day_number_comes_back_to_the_microsecond(instant: datetime) -> None:
    assert clock.from_day(clock.day_number(instant)) == instant


def test_a_leap_year_has_its_day() -> None:
    leap, march = datetime(2016, 2, 29, tzinfo=UTC), datetime(2016, 3, 1, tzinfo=UTC)
    assert clock.day_number(march) - clock.day_number(leap) == 1
    assert clock.day_after(datetime(2016, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)) == leap
    assert clock.day_after(leap) == march
    assert clock.parse_instant("2016-02-29") == leap
    with pytest.raises(UsageError, match="2015-02-29"):
        clock.parse_instant("2015-02-29")


@given(instant=INSTANTS, hours=st.integers(-14, 14), minutes=st.sampled_from([0, 30, 45]))
def test_an_instant_is_the_same_in_every_zone(instant: datetime, hours: int, minutes: int) -> None:
    elsewhere = instant.astimezone(
        timezone(timedelta(hours=hours, minutes=minutes if hours >= 0 else -minutes))
    )
    assert clock.to_utc(elsewhere) == instant
    assert clock.to_utc(elsewhere).utcoffset() == timedelta(0)
    assert clock.microseconds(elsewhere) == clock.microseconds(instant)
    assert clock.parse_instant(elsewhere.isoformat()) == instant


@given(instant=INSTANTS)
def test_a_naive_instant_is_utc_and_text_comes_back(instant: datetime) -> None:
    assert clock.to_utc(instant.replace(tzinfo=None)) == instant
    assert clock.parse_instant(clock.iso(instant)) == instant
    assert clock.day_after(instant) > instant
    assert clock.day_after(instant) - instant <= clock.DAY


@pytest.mark.parametrize(
    ("text", "days"), [("90d", 90), ("1d", 1), ("12w", 84), (" 2 Weeks ", 14), ("365days", 365)]
)
def test_spans_in_days_and_weeks(text: str, days: int) -> None:
    assert clock.parse_span_days(text) == days


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("90", "the unit is missing; write days or weeks, like 90d or 12w"),
        (90, "the unit is missing"),
        ("3m", "'m' has no fixed length here"),
        ("3 months", "'months' has no fixed length here"),
        ("1y", "'y' has no fixed length here"),
        ("24h", "'h' has no fixed length here"),
        ("0d", "is below one day"),
        ("-3d", "is not a span"),
        ("1.5d", "is not a span"),
        ("", "is not a span"),
        ("d", "is not a span"),
        ("9999999d", "is not a span"),
    ],
)
def test_a_span_without_a_fixed_length_is_refused(text: str | int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        clock.parse_span_days(text, "--value-horizon")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"--value-horizon '{text}'")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "01/02/2020", "2020-13-01", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an ISO 8601 date; write it like 2011-09-01"):
        clock.parse_instant(text)

"""Calendar periods: their starts, the one that is cut, and refused units."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.clock import DAY_MICROSECONDS as DAY
from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.describe.flows import UNITS, default_unit, periods
from stagecast.features.errors import UsageError
from tests.features.describe.flows.made import instant


def test_weeks_begin_on_monday_at_midnight_utc() -> None:
    # 2024-01-03 is a Wednesday; 2024-01-17 is one too
    calendar_periods = periods(instant("2024-01-03T10:00"), instant("2024-01-17T12:00"), "week")
    assert [iso(from_microseconds(int(t))) for t in calendar_periods.start] == [
        "2024-01-01",
        "2024-01-08",
        "2024-01-15",
    ]
    assert iso(from_microseconds(int(calendar_periods.end[-1]))) == "2024-01-17T12:00:00Z"
    assert calendar_periods.complete.tolist() == [True, True, False]


def test_quarters_begin_in_january_april_july_and_october() -> None:
    calendar_periods = periods(
        instant("1969-11-30"), instant("1970-07-01T00:00:00.000001"), "quarter"
    )
    begins = [iso(from_microseconds(int(t))) for t in calendar_periods.start]
    assert begins == ["1969-10-01", "1970-01-01", "1970-04-01", "1970-07-01"]


def test_a_period_that_ends_at_the_as_of_is_complete_and_the_last() -> None:
    calendar_periods = periods(instant("2024-02-29"), instant("2024-04-01"), "month")
    assert [iso(from_microseconds(int(t))) for t in calendar_periods.end] == [
        "2024-03-01",
        "2024-04-01",
    ]
    assert calendar_periods.complete.all()


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.integers(1, 400 * DAY) | st.integers(1, 400).map(lambda days: days * DAY),
    st.sampled_from(UNITS),
)
def test_periods_are_of_the_calendar_and_leave_no_gap(
    first: datetime, length: int, unit: str
) -> None:
    begin = microseconds(first)
    end = begin + length
    calendar_periods = periods(begin, end, unit)
    assert calendar_periods.start[0] <= begin < calendar_periods.end[0]
    assert calendar_periods.end[-1] == end
    assert np.array_equal(calendar_periods.start[1:], calendar_periods.end[:-1])

    def calendar(t: int) -> tuple[int, ...]:
        d = from_microseconds(t)
        return (
            tuple(d.isocalendar())[:2]
            if unit == "week"
            else (d.year, d.month if unit == "month" else (d.month - 1) // 3)
        )

    for start, stop in zip(
        calendar_periods.start.tolist(), calendar_periods.end.tolist(), strict=True
    ):
        assert calendar(start - 1) != calendar(start) == calendar(stop - 1)
    assert calendar_periods.complete.tolist() == [
        calendar(t) != calendar(t - 1) for t in calendar_periods.end.tolist()
    ]


def test_positions_are_those_of_the_periods_that_hold_the_instants() -> None:
    calendar_periods = periods(instant("2024-01-01"), instant("2024-03-10"), "month")
    instants = [
        "2023-12-31T23:59",
        "2024-01-01",
        "2024-01-31T23:59",
        "2024-02-01",
        "2024-03-09",
        "2024-03-10",
        "2025-01-01",
    ]
    assert calendar_periods.positions(np.array([instant(t) for t in instants])).tolist() == [
        -1,
        0,
        0,
        1,
        2,
        3,
        3,
    ]


def test_there_is_no_period_where_nothing_stands_before_the_as_of() -> None:
    assert len(periods(5, 5, "week")) == 0


def test_an_unknown_unit_is_refused_by_name() -> None:
    with pytest.raises(
        UsageError, match=r"unit 'weak' is none of week, month, quarter. Did you mean 'week'\?"
    ):
        periods(0, DAY, "weak")


def test_longer_logs_get_longer_periods() -> None:
    assert [default_unit(0, d * DAY) for d in (1, 183, 184, 1098, 1099)] == [
        "week",
        "week",
        "month",
        "month",
        "quarter",
    ]

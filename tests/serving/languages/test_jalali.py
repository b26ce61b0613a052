"""The Jalali calendar against known days, and against its own rules."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from stagecast.serving.languages.jalali import jalali


@pytest.mark.parametrize(
    ("gregorian", "expected"),
    [
        # new years as the calendar centre of Tehran has announced them
        ("1979-03-21", (1358, 1, 1)),
        ("1996-03-20", (1375, 1, 1)),
        ("2000-03-20", (1379, 1, 1)),
        ("2017-03-21", (1396, 1, 1)),
        ("2021-03-21", (1400, 1, 1)),
        ("2024-03-20", (1403, 1, 1)),
        ("2025-03-21", (1404, 1, 1)),
        # the last days of a leap year and of a common year
        ("2021-03-20", (1399, 12, 30)),
        ("2025-03-20", (1403, 12, 30)),
        ("2024-03-19", (1402, 12, 29)),
        # days of history: the victory of the revolution, the first of Mehr, the epoch of Unix
        ("1979-02-11", (1357, 11, 22)),
        ("2023-09-23", (1402, 7, 1)),
        ("1970-01-01", (1348, 10, 11)),
    ],
)
def test_known_days(gregorian: str, expected: tuple[int, int, int]) -> None:
    assert jalali(date.fromisoformat(gregorian)) == expected


def test_each_day_follows_the_day_before() -> None:
    day = date(1900, 1, 1)
    year, month, number = jalali(day)
    for _ in range(365 * 201):
        day += timedelta(1)
        following = jalali(day)
        if following[:2] == (year, month):
            assert following[2] == number + 1
        else:
            last = 31 if month <= 6 else 30
            assert number in ((29, 30) if month == 12 else (last,)), day
            assert following == (year + month // 12, month % 12 + 1, 1)
        year, month, number = following


def test_a_day_before_the_calendar_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="0600-01-01"):
        jalali(date(600, 1, 1))

"""On which day of the calendar the date of the year is."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from stagecast.training.billing.calendar import YEAR, DueDate

EPOCH = date(1970, 1, 1)


def number(day: date) -> float:
    return float((day - EPOCH).days)


@pytest.mark.parametrize(
    ("month", "of_month"), [(1, 1), (1, 2), (2, 28), (3, 1), (3, 2), (9, 15), (12, 30), (12, 31)]
)
@pytest.mark.parametrize("learned_in", [2020, 2022, 2023, 2024, 2025])
def test_a_date_is_the_same_in_years_of_366_days(
    month: int, of_month: int, learned_in: int
) -> None:
    # the day of the year is taken from payments, which lie in a few years
    due = DueDate(number(date(learned_in, month, of_month)) % YEAR, 10.0)
    for year in range(2018, 2031):
        paid = np.array([number(date(year, month, of_month))])
        after = due.after(paid, np.array([False]))
        assert after.tolist() == [number(date(year + 1, month, of_month))]
        # a first payment well before it pays for less than a year
        joined = due.after(paid - 200.0, np.array([True]))
        assert joined.tolist() == paid.tolist()


def test_a_payment_that_is_not_known_has_no_date() -> None:
    assert np.isnan(DueDate(59.2, 10.0).after(np.array([np.nan]), np.array([False]))).all()

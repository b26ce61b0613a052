"""Cohorts: by hand, against a plain count, and customers from before the first period."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.describe.flows import UNITS, cohorts, periods
from tests.features.describe.flows.made import Log, at, bought, logs, rows


def test_worked_by_hand() -> None:
    # January is days 0 to 30, February to 58, March from 59; it is cut at day 70
    log = bought(
        [(3, 1.0), (4, 2.0), (31, 4.0)], [(30, 8.0), (69, 16.0), (70, 32.0)], [], [(58, 64.0)]
    )
    table = cohorts(log, periods(at(0), at(70), "month"))
    assert [(t.month, *rest) for t, *rest in rows(table)] == [
        # month, customers, age, complete, active, retention, spend
        (1, 2, 0, True, 2, 1.0, 11.0),
        (1, 2, 1, True, 1, 0.5, 4.0),
        (1, 2, 2, False, 1, 0.5, 16.0),
        (2, 1, 0, True, 1, 1.0, 64.0),
        (2, 1, 1, False, 0, 0.0, 0.0),
    ]


@given(logs(), st.sampled_from(UNITS), st.integers(0, 60))
def test_cohorts_are_those_of_a_plain_count(log: Log, unit: str, first: int) -> None:
    calendar = periods(at(first), at(log.as_of), unit)
    bounds = list(zip(calendar.start.tolist(), calendar.end.tolist(), strict=True))
    expected = []
    for cohort, (start, end) in enumerate(bounds):
        # a purchase before the first period keeps a customer out
        cohort_orders = [
            orders for orders in log.orders if orders and start <= at(orders[0][0]) < end
        ]
        for age, (period_start, period_end) in enumerate(bounds[cohort:] if cohort_orders else []):
            spends = [
                [spend for day, spend in orders if period_start <= at(day) < period_end]
                for orders in cohort_orders
            ]
            active = sum(map(bool, spends))
            money = pytest.approx(sum(map(sum, spends)), abs=1e-9)
            complete = bool(calendar.complete[cohort + age])
            expected.append(
                (
                    start,
                    len(cohort_orders),
                    age,
                    complete,
                    active,
                    active / len(cohort_orders),
                    money,
                )
            )
    actual = [(round(t.timestamp() * 1e6), *rest) for t, *rest in rows(cohorts(log.days, calendar))]
    assert actual == expected


def test_without_amounts_spend_is_null() -> None:
    table = cohorts(bought([(0, 0.0)]), periods(at(0), at(10), "week"), has_amounts=False)
    assert rows(table, "active", "spend") == [(1, None), (0, None)]


def test_nobody_bought_and_nobody_since_the_first_period() -> None:
    assert len(cohorts(bought(), periods(at(0), at(70), "month"))) == 0
    assert len(cohorts(bought([(3, 1.0), (40, 1.0)]), periods(at(31), at(70), "month"))) == 0

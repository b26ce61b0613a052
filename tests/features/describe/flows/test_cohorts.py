"""Cohorts: by hand, against a plain count, and customers of before."""

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
    found = cohorts(log, periods(at(0), at(70), "month"))
    assert [(t.month, *rest) for t, *rest in rows(found)] == [
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
    for own, (start, end) in enumerate(bounds):
        # a purchase before the first period keeps a customer out
        mine = [o for o in log.orders if o and start <= at(o[0][0]) < end]
        for age, (begin, stop) in enumerate(bounds[own:] if mine else []):
            spends = [[s for d, s in o if begin <= at(d) < stop] for o in mine]
            active = sum(map(bool, spends))
            money = pytest.approx(sum(map(sum, spends)), abs=1e-9)
            whole = bool(calendar.complete[own + age])
            expected.append((start, len(mine), age, whole, active, active / len(mine), money))
    found = [(round(t.timestamp() * 1e6), *rest) for t, *rest in rows(cohorts(log.days, calendar))]
    assert found == expected


def test_without_amounts_spend_is_null() -> None:
    found = cohorts(bought([(0, 0.0)]), periods(at(0), at(10), "week"), has_amounts=False)
    assert rows(found, "active", "spend") == [(1, None), (0, None)]


def test_nobody_bought_and_nobody_since_the_first_period() -> None:
    assert len(cohorts(bought(), periods(at(0), at(70), "month"))) == 0
    assert len(cohorts(bought([(3, 1.0), (40, 1.0)]), periods(at(31), at(70), "month"))) == 0

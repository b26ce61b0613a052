"""Stock: a small log worked by hand, the account that must balance, and logs without this or
that.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.describe.flows import UNITS, periods, stock
from stagecast.features.errors import UsageError
from tests.features.describe.flows.made import Log, at, bought, journeys, logs, rows

# January 1970 is days 0 to 30, February 31 to 58
FIRST, AS_OF = at(0), at(45)


def test_worked_by_hand() -> None:
    # one goes from a to b on 10 January and to c in February; one comes to a in February; one is on
    # a for one day and back after five; and what would come in March has not happened
    ways = journeys(
        [(0, "a"), (9, "b"), (31, "c")], [(40, "a"), (70, "b")], [(2, "a"), (3, "b"), (8, "a")]
    )
    orders = bought([(9, 10.0), (20, 5.5), (31, 7.0)], [(40, 2.25)], [(2, 1.0)])
    found = stock(ways, orders, periods(FIRST, AS_OF, "month"))
    columns = ("complete", "stage", "customers", "share", "value", "entries", "exits")
    assert rows(found, *columns) == [
        # the first stands on b just before February (31 is not before 31), the third on a
        (True, "a", 1, 1 / 2, 1.0, 3, 2),
        (True, "b", 1, 1 / 2, 15.5, 2, 1),
        (True, "c", 0, 0.0, 0.0, 0, 0),
        (False, "a", 2, 2 / 3, 2.25, 1, 0),
        (False, "b", 0, 0.0, 0.0, 0, 1),
        (False, "c", 1, 1 / 3, 7.0, 1, 0),
    ]
    edges = rows(found.slice(0, 1), "period_start", "period_end")[0]
    assert [edge.isoformat() for edge in edges] == [
        "1970-01-01T00:00:00+00:00",
        "1970-02-01T00:00:00+00:00",
    ]


@given(logs(), st.sampled_from(UNITS), st.integers(0, 90))
def test_the_account_balances_and_agrees_with_a_plain_count(
    log: Log, unit: str, first: int
) -> None:
    calendar = periods(at(first), at(log.as_of), unit)
    found = stock(log.journeys, log.days, calendar)
    everyone = range(len(log.ways))
    cells = iter(found.to_pylist())
    for start, end in zip(calendar.start.tolist(), calendar.end.tolist(), strict=True):
        known = [c for c in everyone if log.stage(c, end) is not None]
        for stage in "abc":
            cell = next(cells)
            there = [c for c in everyone if log.stage(c, end) == stage]
            before = sum(log.stage(c, start) == stage for c in everyone)
            assert cell["stage"] == stage
            assert cell["customers"] == len(there) == before + cell["entries"] - cell["exits"]
            assert cell["entries"] == sum(
                s == stage and start <= at(d) < end for way in log.ways for d, s in way
            )
            assert cell["share"] == (len(there) / len(known) if known else None)
            assert cell["value"] == pytest.approx(
                sum(log.spend(c, start, end) for c in there), abs=1e-9
            )
    assert next(cells, None) is None


def test_what_came_before_the_first_period_stands_but_did_not_enter() -> None:
    ways = journeys([(0, "a"), (5, "b")], [(1, "a")])
    found = stock(ways, bought([(0, 9.0)], []), periods(at(31), AS_OF, "month"))
    assert rows(found, "stage", "customers", "value", "entries", "exits") == [
        ("a", 1, 0.0, 0, 0),
        ("b", 1, 0.0, 0, 0),
        ("c", 0, 0.0, 0, 0),
    ]


def test_a_spell_that_begins_with_the_period_is_its_entry() -> None:
    found = stock(journeys([(31, "a")]), bought([]), periods(at(0), AS_OF, "month"))
    assert rows(found, "customers", "entries")[0::3] == [(0, 0), (1, 1)]
    # nobody was known at the end of January
    assert rows(found, "share")[0] == (None,)


def test_without_amounts_value_is_null() -> None:
    found = stock(
        journeys([(0, "a")]), bought([(0, 0.0)]), periods(FIRST, AS_OF, "month"), has_amounts=False
    )
    assert found["value"].null_count == len(found) == 6


def test_no_journeys_and_no_periods() -> None:
    assert (
        rows(stock(journeys(), bought(), periods(FIRST, AS_OF, "month")), "customers", "share")
        == [(0, None)] * 6
    )
    assert len(stock(journeys(), bought(), periods(FIRST, FIRST, "month"))) == 0


def test_a_purchase_by_someone_on_no_stage_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"2 customers \(the first is row 0\) bought before they were on any stage"
    ):
        stock(
            journeys([(35, "a")], [(0, "a")]),
            bought([(3, 1.0)], [(3, 1.0)], [(3, 1.0)]),
            periods(FIRST, AS_OF, "week"),
        )

"""Stock: a small log worked by hand, the balance of entries and exits, and sparse logs."""

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
    # the first goes from a to b on 10 January and to c in February; the second comes to a in
    # February; the third is on a for one day and back after five; March has not happened yet
    paths = journeys(
        [(0, "a"), (9, "b"), (31, "c")], [(40, "a"), (70, "b")], [(2, "a"), (3, "b"), (8, "a")]
    )
    orders = bought([(9, 10.0), (20, 5.5), (31, 7.0)], [(40, 2.25)], [(2, 1.0)])
    table = stock(paths, orders, periods(FIRST, AS_OF, "month"))
    columns = ("complete", "stage", "customers", "share", "value", "entries", "exits")
    assert rows(table, *columns) == [
        # the first stands on b just before February (31 is not before 31), the third on a
        (True, "a", 1, 1 / 2, 1.0, 3, 2),
        (True, "b", 1, 1 / 2, 15.5, 2, 1),
        (True, "c", 0, 0.0, 0.0, 0, 0),
        (False, "a", 2, 2 / 3, 2.25, 1, 0),
        (False, "b", 0, 0.0, 0.0, 0, 1),
        (False, "c", 1, 1 / 3, 7.0, 1, 0),
    ]
    edges = rows(table.slice(0, 1), "period_start", "period_end")[0]
    assert [edge.isoformat() for edge in edges] == [
        "1970-01-01T00:00:00+00:00",
        "1970-02-01T00:00:00+00:00",
    ]


@given(logs(), st.sampled_from(UNITS), st.integers(0, 90))
def test_the_account_balances_and_agrees_with_a_plain_count(
    log: Log, unit: str, first: int
) -> None:
    calendar = periods(at(first), at(log.as_of), unit)
    table = stock(log.journeys, log.days, calendar)
    everyone = range(len(log.paths))
    cells = iter(table.to_pylist())
    for start, end in zip(calendar.start.tolist(), calendar.end.tolist(), strict=True):
        known = [customer for customer in everyone if log.stage(customer, end) is not None]
        for stage in "abc":
            cell = next(cells)
            on_stage = [customer for customer in everyone if log.stage(customer, end) == stage]
            before = sum(log.stage(customer, start) == stage for customer in everyone)
            assert cell["stage"] == stage
            assert cell["customers"] == len(on_stage) == before + cell["entries"] - cell["exits"]
            assert cell["entries"] == sum(
                spell_stage == stage and start <= at(day) < end
                for path in log.paths
                for day, spell_stage in path
            )
            assert cell["share"] == (len(on_stage) / len(known) if known else None)
            assert cell["value"] == pytest.approx(
                sum(log.spend(customer, start, end) for customer in on_stage), abs=1e-9
            )
    assert next(cells, None) is None


def test_spells_from_before_the_first_period_are_stock_but_no_entries() -> None:
    paths = journeys([(0, "a"), (5, "b")], [(1, "a")])
    table = stock(paths, bought([(0, 9.0)], []), periods(at(31), AS_OF, "month"))
    assert rows(table, "stage", "customers", "value", "entries", "exits") == [
        ("a", 1, 0.0, 0, 0),
        ("b", 1, 0.0, 0, 0),
        ("c", 0, 0.0, 0, 0),
    ]


def test_a_spell_that_begins_with_the_period_is_its_entry() -> None:
    table = stock(journeys([(31, "a")]), bought([]), periods(at(0), AS_OF, "month"))
    assert rows(table, "customers", "entries")[0::3] == [(0, 0), (1, 1)]
    # nobody was known at the end of January
    assert rows(table, "share")[0] == (None,)


def test_without_amounts_value_is_null() -> None:
    table = stock(
        journeys([(0, "a")]), bought([(0, 0.0)]), periods(FIRST, AS_OF, "month"), has_amounts=False
    )
    assert table["value"].null_count == len(table) == 6


def test_no_journeys_and_no_periods() -> None:
    assert (
        rows(stock(journeys(), bought(), periods(FIRST, AS_OF, "month")), "customers", "share")
        == [(0, None)] * 6
    )
    assert len(stock(journeys(), bought(), periods(FIRST, FIRST, "month"))) == 0


def test_a_purchase_by_a_customer_on_no_stage_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"2 customers \(the first is row 0\) bought before they were on any stage"
    ):
        stock(
            journeys([(35, "a")], [(0, "a")]),
            bought([(3, 1.0)], [(3, 1.0)], [(3, 1.0)]),
            periods(FIRST, AS_OF, "week"),
        )

"""Transitions: worked by hand, and against a plain count of the customers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.describe.flows import UNITS, periods, transitions, transitions_between
from stagecast.features.errors import UsageError
from tests.features.describe.flows.made import Log, at, bought, journeys, logs, rows

PATHS = (
    [
        (0, "a"),
        (9, "b"),
        (31, "c"),
        (40, "b"),
    ],  # on b when February begins, and again when it is cut
    [(40, "a"), (70, "b")],  # comes in February
    [(2, "a"), (3, "b"), (8, "a")],  # stays on a all February
    [(1, "b"), (32, "a"), (33, "c")],  # from b to c by way of a
)


def test_worked_by_hand() -> None:
    table = transitions(journeys(*PATHS), periods(at(0), at(45), "month"))
    january = table["period_start"][0].as_py()
    assert rows(table, "from_stage", "to_stage", "customers", "share")[:2] == [
        (None, "a", 1, 1 / 3),
        (None, "b", 2, 2 / 3),
    ]
    february = [row[1:] for row in rows(table) if row[0] != january]
    assert [row[1:] for row in february] == [
        (None, "a", 1, 1.0),
        ("a", "a", 1, 1.0),
        ("b", "b", 1, 1 / 2),
        ("b", "c", 1, 1 / 2),
    ]


@given(logs(), st.sampled_from(UNITS), st.integers(0, 90))
def test_each_customer_known_at_the_end_is_in_one_row(log: Log, unit: str, first: int) -> None:
    calendar = periods(at(first), at(log.as_of), unit)
    table_rows = transitions(log.journeys, calendar).to_pylist()
    for start, end in zip(calendar.start.tolist(), calendar.end.tolist(), strict=True):
        pairs = Counter(
            (log.stage(customer, start), log.stage(customer, end))
            for customer in range(len(log.paths))
        )
        del pairs[None, None]
        period_rows = [row for row in table_rows if row["period_start"].timestamp() * 1e6 == start]
        assert {
            (row["from_stage"], row["to_stage"]): row["customers"] for row in period_rows
        } == pairs
        assert len(period_rows) == len(pairs)
        for row in period_rows:
            group = sum(n for (origin, _), n in pairs.items() if origin == row["from_stage"])
            assert row["share"] == row["customers"] / group


@given(logs(), st.integers(1, 720), st.integers(1, 720))
def test_between_two_dates_is_a_plain_count_with_its_money(
    log: Log, first: int, second: int
) -> None:
    start, end = sorted((first, second))
    start, end, as_of = at(start / 4), at(end / 4) + 1, at(400)
    table = transitions_between(log.journeys, log.days, len(log.paths), start, end, as_of)
    pairs: Counter[tuple[str | None, str | None]] = Counter()
    money: Counter[tuple[str | None, str | None]] = Counter()
    for customer in range(len(log.paths)):
        pair = log.stage(customer, start), log.stage(customer, end)
        if pair != (None, None):
            pairs[pair] += 1
            money[pair] += log.spend(customer, start, end)
    for row in table.to_pylist():
        pair = row["from_stage"], row["to_stage"]
        assert row["customers"] == pairs.pop(pair)
        assert row["value"] == pytest.approx(money[pair], abs=1e-9)
    assert not pairs


def test_between_worked_by_hand() -> None:
    orders = bought([(9, 4.0), (31, 5.0), (44, 1.0)], [(40, 2.0)], [], [(1, 8.0)])
    assert rows(transitions_between(journeys(*PATHS), orders, 4, at(31), at(44), at(45))) == [
        (None, "a", 1, 1.0, 2.0),
        ("a", "a", 1, 1.0, 0.0),
        # of the days 9, 31 and 44 only 31 is within
        ("b", "b", 1, 0.5, 5.0),
        ("b", "c", 1, 0.5, 0.0),
    ]
    without_amounts = transitions_between(
        journeys(*PATHS), orders, 4, at(31), at(44), at(45), has_amounts=False
    )
    assert without_amounts["value"].null_count == 4


def test_between_a_date_and_the_as_of() -> None:
    table = transitions_between(journeys(*PATHS), bought(), 4, at(31), at(45), at(45))
    assert table.equals(transitions_between(journeys(*PATHS), bought(), 4, at(31), at(44), at(45)))


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (31, 31, "the start 1970-02-01 is not before the end 1970-02-01"),
        (0, 46, "the end 1970-02-16 stands after the as_of 1970-02-15"),
    ],
)
def test_dates_that_cannot_be_compared_are_refused(start: int, end: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        transitions_between(journeys(*PATHS), bought(), 4, at(start), at(end), at(45))


def test_no_journeys_no_rows() -> None:
    assert len(transitions(journeys(), periods(at(0), at(45), "month"))) == 0
    assert len(transitions(journeys(*PATHS), periods(at(0), at(0), "month"))) == 0
    assert len(transitions_between(journeys(), bought(), 0, at(0), at(1), at(45))) == 0

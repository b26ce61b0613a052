"""All tables together: nothing of the future enters, what is written can be read, and what does
not fit is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from stagecast.features.describe.flows import Flows, flows
from stagecast.features.errors import UsageError
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.journeys import Journeys
from tests.features.describe.flows.made import Log, at, bought, first_events, journeys, logs, rows

WAYS = ([(0, "a"), (9, "b"), (31, "c"), (90, "a")], [(40, "a")], [(2, "a"), (3, "b"), (8, "a")])
ORDERS = ([(9, 10.0), (20, 5.5), (31, 7.0)], [(40, 2.25)], [])


def made(log: Log, unit: str | None = None) -> Flows:
    return flows(log.journeys, log.days, len(log.ways), log.first_events, at(log.as_of), unit)


SHOP = made(Log(WAYS, ORDERS, 45), "month")


@settings(deadline=None, max_examples=40)
@given(logs())
def test_what_happens_from_the_as_of_on_changes_nothing(log: Log) -> None:
    ways = tuple(tuple(spell for spell in way if spell[0] < log.as_of) for way in log.ways)
    known = [c for c, way in enumerate(ways) if way]
    orders = tuple(tuple(order for order in log.orders[c] if order[0] < log.as_of) for c in known)
    until = Log(tuple(ways[c] for c in known), orders, log.as_of)
    later, earlier = made(log), made(until)
    assert later.to_json() == earlier.to_json()
    assert all(table.equals(earlier.tables()[name]) for name, table in later.tables().items())


def test_the_summary_counts_customers_buyers_and_orders() -> None:
    # the last is not known before the as_of
    found = made(Log((*WAYS, [(45, "a")]), (*ORDERS, [(45, 1.0)]), 45)).summary
    counted = (found.customers, found.buyers, found.repeat_buyers, found.orders, found.spend)
    assert counted == (3, 2, 1, 4, 24.75)
    assert (found.concentration.of, found.concentration.buyers_for_80) == ("spend", 1)


def test_without_amounts_there_is_no_money_anywhere() -> None:
    days = bought(*[[(day, 0.0) for day, _ in orders] for orders in ORDERS])
    found = flows(journeys(*WAYS), days, 3, first_events(*WAYS), at(45), has_amounts=False)
    assert (
        found.summary.spend,
        found.summary.concentration.of,
        found.summary.concentration.total,
    ) == (
        None,
        "orders",
        4,
    )
    assert found.stock["value"].null_count == len(found.stock)
    assert found.cohorts["spend"].null_count == len(found.cohorts)


def test_json_has_instants_as_iso_and_null_where_there_is_no_number() -> None:
    found = json.loads(json.dumps(SHOP.to_json(), allow_nan=False))
    assert (found["as_of"], found["unit"]) == ("1970-02-15", "month")
    assert found["tables"]["stock"][-1] == {
        "period_start": "1970-02-01",
        "period_end": "1970-02-15",
        "complete": False,
        "stage": "c",
        "customers": 1,
        "share": 1 / 3,
        "value": 7.0,
        "entries": 1,
        "exits": 0,
    }
    assert found["tables"]["spells"][-1]["mean_days"] is None
    assert found["tables"]["transitions"][0]["from_stage"] is None


def test_what_is_written_is_what_was_found(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "flows"
    SHOP.write(folder)
    tables = SHOP.tables()
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [f"{name}.parquet" for name in tables] + ["flows.json"]
    )
    for name, table in tables.items():
        assert pq.read_table(folder / f"{name}.parquet").equals(table)
    assert json.loads((folder / "flows.json").read_text("utf-8")) == SHOP.to_json()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="taken cannot be made"):
        SHOP.write(tmp_path / "taken")


def test_columns_and_types_are_the_same_with_no_customer_at_all() -> None:
    empty = made(Log((), (), 45), "month")
    assert empty.summary.customers == empty.summary.orders == 0
    assert empty.summary.concentration.value_of_best_20 is None
    assert rows(empty.spells, "stage", "spells") == [("a", 0), ("b", 0), ("c", 0)]
    for name, table in empty.tables().items():
        assert table.schema.equals(SHOP.tables()[name].schema), name
        assert len(table) == (3 if name in ("spells", "time_to_stage") else 0)


def test_one_customer_with_one_event() -> None:
    found = made(Log(([(40, "b")],), ([],), 45))
    # 10 February is a Tuesday
    assert rows(found.stock, "stage", "customers", "entries") == [
        ("a", 0, 0),
        ("b", 1, 1),
        ("c", 0, 0),
    ]
    assert rows(found.transitions, "from_stage", "to_stage", "customers", "share") == [
        (None, "b", 1, 1.0)
    ]
    assert rows(found.time_to_stage, "reached", "median_days") == [(0, None), (1, 0.0), (0, None)]
    assert (found.unit, len(found.repeat), len(found.cohorts)) == ("week", 0, 0)


@pytest.mark.parametrize(
    ("ways", "orders", "customers", "first", "message"),
    [
        (WAYS, ORDERS, 4, [0, 0, 0], "there are 4 customers, but 3 first events"),
        (WAYS, (), 2, [0, 0], "journeys are of customers 0 to 2, but there are 2"),
        (WAYS[:1], ORDERS, 1, [0], "days are of customers 0 to 1, but there are 1"),
        (WAYS, (), 3, [0, 41, 2], r"1 spells start before .* customer 1, at 1970-02-10\)"),
    ],
)
def test_parts_of_different_logs_are_refused(
    ways: tuple[list[tuple[float, str]], ...],
    orders: tuple[list[tuple[float, float]], ...],
    customers: int,
    first: list[float],
    message: str,
) -> None:
    days: PurchaseDays = bought(*orders)
    found: Journeys = journeys(*ways)
    with pytest.raises(UsageError, match=message):
        flows(found, days, customers, np.array([at(day) for day in first], dtype=np.int64), at(45))

"""All tables together: no future events, files that can be read back, and refused input."""

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
from tests.profiles import examples

PATHS = ([(0, "a"), (9, "b"), (31, "c"), (90, "a")], [(40, "a")], [(2, "a"), (3, "b"), (8, "a")])
ORDERS = ([(9, 10.0), (20, 5.5), (31, 7.0)], [(40, 2.25)], [])


def flows_of(log: Log, unit: str | None = None) -> Flows:
    return flows(log.journeys, log.days, len(log.paths), log.first_events, at(log.as_of), unit)


SHOP = flows_of(Log(PATHS, ORDERS, 45), "month")


@settings(deadline=None, max_examples=examples(40))
@given(logs())
def test_what_happens_from_the_as_of_on_changes_nothing(log: Log) -> None:
    paths = tuple(tuple(spell for spell in path if spell[0] < log.as_of) for path in log.paths)
    known = [c for c, path in enumerate(paths) if path]
    orders = tuple(tuple(order for order in log.orders[c] if order[0] < log.as_of) for c in known)
    past_log = Log(tuple(paths[c] for c in known), orders, log.as_of)
    full, past = flows_of(log), flows_of(past_log)
    assert full.to_json() == past.to_json()
    assert all(table.equals(past.tables()[name]) for name, table in full.tables().items())


def test_the_summary_counts_customers_buyers_and_orders() -> None:
    # the last is not known before the as_of
    summary = flows_of(Log((*PATHS, [(45, "a")]), (*ORDERS, [(45, 1.0)]), 45)).summary
    numbers = (
        summary.customers,
        summary.buyers,
        summary.repeat_buyers,
        summary.orders,
        summary.spend,
    )
    assert numbers == (3, 2, 1, 4, 24.75)
    assert (summary.concentration.of, summary.concentration.buyers_for_80) == ("spend", 1)


def test_without_amounts_there_is_no_money_anywhere() -> None:
    days = bought(*[[(day, 0.0) for day, _ in orders] for orders in ORDERS])
    tables = flows(journeys(*PATHS), days, 3, first_events(*PATHS), at(45), has_amounts=False)
    assert (
        tables.summary.spend,
        tables.summary.concentration.of,
        tables.summary.concentration.total,
    ) == (
        None,
        "orders",
        4,
    )
    assert tables.stock["value"].null_count == len(tables.stock)
    assert tables.cohorts["spend"].null_count == len(tables.cohorts)


def test_json_has_instants_as_iso_and_null_where_there_is_no_number() -> None:
    data = json.loads(json.dumps(SHOP.to_json(), allow_nan=False))
    assert (data["as_of"], data["unit"]) == ("1970-02-15", "month")
    assert data["tables"]["stock"][-1] == {
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
    assert data["tables"]["spells"][-1]["mean_days"] is None
    assert data["tables"]["transitions"][0]["from_stage"] is None


def test_written_tables_can_be_read_back(tmp_path: Path) -> None:
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
    empty = flows_of(Log((), (), 45), "month")
    assert empty.summary.customers == empty.summary.orders == 0
    assert empty.summary.concentration.value_of_best_20 is None
    assert rows(empty.spells, "stage", "spells") == [("a", 0), ("b", 0), ("c", 0)]
    for name, table in empty.tables().items():
        assert table.schema.equals(SHOP.tables()[name].schema), name
        assert len(table) == (3 if name in ("spells", "time_to_stage") else 0)


def test_one_customer_with_one_event() -> None:
    tables = flows_of(Log(([(40, "b")],), ([],), 45))
    # 10 February is a Tuesday
    assert rows(tables.stock, "stage", "customers", "entries") == [
        ("a", 0, 0),
        ("b", 1, 1),
        ("c", 0, 0),
    ]
    assert rows(tables.transitions, "from_stage", "to_stage", "customers", "share") == [
        (None, "b", 1, 1.0)
    ]
    assert rows(tables.time_to_stage, "reached", "median_days") == [(0, None), (1, 0.0), (0, None)]
    assert (tables.unit, len(tables.repeat), len(tables.cohorts)) == ("week", 0, 0)


@pytest.mark.parametrize(
    ("paths", "orders", "customers", "first", "message"),
    [
        (PATHS, ORDERS, 4, [0, 0, 0], "there are 4 customers, but 3 first events"),
        (PATHS, (), 2, [0, 0], "journeys are of customers 0 to 2, but there are 2"),
        (PATHS[:1], ORDERS, 1, [0], "days are of customers 0 to 1, but there are 1"),
        (PATHS, (), 3, [0, 41, 2], r"1 spells start before .* customer 1, at 1970-02-10\)"),
    ],
)
def test_parts_of_different_logs_are_refused(
    paths: tuple[list[tuple[float, str]], ...],
    orders: tuple[list[tuple[float, float]], ...],
    customers: int,
    first: list[float],
    message: str,
) -> None:
    days: PurchaseDays = bought(*orders)
    spells: Journeys = journeys(*paths)
    with pytest.raises(UsageError, match=message):
        flows(spells, days, customers, np.array([at(day) for day in first], dtype=np.int64), at(45))

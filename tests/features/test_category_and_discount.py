"""Category, discount and customer number of events, from every source into the table ``events``."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import (
    EventLog,
    EventMapping,
    ReadOptions,
    from_frame,
    read_events,
    read_tables,
)
from stagecast.features.intake.tables import parse_tables

ROWS = {
    "customer_id": ["b", "a", "a", "c"],
    "timestamp": ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"],
    "event": ["purchase", "refund", "visit", "purchase"],
    "amount": ["10", "4", "", "8"],
}
GOODS = {"category": [" Tea", "Tea", "", "Coffee, whole"], "discount": ["2.5", "-1.5", "", "0"]}
READ = [
    ("a", "refund", "Tea", Decimal("1.5"), 0),
    ("a", "visit", None, None, 0),
    ("b", "purchase", "Tea", Decimal("2.5"), 1),
    ("c", "purchase", "Coffee, whole", Decimal(0), 2),
]


def write(path: Path, columns: dict[str, list[str]]) -> Path:
    frame = pd.DataFrame(columns)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
        return path
    for name in {"amount", "discount", "rebate"} & set(frame):
        frame[name] = pd.to_numeric(frame[name])
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path


def rows(log: EventLog) -> list[tuple[Any, ...]]:
    return log.con.execute(
        "SELECT customer_id, event, category, discount, customer FROM events"
    ).fetchall()


def discounts(log: EventLog) -> list[Any]:
    rows = log.con.execute("SELECT discount FROM events").fetchall()
    return [discount for (discount,) in rows]


def discount_frame(values: list[object], **columns: list[object]) -> pd.DataFrame:
    times = [f"2025-01-0{i + 1}" for i in range(len(values))]
    return pd.DataFrame({"customer_id": "a", "timestamp": times, "discount": values, **columns})


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_columns_named_as_the_contract_need_no_mapping(tmp_path: Path, name: str) -> None:
    with read_events(write(tmp_path / name, ROWS | GOODS)) as log:
        assert rows(log) == READ
        assert log.report.columns["category"] == "category"
        assert log.report.columns["discount"] == "discount"


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_other_names_are_mapped(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, ROWS | {"group": GOODS["category"], "rebate": GOODS["discount"]})
    with read_events(path, ReadOptions(EventMapping(category="group", discount="rebate"))) as log:
        assert rows(log) == READ
    with read_events(
        path, ReadOptions(EventMapping(category='upper("group")', discount="rebate * 2"))
    ) as log:
        assert rows(log)[0] == ("a", "refund", "TEA", Decimal(3), 0)
    with read_events(path) as log:
        assert {row[2:4] for row in rows(log)} == {(None, None)}


def test_tables_with_and_without_these_columns_are_one_log(tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", ROWS | {"group": GOODS["category"], "rebate": GOODS["discount"]})
    write(tmp_path / "calls.csv", {"customer_id": ["b"], "timestamp": ["2025-02-01"]})
    text = """
    [[tables]]
    source = "orders.csv"
    category = "group"
    discount = "rebate"
    [[tables]]
    source = "calls.csv"
    event = "'call'"
    """
    tables = parse_tables(tomllib.loads(text)["tables"], ReadOptions(), tmp_path)
    with read_tables(tables) as log:
        assert rows(log) == [*READ[:3], ("b", "call", None, None, 1), READ[3]]
        assert log.report.columns["discount"] == "rebate"


def test_files_of_one_table_must_have_the_same_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", ROWS | GOODS)
    write(tmp_path / "b.csv", ROWS)
    with pytest.raises(
        DataRefusedError, match=r"a\.csv has a column 'category', .*b\.csv has none.*--category"
    ):
        read_events(tmp_path)


def test_a_discount_is_an_exact_magnitude() -> None:
    values: list[object] = ["-12345678901.123456", "1e2", " .5 ", "", None, "-0"]
    with from_frame(discount_frame(values)) as log:
        assert discounts(log) == [
            Decimal("12345678901.123456"),
            Decimal(100),
            Decimal("0.5"),
            None,
            None,
            Decimal(0),
        ]
        assert log.report.rows_rejected == 0


def test_decimal_and_thousands_separators_apply_to_discounts() -> None:
    with from_frame(
        discount_frame(["-1.234,5", "2,25"]), ReadOptions(decimal=",", thousands=".")
    ) as log:
        assert discounts(log) == [Decimal("1234.5"), Decimal("2.25")]


def test_numbers_that_are_not_finite_or_too_large_are_rejected() -> None:
    numbers = pa.array([1.0, float("nan"), float("-inf"), -2e11])
    table = pa.table(
        {"customer_id": ["a"] * 4, "timestamp": ["2025-01-01"] * 4, "discount": numbers}
    )
    with from_frame(table) as log:
        assert log.report.rejected_by_reason == {"unreadable_discount": 3}
        assert {row["column"] for row in log.rejected().to_pylist()} == {"discount"}


def test_the_unreadable_column_is_named_not_the_expression() -> None:
    frame = discount_frame(["", "", ""], price=["10", "ten", "1e300"], percent=["5", "5", "1e10"])
    with from_frame(frame, ReadOptions(EventMapping(discount="price * percent / 100"))) as log:
        assert discounts(log) == [Decimal("0.5")]
        rejected = log.rejected().to_pylist()
    assert [(row["column"], row["value"]) for row in rejected[:1]] == [("price", "ten")]
    assert rejected[1]["column"] == "price * percent / 100"
    assert {row["reason"] for row in rejected} == {"unreadable_discount"}


def test_a_column_that_amount_and_discount_both_read_has_two_reasons() -> None:
    frame = discount_frame(["1", "much"], price=["10", "10"])
    with from_frame(frame, ReadOptions(EventMapping(amount="price - discount"))) as log:
        assert log.con.execute("SELECT amount, discount FROM events").fetchall() == [
            (Decimal(9), Decimal(1))
        ]
        assert log.rejected()["reasons"].to_pylist() == [
            ["unreadable_amount", "unreadable_discount"]
        ]


def test_a_column_that_is_no_discount_can_be_left_out() -> None:
    with from_frame(
        discount_frame(["10%", "20%"]), ReadOptions(EventMapping(discount="NULL"))
    ) as log:
        assert discounts(log) == [None, None]


def test_rates_convert_discounts_as_they_convert_amounts() -> None:
    frame = discount_frame(
        ["-2", "2", "2", "0", "0"],
        amount=["8", "8", "", "", ""],
        event=["purchase", "purchase", "visit", "visit", "visit"],
        currency=["EUR", "USD", "USD", "", "USD"],
    )
    with from_frame(frame, ReadOptions(report_currency="EUR", rates={"USD": 0.5})) as log:
        loaded = log.con.execute("SELECT amount, discount FROM events").fetchall()
        assert log.report.currencies == {"USD": 2, "EUR": 1}
        assert log.report.rows_rejected == 0
    assert loaded == [(8, 2), (4, 1), (None, 1), (None, 0), (None, 0)]


def test_discounts_in_several_currencies_need_rates_even_without_amounts() -> None:
    frame = discount_frame(
        ["", "2"], amount=["8", ""], event=["purchase", "visit"], currency=["EUR", "USD"]
    )
    with pytest.raises(DataRefusedError, match=r"EUR 1, USD 1"):
        from_frame(frame)


def test_rows_that_differ_only_in_these_columns_are_no_duplicates() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": "a",
            "timestamp": "2025-01-01",
            "category": ["x", "y", "x", "x"],
            "discount": ["1", "1", "2", "1"],
        }
    )
    with from_frame(frame) as log:
        assert log.con.execute("SELECT category, discount FROM events").fetchall() == [
            ("x", 1),
            ("x", 2),
            ("y", 1),
        ]
        assert log.report.duplicates == {"same_row": 1}


@pytest.mark.slow
def test_the_number_of_a_customer_is_the_rank_of_the_id() -> None:
    # shuffled, and more customers than fit into a block or row group of DuckDB
    shuffled = np.random.default_rng(5).permutation(300_000)
    ids = [*map(str, shuffled), "", "é", "Z", "z", "10.0", "~"]
    table = pa.table({"customer_id": ids, "timestamp": ["2025-01-01"] * len(ids)})
    with from_frame(pa.concat_tables([table, table]), ReadOptions(duplicates="keep")) as log:
        loaded = log.con.execute("SELECT customer, customer_id FROM events").fetchnumpy()
        assert log.report.customers == 300_005
    distinct_ids = loaded["customer_id"][::2].tolist()
    assert distinct_ids == sorted(distinct_ids, key=str.encode)
    assert loaded["customer"].tolist() == np.repeat(np.arange(300_005), 2).tolist()


def test_float_ids_are_ranked_without_their_decimal_zero() -> None:
    frame = pd.DataFrame({"customer_id": ["2.0", "10.0", "1.0"], "timestamp": "2025-01-01"})
    with from_frame(frame) as log:
        assert [(row[0], row[-1]) for row in rows(log)] == [("1", 0), ("10", 1), ("2", 2)]


def test_rows_are_ordered_by_all_columns_blanks_last() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": "a",
            "timestamp": "2025-01-01",
            "channel": ["w", None, "w", "w", "w"],
            "category": ["y", "x", "x", None, "x"],
            "discount": ["1", "1", None, "1", "1"],
        }
    )
    with from_frame(frame) as log:
        rows_read = log.con.execute("SELECT channel, category, discount FROM events").fetchall()
    assert rows_read == [
        ("w", "x", 1),
        ("w", "x", None),
        ("w", "y", 1),
        ("w", None, 1),
        (None, "x", 1),
    ]

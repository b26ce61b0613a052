"""Columns without a name, such as the index that pandas writes, are read and cannot be mapped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import (
    CustomersTable,
    EventMapping,
    ReadOptions,
    from_frame,
    read_events,
)


def orders(count: int = 5) -> pd.DataFrame:
    days = pd.date_range("2025-01-01", periods=count).strftime("%Y-%m-%d")
    return pd.DataFrame({"customer_id": [f"c{i}" for i in range(count)], "timestamp": days})


def test_an_index_of_pandas_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    orders().to_csv(path)
    with read_events(path) as log:
        assert log.report.rows_loaded == 5


def test_a_column_without_a_name_is_refused_where_it_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    orders().to_csv(path)
    for customer in ("column 1", "upper(\"column 1\") || 'x'"):
        options = ReadOptions(mapping=EventMapping(customer=customer))
        with pytest.raises(DataRefusedError, match="--customer takes column 1, which has no name"):
            read_events(path, options)


def test_frames_and_parquet_behave_alike(tmp_path: Path) -> None:
    frame = orders().rename_axis(None).reset_index().rename(columns={"index": ""})
    frame.to_parquet(tmp_path / "orders.parquet")
    with from_frame(frame) as log, read_events(tmp_path / "orders.parquet") as file_log:
        assert log.report.rows_loaded == file_log.report.rows_loaded == 5
    with pytest.raises(DataRefusedError, match="column 1, which has no name"):
        from_frame(frame, ReadOptions(mapping=EventMapping(customer="column 1")))


def test_two_columns_of_one_name_stay_refused() -> None:
    frame = pd.concat([orders(), orders()[["timestamp"]]], axis=1)
    with pytest.raises(DataRefusedError, match="columns 2 and 3 are both named 'timestamp'"):
        from_frame(frame)


def test_a_column_without_a_name_is_no_attribute_of_customers(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    people = pd.DataFrame({"customer_id": ["c0", "c1"], "plan": ["a", "b"]})
    people.to_csv(path)
    with from_frame(orders(), customers=CustomersTable(str(path))) as log:
        assert log.report.customers_table is not None
        assert list(log.report.customers_table["columns"]) == ["plan"]

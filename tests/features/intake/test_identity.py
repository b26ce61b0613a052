"""Ids that cannot be told apart are refused; ids that may be one are warned of, and kept apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stagecast.features.errors import DataRefusedError
from stagecast.features.events import (
    CustomersTable,
    EventMapping,
    ReadOptions,
    from_frame,
    read_events,
)

FIRST = (1 << 53) - 4


def log_of(ids: object, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"customer_id": ids})
    days = pd.date_range("2025-01-01", periods=len(frame)).strftime("%Y-%m-%d")
    return frame.assign(timestamp=days, **columns)


def test_floats_that_merge_customers_are_refused_with_count_and_example() -> None:
    ids = pd.Series([FIRST + k for k in range(40)], dtype="float64")
    assert ids.nunique() < 40
    with from_frame(log_of(ids)) as log:
        assert log.report.rejected_by_reason == {"inexact_customer": 36}
        assert log.report.customers == 4
        (example, *_) = log.report.rejected_examples["inexact_customer"]["examples"]
        assert example["value"] == "9007199254740992.0"


def test_one_missing_value_among_long_ids_loses_no_customer_silently() -> None:
    ids = [10**17 + k for k in range(40)]
    frame = log_of([*ids, None])
    assert frame["customer_id"].dtype == np.float64
    with pytest.raises(DataRefusedError, match="inexact_customer: 40 rows"):
        from_frame(frame)
    with from_frame(log_of(pd.array([*ids, None], dtype="Int64"))) as log:
        assert log.report.customers == 40


def test_files_that_pandas_wrote_from_floats_are_refused_alike(tmp_path: Path) -> None:
    frame = log_of([10.0**17, 9.1e15, 17850.0, None])
    frame.to_csv(tmp_path / "log.csv", index=False)
    frame.to_parquet(tmp_path / "log.parquet")
    for name in ("log.csv", "log.parquet"):
        with read_events(tmp_path / name) as log:
            assert log.report.rejected_by_reason == {"inexact_customer": 2, "missing_customer": 1}


def test_floats_of_32_bits_end_sooner() -> None:
    table = pa.table(
        {
            "customer_id": pa.array([(1 << 24) - 1, 1 << 24], pa.float32()),
            "timestamp": ["2025-01-01"] * 2,
        }
    )
    with from_frame(table) as log:
        assert log.report.rejected_by_reason == {"inexact_customer": 1}


@pytest.mark.parametrize("text", ["7.41099E+12", "7,41099E+12", "1e+17", "7.410991461E12", "9E+15"])
def test_scientific_notation_is_no_id(text: str) -> None:
    with from_frame(log_of([text, "c1"])) as log:
        assert log.report.rejected_by_reason == {"inexact_customer": 1}


@pytest.mark.parametrize("text", ["12E4", "5e10", "7.5", "1.2.E+3", "E+12", "a7.4E+12", "0012"])
def test_codes_that_only_look_like_it_are_ids(text: str) -> None:
    with from_frame(log_of([text, "c1"])) as log:
        assert log.report.customers == 2


def test_numbers_of_events_are_judged_alike() -> None:
    frame = log_of(["a", "a", "b"], number=[1e17, 1e17 + 16, 5.0])
    options = ReadOptions(mapping=EventMapping(event_id="number"))
    with from_frame(frame, options) as log:
        assert log.report.rejected_by_reason == {"inexact_event_id": 2}
        assert log.report.rows_loaded == 1


def test_a_table_of_customers_is_judged_alike(tmp_path: Path) -> None:
    people = pd.DataFrame({"customer_id": ["7.41099E+12", "c1"], "plan": ["a", "b"]})
    people.to_csv(tmp_path / "text.csv", index=False)
    pd.DataFrame({"customer_id": [1e17, 5.0]}).to_parquet(tmp_path / "floats.parquet")
    for name in ("text.csv", "floats.parquet"):
        with from_frame(log_of(["c1"]), customers=CustomersTable(str(tmp_path / name))) as log:
            table = log.report.customers_table
        assert table is not None
        assert table["rejected"]["inexact_customer"]["rows"] == 1
        assert table["rows_loaded"] == 1


@pytest.mark.parametrize(
    ("ids", "count", "people"),
    [
        (["Ada@x.com", "ada@x.com", "bob@x.com"], 2, 1),
        (["AB 1", "ab1", "ab\u00a01", "c"], 3, 1),
        (["Ä1", "ä1", "B", "b"], 4, 2),
    ],
)
def test_ids_that_differ_in_capitals_or_blanks_only_are_warned_of(
    ids: list[str], count: int, people: int
) -> None:
    with from_frame(log_of(ids)) as log:
        assert log.report.customers == len(ids)
        (warning,) = log.report.warnings
    assert warning.startswith(f"{count} customer ids of 'customer_id' differ")
    assert f"may be {people}" in warning
    assert repr(sorted(ids)[0]) in warning


def test_different_ids_are_not_warned_of() -> None:
    with from_frame(log_of([f"c{k % 150}" for k in range(200)])) as log:
        assert log.report.warnings == []

"""Spark's reader refuses and warns as DuckDB's does, and reads the same forms of ids and times."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from stagecast.features.describe.quality import describe
from stagecast.features.describe.quality.on_spark import warnings_of
from stagecast.features.engines.spark.reading import read
from stagecast.features.errors import DataRefusedError
from stagecast.features.events import ReadOptions, from_frame
from tests.features.test_events import ANNOUNCED, announcements
from tests.spark import needs_spark, quiet_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [needs_spark, *quiet_spark, pytest.mark.slow]


def test_ids_that_stand_for_several_are_rejected(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "log.parquet"
    ids = [17850.0, 7410991461001.0, 2.0**53, 1e17, None]
    frame = pd.DataFrame({"customer_id": ids, "timestamp": "2025-01-15 17:41:00 -0500"})
    frame.to_parquet(folder)
    log = read(spark, [str(folder)], {})
    assert log.counts["rejected_inexact_customer"] == 2
    assert log.counts["rejected_missing_customer"] == 1
    rows = log.events.select("customer_id").collect()
    assert sorted(row["customer_id"] for row in rows) == ["17850", "7410991461001"]
    assert "every customer id" in log.warnings[0]
    assert log.last_event.isoformat() == "2025-01-15T22:41:00+00:00"


def test_scientific_notation_is_no_id(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "log.parquet"
    frame = pd.DataFrame({"customer_id": ["7.41099E+12", "12E4"], "timestamp": "2025-01-15"})
    frame.to_parquet(folder)
    log = read(spark, [str(folder)], {})
    assert log.counts["rejected_inexact_customer"] == 1
    assert log.counts["rows_loaded"] == 1


def test_an_announced_event_moves_the_as_of_as_by_duckdb(
    spark: SparkSession, tmp_path: Path
) -> None:
    folder = tmp_path / "log.parquet"
    pd.DataFrame(ANNOUNCED).to_parquet(folder)
    log = read(spark, [str(folder)], {})
    with from_frame(pd.DataFrame(ANNOUNCED)) as local:
        assert log.choose_as_of(None) == local.choose_as_of()


def test_an_announced_event_is_read_as_by_duckdb(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "log.parquet"
    announcements(datetime.now(UTC)).to_parquet(folder)
    log = read(spark, [str(folder)], {})
    assert log.counts["rejected_future_time"] == 3
    assert log.counts["rows_loaded"] == 5


# customer, time, amount, time at which it became known
ROWS = [
    ("a", "2024-01-05", "10", None),
    ("a", "2024-01-05 12:15:00 -0500", "1e2", "2024-01-06"),
    ("\u00a0b\t", "2024-01-05T12:15:00.250Z", ".5", None),
    ("b", "2024-01-05 12:15 UTC", "-3", None),
    ("b", "2024-01-05 12:15:00+01", "+7.", "soon"),
    *((word, "2024-01-05", "1", None) for word in ("nan", "NULL", "None", "<NA>", " ", "\t", None)),
    ("7.4E+12", "2024-01-05", "1", None),
    ("9007199254740993.0", "2024-01-05", "1", None),
    ("c", None, "1", None),
    ("c", "2024-1-05", "1", None),
    ("c", "2024-13-05", "1", None),
    ("c", "2024", "1", None),
    ("c", "1899-12-30", "1", None),
    ("c", "2150-01-01", "1", None),
    ("c", "2301-01-01", "1", None),
    ("c", "2024-01-05", None, None),
    ("c", "2024-01-05", "1,250.50", None),
    ("c", "2024-01-05", "nan", None),
    ("c", "2024-01-05", "2e11", None),
    ("c", "2024-01-05", "1e300", None),
    ("c", "2024-01-05", "1", "1850-01-01"),
]


@pytest.mark.parametrize("negative", ["refuse", "refund"])
def test_every_row_is_loaded_or_refused_as_by_duckdb(
    spark: SparkSession, tmp_path: Path, negative: str
) -> None:
    columns = ["customer_id", "timestamp", "amount", "recorded_at"]
    frame = pd.DataFrame(ROWS, columns=columns, dtype=object)
    frame.to_parquet(tmp_path / "log.parquet")
    options = ReadOptions(negative_amounts=negative)  # type: ignore[arg-type]
    log = read(spark, [str(tmp_path / "log.parquet")], {}, options)
    with from_frame(frame, options) as local:
        refused = local.report.rejected_by_reason
        query = "select customer_id, epoch_us(timestamp), event, amount from events order by all"
        rows = local.con.execute(query).fetchall()
    assert len(rows) == 3 + (negative == "refund")
    ours = log.events.selectExpr("customer_id", "unix_micros(timestamp) AS t", "event", "amount")
    assert [
        tuple(row) for row in ours.orderBy("customer_id", "t", "event", "amount").collect()
    ] == (rows)
    assert {
        name.removeprefix("rejected_"): count
        for name, count in log.counts.items()
        if name.startswith("rejected_")
    } == refused


def test_numbers_are_no_amounts_if_infinite_and_no_times(
    spark: SparkSession, tmp_path: Path
) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "timestamp": pd.to_datetime(["2024-01-05"] * 3),
            "at": [1704412800123] * 3,
            "amount": [1.5, float("inf"), -float("inf")],
        }
    )
    frame.to_parquet(tmp_path / "log.parquet", coerce_timestamps="us")
    source = [str(tmp_path / "log.parquet")]
    assert read(spark, source, {}).counts["rejected_absurd_amount"] == 2
    with pytest.raises(DataRefusedError, match=r"--time 'timestamp_millis\(at\)'"):
        read(spark, source, {"time": "at"})
    log = read(spark, source, {"time": "timestamp_millis(at)"})
    assert log.last_event.isoformat() == "2024-01-05T00:00:00.123000+00:00"


def test_odd_times_and_amounts_are_warned_of_as_by_duckdb(
    spark: SparkSession, tmp_path: Path
) -> None:
    days = pd.date_range("2024-01-01", "2024-06-30", freq="6h")
    swap = (days.month == 1) & (days.day <= 12)
    times = [
        day.replace(month=day.day, day=1) if moved else day
        for day, moved in zip(days, swap, strict=True)
    ]
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{k % 90}" for k in range(len(days))],
            "timestamp": times,
            "amount": [20.0 + k % 7 for k in range(len(days))],
        }
    )
    frame.loc[frame["timestamp"] >= "2024-06-01", "amount"] *= 50
    frame.loc[5, "amount"] = 22_000.0
    frame.loc[40:43, "timestamp"] = pd.Timestamp("1970-01-20 10:00")
    frame.to_parquet(tmp_path / "log.parquet", coerce_timestamps="us")
    log = read(spark, [str(tmp_path / "log.parquet")], {})
    with from_frame(frame) as local:
        warnings = describe(local.con).warnings
    assert len(warnings) == 4
    assert warnings_of(log.events_in_shop_time()) == warnings

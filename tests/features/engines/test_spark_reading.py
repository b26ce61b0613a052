"""Spark's reader refuses ids that cannot be told apart, and reads the same forms of times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from stagecast.features.engines.spark.reading import read
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
    assert sorted(row["customer_id"] for row in rows) == ["17850.0", "7410991461001.0"]
    assert log.last_event.isoformat() == "2025-01-15T22:41:00+00:00"


def test_scientific_notation_is_no_id(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "log.parquet"
    frame = pd.DataFrame({"customer_id": ["7.41099E+12", "12E4"], "timestamp": "2025-01-15"})
    frame.to_parquet(folder)
    log = read(spark, [str(folder)], {})
    assert log.counts["rejected_inexact_customer"] == 1
    assert log.counts["rows_loaded"] == 1

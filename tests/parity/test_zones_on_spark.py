"""Days of a shop on Spark: reading, features and scores against DuckDB and the oracle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.standard import standard
from stagecast.features.clock import parse_shop_time
from stagecast.features.engines.spark.reading import SparkLog, read
from stagecast.features.engines.spark.table import SparkTable
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.shop.clock import clock_named
from tests.parity.evaluators import check
from tests.parity.test_spark import on_spark
from tests.parity.test_zones import DAYS, ZONES, midnight, on_the_wall, zoned_logs
from tests.profiles import examples
from tests.spark import needs_spark, quiet_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [needs_spark, *quiet_spark, pytest.mark.slow]


@pytest.mark.parametrize(
    "zone", [ZONES[0], *(pytest.param(zone, marks=pytest.mark.long) for zone in ZONES[1:3])]
)
@settings(
    max_examples=examples(3),
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_every_feature_agrees_with_the_oracle_on_the_wall(
    spark: SparkSession, zone: str, data: st.DataObject
) -> None:
    customers = data.draw(zoned_logs(zone, late=True))
    day = data.draw(st.sampled_from(DAYS))
    catalog = standard(90).with_parameters(shop_gap_days=7.25)
    events = on_spark(spark, customers)
    log = SparkLog(events, events, {}, datetime(2024, 1, 1, tzinfo=UTC), clock=clock_named(zone))
    as_of = log.choose_as_of(midnight(day, zone))
    table = SparkTable(spark, log.events_in_shop_time(), as_of)
    null = float("nan")
    rows = {
        (row["customer"], row["back"]): {
            n: null if row[n] is None else float(row[n]) for n in catalog.names
        }
        for row in table.features(catalog, [0, 30]).collect()
    }
    table.close()
    wall_midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    check(rows, on_the_wall(customers, zone), wall_midnight, 90, [0, 30], 7.25)


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "+05:30"])
def test_local_times_are_read_as_duckdb_reads_them(
    spark: SparkSession, zone: str, as_text: bool, tmp_path: Path
) -> None:
    texts = [
        "2024-01-05T12:15:00",
        "2024-01-05T19:40:00",
        "2024-07-05T23:59:59",
        "2024-11-03T01:30",
    ]
    times = pd.Series(texts) if as_text else pd.to_datetime(pd.Series(texts), format="ISO8601")
    frame = pd.DataFrame({"customer_id": ["a", "a", "b", "c"], "timestamp": times})
    frame.to_parquet(tmp_path / "events.parquet", coerce_timestamps="us")
    log = read(spark, [str(tmp_path / "events.parquet")], {}, ReadOptions(zone=zone))
    ours = [
        row[0]
        for row in log.events.orderBy("timestamp").selectExpr("unix_micros(timestamp)").collect()
    ]
    with from_frame(frame, ReadOptions(zone=zone)) as local:
        rows = local.con.execute("select epoch_us(timestamp) from events order by 1").fetchall()
        assert ours == [row[0] for row in rows]
        assert log.choose_as_of(None) == local.choose_as_of()
        as_of = parse_shop_time("2024-02-01")
        assert log.choose_as_of(as_of) == local.choose_as_of(as_of)
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    if zone.startswith("America"):
        instant = log.clock.instant(log.choose_as_of(as_of))
        assert instant == datetime(2024, 2, 1, tzinfo=ZoneInfo(zone))

"""Spark compared with DuckDB, NumPy and the oracle, on logs of many customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.shop_gap import mean_gaps, shop_gap_days
from stagecast.features.engines.spark.attributes import read_attributes
from stagecast.features.engines.spark.reading import SparkLog
from stagecast.features.engines.spark.table import SparkTable
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import ReadOptions
from stagecast.features.requests import Event
from tests.parity.evaluators import Rows, check, check_attributes
from tests.parity.logs import (
    Attributes,
    Customers,
    as_ofs,
    attribute_tables,
    customers_table,
    event_log,
    logs,
    utc,
)
from tests.parity.test_customer import CATALOG, FEATURES
from tests.profiles import examples
from tests.spark import needs_spark, quiet_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [needs_spark, *quiet_spark, pytest.mark.slow]
# a job takes seconds: few examples with many customers, and no shrinking
FEW_EXAMPLES = settings(
    max_examples=examples(3),
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def on_spark(spark: SparkSession, customers: Customers) -> DataFrame:
    """Return the events as the reader does, on Spark."""
    with event_log(customers) as log:
        events = log.con.sql("select * exclude (customer) from events").to_arrow_table()
    frame = spark.createDataFrame(events)
    times = {name: f"cast({name} as timestamp) as {name}" for name in ("timestamp", "recorded_at")}
    return frame.selectExpr(
        *(times.get(name, name) for name in frame.columns), "customer_id as customer"
    )


def by_spark(
    spark: SparkSession,
    customers: Customers,
    as_of: datetime,
    backs: Sequence[int],
    catalog: Catalog,
    attributes: Attributes | None = None,
) -> Rows:
    """Evaluate with a daily table on Spark."""
    events = on_spark(spark, customers)
    spark_attributes = None
    if attributes is not None:
        with customers_table(attributes) as table_of_customers:
            spark_attributes = read_attributes(
                SparkLog(events, events, {}, as_of), table_of_customers, ReadOptions()
            )
    table = SparkTable(spark, events, as_of, spark_attributes)
    rows = table.features(catalog, backs).collect()
    table.close()
    null = float("nan")
    return {
        (row["customer"], row["back"]): {
            n: null if row[n] is None else float(row[n]) for n in catalog.names
        }
        for row in rows
    }


@FEW_EXAMPLES
@given(data=st.data())
def test_every_feature_agrees_with_the_oracle(spark: SparkSession, data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of, max_customers=25))
    backs = data.draw(st.sampled_from([[0], [0, 30, 365]]))
    catalog = standard(90).with_parameters(shop_gap_days=7.25)
    check(by_spark(spark, customers, as_of, backs, catalog), customers, as_of, 90, backs, 7.25)


@FEW_EXAMPLES
@given(data=st.data())
def test_attributes_agree_with_the_oracle(spark: SparkSession, data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers, backs = data.draw(logs(as_of, max_customers=25)), [0, 30]
    attributes = data.draw(attribute_tables(customers))
    rows = by_spark(spark, customers, as_of, backs, CATALOG, attributes)
    check_attributes(rows, customers, attributes, as_of, backs, FEATURES)


def test_attributes_without_a_table_are_refused(spark: SparkSession) -> None:
    customers = {"a": (Event(utc("2020-01-01"), "visit"),)}
    with pytest.raises(
        UsageError, match="asks for 'acquisition_cost' of the customer: name the table of customers"
    ):
        by_spark(spark, customers, utc("2021-01-01"), [0], CATALOG)


def test_a_log_without_events_before_the_as_of_is_refused(spark: SparkSession) -> None:
    events = on_spark(spark, {"a": (Event(utc("2020-01-01"), "visit"),)})
    with pytest.raises(NotEnoughDataError, match="no event stands before the as_of"):
        SparkTable(spark, events, utc("2019-01-01"))


@FEW_EXAMPLES
@given(data=st.data())
def test_the_shops_gap_is_that_of_duckdb(spark: SparkSession, data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of, max_customers=25))
    with event_log(customers) as log:
        expected = shop_gap_days([mean_gaps(DailyTable(log.con, as_of).purchase_days())])
    table = SparkTable(spark, on_spark(spark, customers), as_of)
    assert np.isclose(table.shop_gap_days(), expected, rtol=1e-12)
    table.close()

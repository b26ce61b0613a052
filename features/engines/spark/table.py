"""Spark engine, for logs too large for one machine: DuckDB's SQL over a DataFrame of events.

    Parquet, Delta, Hive table -> :mod:`stagecast.features.engines.spark.reading`
        -> :class:`SparkTable` -> features

Needs ``pip install stagecast[spark]`` and Java 17. Importing this module does not import pyspark.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import attribute_features, check_table
from stagecast.features.clock import iso, microseconds
from stagecast.features.engines import sql
from stagecast.features.errors import NotEnoughDataError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from stagecast.features.engines.spark.attributes import SparkAttributes

DIALECT = "spark"
HAPPENED = "unix_micros(timestamp)"
RECORDED = "unix_micros(coalesce(recorded_at, timestamp))"
KNOWN = "unix_micros(greatest(timestamp, coalesce(recorded_at, timestamp)))"
INSTALL = "pip install 'stagecast[spark]'"


def session(master: str = "local[*]", settings: Mapping[str, str] | None = None) -> SparkSession:
    """Return a Spark session with UTC as its time zone.

    Parameters
    ----------
    master
        ``local[*]``, ``spark://host:7077``, ``yarn``, ``k8s://...``.
    settings
        Further settings of Spark, name -> value.

    Raises
    ------
    UsageError
        PySpark or Java is not installed, or the master cannot be reached.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError(f"--engine spark needs PySpark: {INSTALL}") from None
    all_settings = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        **(settings or {}),
    }
    builder = SparkSession.builder.master(master).appName("stagecast")
    for name, value in all_settings.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        java_hint = (
            "; it needs Java 17 or newer: install it, or set JAVA_HOME"
            if "JAVA" in reason.upper()
            else ""
        )
        raise UsageError(f"--master {master}: Spark does not start ({reason}){java_hint}") from None
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.sparkContext.setLogLevel("ERROR")
    # Spark's default: no interpreter was configured, so use the one that has stagecast installed
    if spark.sparkContext.pythonExec == "python3":
        spark.sparkContext.pythonExec = sys.executable
    return spark


def spark_error(error: Exception) -> UsageError:
    """Return the :class:`UsageError` for an error of Spark or Java.

    Its message has the last line that names an error, else the last line.

    Parameters
    ----------
    error
        Error raised by PySpark.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    error_lines = [line for line in lines if re.match(r"[A-Za-z_.]*(Error|Exception): ", line)]
    message = (error_lines or lines or [type(error).__name__])[-1]
    return UsageError(f"Spark stopped: {message[:500]}")


def clock(anchor: int) -> sql.Clock:
    """Return Spark's expressions of time for an as_of, microseconds since 1970.

    Parameters
    ----------
    anchor
        The as_of, microseconds since 1970, UTC.
    """
    return sql.Clock(HAPPENED, KNOWN, "unix_date(to_date(timestamp))", "hour(timestamp)", anchor)


class SparkTable:
    """State of a log at one as_of (the anchor), on Spark.

    The counterpart of :class:`stagecast.features.engines.duckdb.DailyTable`.

    Parameters
    ----------
    spark
        Session of ``events``.
    events
        Events with the columns of the event contract, and ``customer``; see :class:`SparkLog`.
    anchor
        The as_of.
    attributes
        Attributes of the customers; None: the log has no table of customers.

    Raises
    ------
    NotEnoughDataError
        No event was known before the anchor.
    """

    def __init__(
        self,
        spark: SparkSession,
        events: DataFrame,
        anchor: datetime,
        attributes: SparkAttributes | None = None,
    ) -> None:
        self._spark, self._attributes = spark, attributes
        self.anchor, self._at = anchor, microseconds(anchor)
        known_events = events.filter(f"{KNOWN} < {self._at}")
        known_events.createOrReplaceTempView("known_events")
        rows = [row.asDict() for row in self._sql(sql.shape_query("known_events")).collect()]
        if not rows:
            raise NotEnoughDataError(
                f"no event stands before the as_of {iso(anchor)}; choose a later --as-of"
            )
        self.shape = sql.shape_of(
            rows,
            lambda: float(self._sql(sql.largest_sum_query("known_events")).collect()[0][0]),
            self._at,
        )
        self._persisted: list[DataFrame] = []
        self._tables: dict[str, sql.Step] = {}
        self._create(sql.daily_step(clock(self._at), "known_events", self.shape))

    def _sql(self, text: str) -> DataFrame:
        return self._spark.sql(sql.render([sql.Step("query", text)], DIALECT))

    def _create(self, step: sql.Step) -> None:
        from pyspark.sql.functions import broadcast

        table = self._spark.sql(sql.render([step], DIALECT)).persist()
        # attributes come from the driver and are small compared with the events
        (broadcast(table) if step.name == "told" else table).createOrReplaceTempView(step.name)
        self._persisted.append(table)
        self._tables[step.name] = step

    def close(self) -> None:
        """Free the memory of the tables."""
        for table in self._persisted:
            table.unpersist()

    def shop_gap_days(self) -> float:
        """Return the median of the customers' mean gaps between purchase days, in days.

        Falls back as :func:`stagecast.features.engines.shop_gap.shop_gap_days` does.
        """
        from stagecast.features.engines.shop_gap import FALLBACK_GAP_DAYS, FEWEST_GAPS

        gaps = self._spark.sql(
            sql.render(
                [
                    *sql.purchase_day_steps("known < 0", self.shape),
                    sql.Step(
                        "spans",
                        "select customer, max(day) - min(day) as span, count(*) - 1 as gaps"
                        " from purchase_days group by 1",
                    ),
                    sql.Step(
                        "means",
                        (
                            "select cast(span as double) / gaps as mean, gaps from spans "
                            "where gaps > 0"
                        ),
                    ),
                    sql.Step("shop", "select sum(gaps) as gaps, median(mean) as middle from means"),
                ],
                DIALECT,
            )
        ).collect()[0]
        return FALLBACK_GAP_DAYS if (gaps["gaps"] or 0) < FEWEST_GAPS else float(gaps["middle"])

    def features(self, catalog: Catalog, backs: Sequence[int]) -> DataFrame:
        """Return every feature of a catalogue, one row per customer and date, in no defined order.

        Parameters
        ----------
        catalog
            With its parameters set.
        backs
            The dates as whole days before the anchor.

        Returns
        -------
        DataFrame
            Columns ``customer``, ``back`` and the features.

        Raises
        ------
        UsageError
            The catalogue uses attributes that the table of customers does not have.
        """
        if attribute_features(catalog):
            check_table(catalog, None if self._attributes is None else self._attributes.kinds)
        if self._attributes is not None:
            self._attributes.rows.createOrReplaceTempView("known_at_start")
        for step in sql.side_table_steps(catalog, clock(self._at), "known_events", self.shape):
            if self._tables.get(step.name) != step:
                self._create(step)
        return self._spark.sql(
            sql.render(sql.snapshot_steps(catalog, self._at, backs, self.shape), DIALECT)
        )

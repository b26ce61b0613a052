"""Spark as the engine, for logs that outgrow one machine: the same SQL as DuckDB's, on a DataFrame
of events.

    Parquet, Delta, Hive table -> :mod:`stagecast.features.engines.spark.reading`
        -> :class:`SparkTable` -> features

Needs ``pip install stagecast[spark]`` and Java 17. Nothing is imported from pyspark before it is
used.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import check_table, of_customer
from stagecast.features.clock import iso, microseconds
from stagecast.features.engines import sql
from stagecast.features.errors import NotEnoughDataError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from stagecast.features.engines.spark.attributes import SparkAttributes

DIALECT = "spark"
HAPPENED = "unix_micros(timestamp)"
KNOWN = "unix_micros(greatest(timestamp, coalesce(recorded_at, timestamp)))"
INSTALL = "pip install 'stagecast[spark]'"


def session(master: str = "local[*]", settings: Mapping[str, str] | None = None) -> SparkSession:
    """Return a Spark session that reckons in UTC.

    Parameters
    ----------
    master
        ``local[*]``, ``spark://host:7077``, ``yarn``, ``k8s://...``.
    settings
        Further settings of Spark, by name.

    Raises
    ------
    UsageError
        PySpark or Java is not there, or the master cannot be reached.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise UsageError(f"--engine spark needs PySpark: {INSTALL}") from None
    chosen = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        **(settings or {}),
    }
    builder = SparkSession.builder.master(master).appName("stagecast")
    for name, value in chosen.items():
        builder = builder.config(name, value)
    try:
        found = builder.getOrCreate()
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        java = (
            "; it needs Java 17 or newer: install it, or set JAVA_HOME"
            if "JAVA" in reason.upper()
            else ""
        )
        raise UsageError(f"--master {master}: Spark does not start ({reason}){java}") from None
    found.conf.set("spark.sql.session.timeZone", "UTC")
    found.sparkContext.setLogLevel("ERROR")
    if (
        found.sparkContext.pythonExec == "python3"
    ):  # nobody said which: the one that has stagecast in it
        found.sparkContext.pythonExec = sys.executable
    return found


def explained(error: Exception) -> UsageError:
    """Return an error of Spark or of the Java below it as ours: its first line, and what a task
    said last.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if re.match(r"[A-Za-z_.]*(Error|Exception): ", line)]
    return UsageError(f"Spark stopped: {(said or lines or [type(error).__name__])[-1][:500]}")


def clock(anchor: int) -> sql.Clock:
    """Return Spark's expressions of time for an as_of in microseconds since 1970."""
    return sql.Clock(HAPPENED, KNOWN, "unix_date(to_date(timestamp))", "hour(timestamp)", anchor)


class SparkTable:
    """What was known of each customer before one instant, on Spark; see
    :class:`stagecast.features.engines.duckdb.DailyTable`.

    Parameters
    ----------
    spark
        The session that ``events`` belongs to.
    events
        With the columns of the event contract, and ``customer``; see :class:`SparkLog`.
    anchor
        The as_of.
    attributes
        Of the customers; None: the log came without.

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
        known = events.filter(f"{KNOWN} < {self._at}")
        known.createOrReplaceTempView("known_events")
        rows = [row.asDict() for row in self._sql(sql.looked_at("known_events")).collect()]
        if not rows:
            raise NotEnoughDataError(
                f"no event stands before the as_of {iso(anchor)}; choose a later --as-of"
            )
        self.shape = sql.shape_of(
            rows,
            lambda: float(self._sql(sql.most_of_one("known_events")).collect()[0][0]),
            self._at,
        )
        self._kept: list[DataFrame] = []
        self._made: dict[str, sql.Step] = {}
        self._make(sql.daily(clock(self._at), "known_events", self.shape))

    def _sql(self, text: str) -> DataFrame:
        return self._spark.sql(sql.render([sql.Step("asked", text)], DIALECT))

    def _make(self, step: sql.Step) -> None:
        from pyspark.sql.functions import broadcast

        table = self._spark.sql(sql.render([step], DIALECT)).persist()
        # attributes came from the driver, and are small beside the events
        (broadcast(table) if step.name == "told" else table).createOrReplaceTempView(step.name)
        self._kept.append(table)
        self._made[step.name] = step

    def close(self) -> None:
        """Give the tables' memory back."""
        for table in self._kept:
            table.unpersist()

    def shop_gap_days(self) -> float:
        """Return the median over customers of their mean gap between purchase days, or what
        stands in for it.
        """
        from stagecast.features.engines.shop_gap import FALLBACK_GAP_DAYS, FEWEST_GAPS

        gaps = self._spark.sql(
            sql.render(
                [
                    *sql.purchase_days("known < 0", self.shape),
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
        """Return ``customer``, ``back`` and every feature, one row per customer and date, in no
        order.

        Raises
        ------
        UsageError
            It asks for attributes that the table of customers has not.
        """
        if of_customer(catalog):
            check_table(catalog, None if self._attributes is None else self._attributes.kinds)
        if self._attributes is not None:
            self._attributes.rows.createOrReplaceTempView("known_at_start")
        for step in sql.tables_beside(catalog, clock(self._at), "known_events", self.shape):
            if self._made.get(step.name) != step:
                self._make(step)
        return self._spark.sql(
            sql.render(sql.snapshot(catalog, self._at, backs, self.shape), DIALECT)
        )

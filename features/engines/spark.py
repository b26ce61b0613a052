"""Spark as the engine, for logs that outgrow one machine: the same SQL as DuckDB's, on a DataFrame of events.

    Parquet, Delta, Hive table -> :func:`read` -> :class:`SparkLog` -> :class:`SparkTable` -> features

Needs ``pip install stagecast[spark]`` and Java 17. Nothing is imported from pyspark before it is used.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features import sql
from features.catalog import Catalog
from features.clock import from_microseconds, iso, microseconds
from features.errors import DataRefusedError, NotEnoughDataError, UsageError, did_you_mean

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

DIALECT = "spark"
HAPPENED = "unix_micros(timestamp)"
KNOWN = "unix_micros(greatest(timestamp, coalesce(recorded_at, timestamp)))"
INSTALL = "pip install 'stagecast[spark]'"

# column of the event contract -> its Spark type
_COLUMNS = {
    "customer_id": "string",
    "timestamp": "timestamp",
    "event": "string",
    "amount": "decimal(18,6)",
    "channel": "string",
    "recorded_at": "timestamp",
    "category": "string",
    "discount": "decimal(18,6)",
}
_OPTIONS = {"customer_id": "customer", "timestamp": "time"}


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
        java = "; it needs Java 17 or newer: install it, or set JAVA_HOME" if "JAVA" in reason.upper() else ""
        raise UsageError(f"--master {master}: Spark does not start ({reason}){java}") from None
    found.conf.set("spark.sql.session.timeZone", "UTC")
    found.sparkContext.setLogLevel("ERROR")
    if found.sparkContext.pythonExec == "python3":  # nobody said which: the one that has stagecast in it
        found.sparkContext.pythonExec = sys.executable
    return found


def explained(error: Exception) -> UsageError:
    """Return an error of Spark or of the Java below it as ours: its first line, and what a task said last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if re.match(r"[A-Za-z_.]*(Error|Exception): ", line)]
    return UsageError(f"Spark stopped: {(said or lines or [type(error).__name__])[-1][:500]}")


def clock(anchor: int) -> sql.Clock:
    """Return Spark's expressions of time for an as_of in microseconds since 1970."""
    return sql.Clock(HAPPENED, KNOWN, "unix_date(to_date(timestamp))", "hour(timestamp)", anchor)


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SparkLog:
    """A log of events on Spark, checked.

    ``events`` has the columns of the event contract and ``customer`` (the id again, which the SQL groups by);
    ``rejected`` the rows that were refused, as they came, and ``reason``.
    """

    events: DataFrame
    rejected: DataFrame
    counts: Mapping[str, int]
    last_event: datetime

    def choose_as_of(self, as_of: datetime | None) -> datetime:
        """Return the as_of that was asked for, or the midnight UTC after the last event."""
        from features.clock import day_after

        return day_after(self.last_event) if as_of is None else as_of


def read(
    spark: SparkSession, sources: Sequence[str], mapping: Mapping[str, str | None], *, duplicates: str = "drop"
) -> SparkLog:
    """Read events from Parquet or Delta folders, or Hive tables.

    Parameters
    ----------
    sources
        Paths (``s3a://...``, ``hdfs://...``, local) of Parquet or Delta, or names of tables as ``table:shop.orders``.
    mapping
        Option of the command line -> column of the source, or an expression of Spark SQL; None: the contract's own
        name, if it is there.
    duplicates
        ``drop`` or ``keep`` rows that are the same in every column.

    Raises
    ------
    UsageError, DataRefusedError
        A source that is not there, a missing column, or not one sound row.
    """
    from pyspark.sql import functions as sf

    frames = [_open(spark, source) for source in sources]
    rows = frames[0]
    for other in frames[1:]:
        rows = rows.unionByName(other, allowMissingColumns=True)
    rows_in = rows.count()
    if duplicates == "drop":
        rows = rows.dropDuplicates()
    parts = _parts(rows, mapping)
    typed = rows.select(sf.struct("*").alias("raw"), *(part.alias(name) for name, part in parts.items()))
    checked = typed.withColumn("reason", _reason("amount" in _given(rows, mapping))).persist()
    by_reason = {row["reason"]: row["count"] for row in checked.groupBy("reason").count().collect()}
    loaded = by_reason.pop(None, 0)
    counts = {
        "rows_in": rows_in,
        "rows_loaded": loaded,
        "rows_rejected": sum(by_reason.values()),
        "rows_duplicate": rows_in - loaded - sum(by_reason.values()),
        **{f"rejected_{name}": count for name, count in sorted(by_reason.items())},
    }
    if not loaded:
        raise DataRefusedError(f"{', '.join(sources[:3])}: not one sound row of {rows_in:,} ({by_reason})")
    sound = checked.filter("reason is null").select(*_COLUMNS, sf.col("customer_id").alias("customer"))
    last = sound.agg(sf.max(sf.expr("unix_micros(timestamp)"))).collect()[0][0]
    refused = checked.filter("reason is not null").select("reason", "raw.*")
    return SparkLog(sound, refused, counts, from_microseconds(int(last)))


def _open(spark: SparkSession, source: str) -> DataFrame:
    if source.startswith("table:"):
        return _explained(source, lambda: spark.table(source.removeprefix("table:")))
    if source.lower().endswith((".csv", ".csv.gz", ".gz", ".zst")):
        raise UsageError(f"{source}: --engine spark reads Parquet, Delta and tables; write the log as Parquet first")
    kind = "delta" if (Path(source) / "_delta_log").is_dir() else "parquet"
    return _explained(source, lambda: spark.read.format(kind).load(source))


def _explained(source: str, opened: Any) -> DataFrame:
    try:
        found: DataFrame = opened()
        return found
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        hint = next((hint for sign, hint in _HINTS.items() if sign in reason), "")
        raise UsageError(f"{source} cannot be read by Spark: {reason[:300]}{hint}") from None


_HINTS = {
    "DATA_SOURCE_NOT_FOUND": "; Delta needs its package, such as --spark-conf spark.jars.packages=io.delta:...",
    "TIMESTAMP(NANOS": "; write the times in microseconds (pandas: to_parquet(..., coerce_timestamps='us'))",
}


def _given(rows: DataFrame, mapping: Mapping[str, str | None]) -> dict[str, str]:
    """Return which column or expression each column of the contract is taken from."""
    found = {}
    for name in _COLUMNS:
        option = _OPTIONS.get(name, name)
        wanted = mapping.get(option)
        if wanted is not None:
            found[name] = wanted
        elif name in rows.columns:
            found[name] = f"`{name}`"
    for name in ("customer_id", "timestamp"):
        if name not in found:
            option = _OPTIONS[name]
            raise DataRefusedError(
                f"no column '{name}' among {', '.join(rows.columns)}; name it with --{option} COL."
                f"{did_you_mean(name, rows.columns)}"
            )
    return found


def _parts(rows: DataFrame, mapping: Mapping[str, str | None]) -> dict[str, Column]:
    from pyspark.sql import functions as sf

    given = _given(rows, mapping)
    parts = {}
    for name, kind in _COLUMNS.items():
        if name not in given:
            parts[name] = sf.lit("purchase" if name == "event" else None).cast(kind)
            continue
        expression = f"try_cast(({given[name]}) as {kind})"
        if kind == "string":
            expression = f"nullif(trim(cast(({given[name]}) as string)), '')"
        if name == "event":
            expression = f"lower({expression})"
        elif name == "discount":
            expression = f"abs({expression})"
        parts[name] = sf.expr(expression)
    if "event" in given:
        amount = sf.when(parts["event"] == "refund", sf.abs(parts["amount"])).otherwise(parts["amount"])
        parts["amount"] = amount.cast(_COLUMNS["amount"])
    return parts


def _reason(has_amounts: bool) -> Column:
    from pyspark.sql import functions as sf

    found = (
        sf.when(sf.col("customer_id").isNull(), "missing_customer")
        .when(sf.col("timestamp").isNull(), "unreadable_time")
        .when(sf.col("event").isNull(), "missing_event")
        .when((sf.col("event") == "purchase") & (sf.col("amount") < 0), "negative_amount")
    )
    if has_amounts:
        found = found.when((sf.col("event") == "purchase") & sf.col("amount").isNull(), "missing_amount")
    return found


# --- features -------------------------------------------------------------------------------------------------------


class SparkTable:
    """What was known of each customer before one instant, on Spark; see :class:`features.engines.duckdb.DailyTable`.

    Parameters
    ----------
    spark
        The session that ``events`` belongs to.
    events
        With the columns of the event contract, and ``customer``; see :class:`SparkLog`.
    anchor
        The as_of.

    Raises
    ------
    NotEnoughDataError
        No event was known before the anchor.
    """

    def __init__(self, spark: SparkSession, events: DataFrame, anchor: datetime) -> None:
        self._spark = spark
        self.anchor, self._at = anchor, microseconds(anchor)
        known = events.filter(f"{KNOWN} < {self._at}")
        known.createOrReplaceTempView("known_events")
        rows = [row.asDict() for row in self._sql(sql.looked_at("known_events")).collect()]
        if not rows:
            raise NotEnoughDataError(f"no event stands before the as_of {iso(anchor)}; choose a later --as-of")
        self.shape = sql.shape_of(
            rows, lambda: float(self._sql(sql.most_of_one("known_events")).collect()[0][0]), self._at
        )
        self._kept: list[DataFrame] = []
        self._make(sql.daily(clock(self._at), "known_events", self.shape))

    def _sql(self, text: str) -> DataFrame:
        return self._spark.sql(sql.render([sql.Step("asked", text)], DIALECT))

    def _make(self, step: sql.Step) -> None:
        table = self._spark.sql(sql.render([step], DIALECT)).persist()
        table.createOrReplaceTempView(step.name)
        self._kept.append(table)

    def close(self) -> None:
        """Give the tables' memory back."""
        for table in self._kept:
            table.unpersist()

    def shop_gap_days(self) -> float:
        """Return the median over customers of their mean gap between purchase days, or what stands in for it."""
        from features.thresholds import FALLBACK_GAP_DAYS, FEWEST_GAPS

        gaps = self._spark.sql(
            sql.render(
                [
                    *sql.purchase_days("known < 0", self.shape),
                    sql.Step(
                        "spans",
                        "select customer, max(day) - min(day) as span, count(*) - 1 as gaps"
                        " from purchase_days group by 1",
                    ),
                    sql.Step("means", "select cast(span as double) / gaps as mean, gaps from spans where gaps > 0"),
                    sql.Step("shop", "select sum(gaps) as gaps, median(mean) as middle from means"),
                ],
                DIALECT,
            )
        ).collect()[0]
        return FALLBACK_GAP_DAYS if (gaps["gaps"] or 0) < FEWEST_GAPS else float(gaps["middle"])

    def features(self, catalog: Catalog, backs: Sequence[int]) -> DataFrame:
        """Return ``customer``, ``back`` and every feature, one row per customer and date, in no order."""
        for wanted, step in (
            (sql.typed_events(catalog, self.shape), sql.typed),
            (sql.valued_columns(catalog, self.shape), sql.valued),
        ):
            if wanted:
                self._make(step(clock(self._at), wanted, "known_events", self.shape))
        return self._spark.sql(sql.render(sql.snapshot(catalog, self._at, backs, self.shape), DIALECT))

"""Reads events on Spark from Parquet, Delta or a table, and splits off rejected rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.clock import day_after, from_microseconds
from stagecast.features.engines.spark.columns import (
    COLUMNS,
    kinds_of,
    source_expressions,
    typed_columns,
)
from stagecast.features.engines.spark.rules import rejection_reason
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.intake.identity import FLOAT_ID, float_ids_warning
from stagecast.features.intake.options import ReadOptions
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock, clock_named
from stagecast.features.shop.events import LAST_HAPPENED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


@dataclass(frozen=True)
class SparkLog:
    """A checked log of events on Spark.

    Parameters
    ----------
    events
        Accepted rows: the columns of the event contract, and ``customer`` (a copy of the id, by
        which the SQL groups).
    rejected
        Rejected rows with the columns of the source, and ``reason``.
    counts
        Numbers of rows read, loaded, rejected, rejected by reason, and dropped as duplicates.
    last_event
        Time of the last event.
    has_amounts
        Whether the log has amounts.
    clock
        Clock of the shop, whose days are counted.
    warnings
        Sentences about the ids of customers.
    """

    events: DataFrame
    rejected: DataFrame
    counts: Mapping[str, int]
    last_event: datetime
    has_amounts: bool = True
    clock: ShopClock = UTC_CLOCK
    warnings: tuple[str, ...] = ()

    def choose_as_of(self, as_of: datetime | None) -> datetime:
        """Return the given as_of, or the midnight after the last event that had happened.

        It is in shop time; :meth:`stagecast.features.events.EventLog.choose_as_of` says more.
        """
        if as_of is not None:
            return self.clock.shop(as_of)
        from pyspark.sql import functions as sf

        last = sf.expr(f"unix_micros({LAST_HAPPENED})")
        ((microseconds,),) = self.events.agg(last).collect()
        return day_after(self.clock.shop(from_microseconds(microseconds)))

    def events_in_shop_time(self) -> DataFrame:
        """Return the events with their times in shop time, see :mod:`stagecast.features.shop`."""
        if self.clock.is_utc:
            return self.events
        from pyspark.sql import functions as sf

        times = [f"unix_micros({name})" for name in ("timestamp", "recorded_at")]
        first, last = self.events.agg(
            sf.expr(f"least(min({times[0]}), min({times[1]}))"),
            sf.expr(f"greatest(max({times[0]}), max({times[1]}))"),
        ).collect()[0]
        shop = [self.clock.sql(micros, first, last, "shiftright({}, 1)") for micros in times]
        return self.events.withColumns(
            {
                "timestamp": sf.expr(f"timestamp_micros({shop[0]})"),
                "recorded_at": sf.expr(f"timestamp_micros({shop[1]})"),
            }
        )


def read(
    spark: SparkSession,
    sources: Sequence[str],
    mapping: Mapping[str, str | None],
    options: ReadOptions | None = None,
) -> SparkLog:
    """Read events from Parquet or Delta folders, or Hive tables.

    Parameters
    ----------
    spark
        Session in which to read.
    sources
        Paths (``s3a://...``, ``hdfs://...``, local) of Parquet or Delta, or names of tables as
        ``table:shop.orders``.
    mapping
        Option of the command line -> column of the source, or a Spark SQL expression; None: the
        column with the name of the event contract, if there is one.
    options
        Its ``duplicates``, ``negative_amounts``, ``zone``, ``day_zone``, ``as_of`` and ``skew`` are
        used; None: the defaults.

    Raises
    ------
    UsageError, DataRefusedError
        A source cannot be read, a column is missing, or every row is rejected.
    """
    from pyspark.sql import functions as sf

    options = ReadOptions() if options is None else options
    frames = [_open(spark, source) for source in sources]
    rows = frames[0]
    for frame in frames[1:]:
        rows = rows.unionByName(frame, allowMissingColumns=True)
    rows_in = rows.count()
    if options.duplicates == "drop":
        rows = rows.dropDuplicates()
    expressions = source_expressions(rows, mapping)
    checked = _checked(spark, rows, expressions, options).persist()
    rows_by_reason = {
        row["reason"]: row["count"] for row in checked.groupBy("reason").count().collect()
    }
    rows_loaded = rows_by_reason.pop(None, 0)
    counts = {
        "rows_in": rows_in,
        "rows_loaded": rows_loaded,
        "rows_rejected": sum(rows_by_reason.values()),
        "rows_duplicate": rows_in - rows_loaded - sum(rows_by_reason.values()),
        **{f"rejected_{name}": count for name, count in sorted(rows_by_reason.items())},
    }
    if not rows_loaded:
        raise DataRefusedError(
            f"{', '.join(sources[:3])}: not one sound row of {rows_in:,} ({rows_by_reason})"
        )
    customer_id, id_warnings = _customer_id(checked, expressions["customer_id"], rows_loaded)
    events = checked.filter("reason is null").select(
        customer_id.alias("customer_id"),
        *(name for name in COLUMNS if name != "customer_id"),
        customer_id.alias("customer"),
    )
    last = events.agg(sf.max(sf.expr("unix_micros(timestamp)"))).collect()[0][0]
    return SparkLog(
        events,
        checked.filter("reason is not null").select("reason", "raw.*"),
        counts,
        from_microseconds(int(last)),
        "amount" in expressions,
        clock_named(options.day_zone or options.zone),
        tuple(id_warnings),
    )


def _checked(
    spark: SparkSession, rows: DataFrame, expressions: Mapping[str, str], options: ReadOptions
) -> DataFrame:
    """Return the rows with the columns of the event contract, ``reason`` and ``raw``."""
    from pyspark.sql import functions as sf

    columns = typed_columns(expressions, kinds_of(rows, expressions))
    # Spark reads times without a zone in the zone that the session has while a query is made
    spark.conf.set("spark.sql.session.timeZone", options.zone)
    try:
        typed = rows.select(
            sf.struct("*").alias("raw"), *(column.alias(name) for name, column in columns.items())
        )
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    if options.negative_amounts == "refund":
        is_refund = "event = 'purchase' AND amount < 0"
        typed = typed.withColumn(
            "event", sf.expr(f"CASE WHEN {is_refund} THEN 'refund' ELSE event END")
        )
    amount = sf.expr("CASE WHEN event = 'refund' THEN abs(amount) ELSE amount END")
    typed = typed.withColumn("amount", amount.cast(COLUMNS["amount"]))
    latest = options.latest_time(datetime.now(UTC))
    return typed.withColumn("reason", rejection_reason(expressions, latest))


def _customer_id(checked: DataFrame, label: str, loaded: int) -> tuple[Column, list[str]]:
    """Return the id, without ``.0`` if every id ends in it, and what is to be said of it."""
    from pyspark.sql import functions as sf

    is_float = sf.col("customer_id").rlike(f"^{FLOAT_ID}$")
    float_count = checked.filter("reason is null").filter(is_float).count()
    warning = float_ids_warning(label, float_count, loaded)
    customer_id = sf.expr("left(customer_id, length(customer_id) - 2)")
    return customer_id if float_count == loaded else sf.col("customer_id"), warning


def _open(spark: SparkSession, source: str) -> DataFrame:
    if source.startswith("table:"):
        return _opened(source, lambda: spark.table(source.removeprefix("table:")))
    if source.lower().endswith((".csv", ".csv.gz", ".gz", ".zst")):
        raise UsageError(
            f"{source}: --engine spark reads Parquet, Delta and tables; write the log as "
            "Parquet first"
        )
    kind = "delta" if (Path(source) / "_delta_log").is_dir() else "parquet"
    return _opened(source, lambda: spark.read.format(kind).load(source))


def _opened(source: str, open_source: Callable[[], DataFrame]) -> DataFrame:
    """Return the result of ``open_source``, with errors of Spark as a :class:`UsageError`."""
    try:
        return open_source()
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        hint = next((hint for pattern, hint in _HINTS.items() if pattern in reason), "")
        raise UsageError(f"{source} cannot be read by Spark: {reason[:300]}{hint}") from None


# part of an error message of Spark -> what to try
_HINTS = {
    "DATA_SOURCE_NOT_FOUND": (
        "; Delta needs its package, such as --spark-conf spark.jars.packages=io.delta:..."
    ),
    "TIMESTAMP(NANOS": (
        "; write the times in microseconds (pandas: to_parquet(..., coerce_timestamps='us'))"
    ),
}

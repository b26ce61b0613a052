"""Reads events on Spark from Parquet, Delta or a table, and splits off rejected rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.clock import day_after, from_microseconds
from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean
from stagecast.features.intake.identity import EXACT_DOUBLE, EXACT_FLOAT, SCIENTIFIC_ID
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock, clock_named

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

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
# column of the event contract -> its option of the command line, where the two differ
_OPTIONS = {"customer_id": "customer", "timestamp": "time"}


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
    """

    events: DataFrame
    rejected: DataFrame
    counts: Mapping[str, int]
    last_event: datetime
    has_amounts: bool = True
    clock: ShopClock = UTC_CLOCK

    def choose_as_of(self, as_of: datetime | None) -> datetime:
        """Return the given as_of, or the midnight after the last event; in shop time."""
        return (
            day_after(self.clock.shop(self.last_event)) if as_of is None else self.clock.shop(as_of)
        )

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
    *,
    duplicates: str = "drop",
    zone: str = "UTC",
    day_zone: str | None = None,
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
    duplicates
        Whether to ``drop`` or ``keep`` rows that are equal in every column.
    zone
        Zone of times without one.
    day_zone
        Zone whose days are counted; None: that of the times.

    Raises
    ------
    UsageError, DataRefusedError
        A source cannot be read, a column is missing, or every row is rejected.
    """
    from pyspark.sql import functions as sf

    frames = [_open(spark, source) for source in sources]
    rows = frames[0]
    for frame in frames[1:]:
        rows = rows.unionByName(frame, allowMissingColumns=True)
    rows_in = rows.count()
    if duplicates == "drop":
        rows = rows.dropDuplicates()
    expressions = _source_expressions(rows, mapping)
    columns = _typed_columns(expressions, _exact_limit(rows, expressions["customer_id"]))
    # Spark reads times without a zone in the zone that the session has while a query is made
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        typed = rows.select(
            sf.struct("*").alias("raw"), *(column.alias(name) for name, column in columns.items())
        )
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    checked = typed.withColumn("reason", _rejection_reason("amount" in expressions)).persist()
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
    events = checked.filter("reason is null").select(
        *_COLUMNS, sf.col("customer_id").alias("customer")
    )
    last = events.agg(sf.max(sf.expr("unix_micros(timestamp)"))).collect()[0][0]
    rejected = checked.filter("reason is not null").select("reason", "raw.*")
    return SparkLog(
        events,
        rejected,
        counts,
        from_microseconds(int(last)),
        "amount" in expressions,
        clock_named(day_zone or zone),
    )


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


def _source_expressions(rows: DataFrame, mapping: Mapping[str, str | None]) -> dict[str, str]:
    """Return column of the event contract -> Spark SQL expression over the source's columns."""
    expressions = {}
    for name in _COLUMNS:
        option = _OPTIONS.get(name, name)
        expression = mapping.get(option)
        if expression is not None:
            expressions[name] = expression
        elif name in rows.columns:
            expressions[name] = f"`{name}`"
    for name in ("customer_id", "timestamp"):
        if name not in expressions:
            option = _OPTIONS[name]
            raise DataRefusedError(
                f"no column '{name}' among {', '.join(rows.columns)}; name it with --{option} COL."
                f"{did_you_mean(name, rows.columns)}"
            )
    return expressions


def _exact_limit(rows: DataFrame, expression: str) -> int | None:
    """Return the number from which ids of a column of floats are not exact; None: no floats."""
    kind = rows.selectExpr(f"({expression}) AS id").schema["id"].dataType.simpleString()
    return {"double": EXACT_DOUBLE, "float": EXACT_FLOAT}.get(kind)


def _typed_columns(
    expressions: Mapping[str, str], exact_limit: int | None = None
) -> dict[str, Column]:
    """Return the columns of the event contract; a value that cannot be cast is null.

    Parameters
    ----------
    expressions
        Column of the event contract -> Spark SQL expression.
    exact_limit
        As of :func:`_exact_limit`. Ids below it are written without an exponent, which Spark
        writes from ten million on.
    """
    from pyspark.sql import functions as sf

    columns = {}
    for name, kind in _COLUMNS.items():
        if name not in expressions:
            columns[name] = sf.lit("purchase" if name == "event" else None).cast(kind)
            continue
        expression = f"try_cast(({expressions[name]}) as {kind})"
        if kind == "string":
            expression = f"nullif(trim(cast(({expressions[name]}) as string)), '')"
        if name == "customer_id" and exact_limit is not None:
            number = f"({expressions[name]})"
            expression = (
                f"CASE WHEN abs({number}) < {exact_limit} AND {number} = floor({number}) THEN "
                f"concat(cast(cast({number} AS bigint) AS string), '.0') ELSE {expression} END"
            )
        if name == "event":
            expression = f"lower({expression})"
        elif name == "discount":
            expression = f"abs({expression})"
        columns[name] = sf.expr(expression)
    if "event" in expressions:
        amount = sf.when(columns["event"] == "refund", sf.abs(columns["amount"])).otherwise(
            columns["amount"]
        )
        columns["amount"] = amount.cast(_COLUMNS["amount"])
    return columns


def _rejection_reason(has_amounts: bool) -> Column:
    """Return the reason why a row is rejected; null: it is accepted."""
    from pyspark.sql import functions as sf

    reason = (
        sf.when(sf.col("customer_id").isNull(), "missing_customer")
        .when(sf.col("customer_id").rlike(f"^({SCIENTIFIC_ID})$"), "inexact_customer")
        .when(sf.col("timestamp").isNull(), "unreadable_time")
        .when(sf.col("event").isNull(), "missing_event")
        .when((sf.col("event") == "purchase") & (sf.col("amount") < 0), "negative_amount")
    )
    if has_amounts:
        reason = reason.when(
            (sf.col("event") == "purchase") & sf.col("amount").isNull(), "missing_amount"
        )
    return reason

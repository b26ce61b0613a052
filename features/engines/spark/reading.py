"""Events on Spark: read from Parquet, Delta or a table, typed, and parted into the sound and the
refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import day_after, from_microseconds
from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean

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
_OPTIONS = {"customer_id": "customer", "timestamp": "time"}


@dataclass(frozen=True)
class SparkLog:
    """A log of events on Spark, checked.

    ``events`` has the columns of the event contract and ``customer`` (the id again, which the SQL
    groups by); ``rejected`` the rows that were refused, as they came, and ``reason``.
    """

    events: DataFrame
    rejected: DataFrame
    counts: Mapping[str, int]
    last_event: datetime

    def choose_as_of(self, as_of: datetime | None) -> datetime:
        """Return the as_of that was asked for, or the midnight UTC after the last event."""
        return day_after(self.last_event) if as_of is None else as_of


def read(
    spark: SparkSession,
    sources: Sequence[str],
    mapping: Mapping[str, str | None],
    *,
    duplicates: str = "drop",
) -> SparkLog:
    """Read events from Parquet or Delta folders, or Hive tables.

    Parameters
    ----------
    sources
        Paths (``s3a://...``, ``hdfs://...``, local) of Parquet or Delta, or names of tables as
        ``table:shop.orders``.
    mapping
        Option of the command line -> column of the source, or an expression of Spark SQL; None: the
        contract's own name, if it is there.
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
    given = _given(rows, mapping)
    parts = _parts(given)
    typed = rows.select(
        sf.struct("*").alias("raw"), *(part.alias(name) for name, part in parts.items())
    )
    checked = typed.withColumn("reason", _reason("amount" in given)).persist()
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
        raise DataRefusedError(
            f"{', '.join(sources[:3])}: not one sound row of {rows_in:,} ({by_reason})"
        )
    sound = checked.filter("reason is null").select(
        *_COLUMNS, sf.col("customer_id").alias("customer")
    )
    last = sound.agg(sf.max(sf.expr("unix_micros(timestamp)"))).collect()[0][0]
    refused = checked.filter("reason is not null").select("reason", "raw.*")
    return SparkLog(sound, refused, counts, from_microseconds(int(last)))


def _open(spark: SparkSession, source: str) -> DataFrame:
    if source.startswith("table:"):
        return _explained(source, lambda: spark.table(source.removeprefix("table:")))
    if source.lower().endswith((".csv", ".csv.gz", ".gz", ".zst")):
        raise UsageError(
            f"{source}: --engine spark reads Parquet, Delta and tables; write the log as "
            "Parquet first"
        )
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
    "DATA_SOURCE_NOT_FOUND": (
        "; Delta needs its package, such as --spark-conf spark.jars.packages=io.delta:..."
    ),
    "TIMESTAMP(NANOS": (
        "; write the times in microseconds (pandas: to_parquet(..., coerce_timestamps='us'))"
    ),
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


def _parts(given: Mapping[str, str]) -> dict[str, Column]:
    from pyspark.sql import functions as sf

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
        amount = sf.when(parts["event"] == "refund", sf.abs(parts["amount"])).otherwise(
            parts["amount"]
        )
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
        found = found.when(
            (sf.col("event") == "purchase") & sf.col("amount").isNull(), "missing_amount"
        )
    return found

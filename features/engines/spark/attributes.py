"""Table of customers of a log on Spark, read on the driver and broadcast to every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagecast.features.engines.spark.reading import SparkLog
from stagecast.features.events import CustomersTable, ReadOptions, read_customers
from stagecast.features.intake.identity import FLOAT_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class SparkAttributes:
    """Attributes of the customers of a log on Spark.

    Parameters
    ----------
    rows
        ``customer_id`` and a column for each attribute, one row per customer; broadcast in joins.
    kinds
        Column -> ``category``, ``number`` or ``flag``.
    known_at_start
        Columns declared as known at the start.
    """

    rows: DataFrame
    kinds: Mapping[str, str]
    known_at_start: tuple[str, ...]


def read_attributes(log: SparkLog, table: CustomersTable, options: ReadOptions) -> SparkAttributes:
    """Read a table of customers; it must fit into the memory of the driver and of each task.

    Parameters
    ----------
    log
        Log to which the customers belong.
    table
        Where the table of customers is, and the kinds of its columns.
    options
        How to read it.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.events.read_customers`.
    """
    import pyspark.sql.functions as sf

    float_ids = (
        log.events.select("customer_id")
        .filter(sf.col("customer_id").rlike(f"^{FLOAT_ID}$"))
        .limit(1)
    )
    customers, kinds = read_customers(
        table, options, [row["customer_id"] for row in float_ids.collect()]
    )
    rows = sf.broadcast(log.events.sparkSession.createDataFrame(customers))
    return SparkAttributes(rows, kinds, table.known_at_start)

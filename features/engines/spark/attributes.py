"""The table of customers of a log on Spark: read on the driver as on one machine, and sent to
every task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagecast.features.engines.spark.reading import SparkLog
from stagecast.features.events import CustomersTable, ReadOptions, read_customers
from stagecast.features.intake.settling import FLOAT_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class SparkAttributes:
    """What is known of customers beside their events.

    ``rows`` has ``customer_id`` and a column for each attribute, one row per customer, to be
    broadcast in joins; ``kinds`` is column -> ``category``, ``number`` or ``flag``;
    ``known_at_start`` are those declared as such.
    """

    rows: DataFrame
    kinds: Mapping[str, str]
    known_at_start: tuple[str, ...]


def read_attributes(log: SparkLog, table: CustomersTable, options: ReadOptions) -> SparkAttributes:
    """Read a table of customers; the driver and each task hold all of it.

    Raises
    ------
    UsageError, DataRefusedError
        As :func:`stagecast.features.events.read_customers`.
    """
    import pyspark.sql.functions as sf

    like_floats = (
        log.events.select("customer_id")
        .filter(sf.col("customer_id").rlike(f"^{FLOAT_ID}$"))
        .limit(1)
    )
    found, kinds = read_customers(
        table, options, [row["customer_id"] for row in like_floats.collect()]
    )
    rows = sf.broadcast(log.events.sparkSession.createDataFrame(found))
    return SparkAttributes(rows, kinds, table.known_at_start)

"""Features and scores of a log on Spark, written as folders of Parquet files; and a sample of it,
opened on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.attributes import check_known_at_start
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import attribute_features, check_declared, check_table
from stagecast.features.engines.spark.attributes import SparkAttributes, read_attributes
from stagecast.features.engines.spark.reading import SparkLog
from stagecast.features.engines.spark.sample import DEFAULT_SAMPLE_SIZE, draw_sample
from stagecast.features.engines.spark.table import SparkTable
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog, ReadOptions, from_frame
from stagecast.serving.jobs.written import Written
from stagecast.serving.reading import Reading
from stagecast.serving.requests import ScoringRequest
from stagecast.serving.runs.files import REJECTED_ON_SPARK
from stagecast.serving.scoring.batch import check_as_of
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.scoring.spark_scoring import scores

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def features_on_spark(reading: Reading, catalog: Catalog, out: Path) -> Written:
    """Write the features of every customer at one as_of.

    Parameters
    ----------
    out
        Folder of Parquet files; it must be new.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log cannot be read, or a feature asks for attributes that were not declared.
    """
    import pyspark.sql.functions as sf

    _check_new(out)
    with reading.open_on_spark() as log:
        as_of = log.choose_as_of(reading.as_of)
        attributes = _attributes(log, reading) if attribute_features(catalog) else None
        if attributes is not None:
            check_declared(catalog, attributes.kinds, attributes.known_at_start)
        table = SparkTable(log.events.sparkSession, log.events_in_shop_time(), as_of, attributes)
        catalog = catalog.with_parameters(shop_gap_days=table.shop_gap_days())
        rows = table.features(catalog, [0]).select(
            sf.col("customer").alias("customer_id"),
            sf.lit(log.clock.instant(as_of)).alias("as_of"),
            *catalog.names,
        )
        return _write("features", log, rows, as_of, out)


def score_on_spark(
    reading: Reading, request: ScoringRequest, scorer: Scorer, folder: Path
) -> Written:
    """Write the scores of every customer, scored where their events are.

    Parameters
    ----------
    scorer, folder
        The model, and the folder that it stands in, which is sent to where the events are.

    Raises
    ------
    UsageError
        The model learned from a table of customers that is not named, or has seen what comes after
        the as_of.
    """
    _check_new(request.out)
    models = scorer.bundle.models
    names = models.config.known_at_start
    if names and reading.customers is None:
        raise UsageError(
            f"this model looks at {', '.join(names)} of the table of customers: name that "
            "table with --customers, or under [customers] in stagecast.toml"
        )
    if request.publish:
        raise UsageError(
            "--publish works on one machine; score with --engine duckdb, or publish the "
            "Parquet files"
        )
    with reading.open_on_spark() as log:
        as_of = log.choose_as_of(reading.as_of)
        check_as_of(scorer.bundle, as_of)
        attributes = _attributes(log, reading) if names else None
        if attributes is not None:
            check_table(models.catalog, attributes.kinds)
            check_known_at_start(attributes.kinds, names)
        rows = scores(log, folder, scorer, as_of, attributes)
        return _write("scores", log, rows, as_of, request.out)


@contextmanager
def sampled_log(
    reading: Reading, most: int | None = None
) -> Iterator[tuple[EventLog, datetime, tuple[str, ...]]]:
    """Draw a sample of customers on Spark, and open their events on this machine.

    Parameters
    ----------
    most
        Customers to draw; None: 200,000.

    Yields
    ------
    The log, the as_of, and notes that say what was drawn.
    """
    with reading.open_on_spark() as log:
        as_of = log.choose_as_of(reading.as_of)
        table = SparkTable(log.events.sparkSession, log.events_in_shop_time(), as_of)
        sample = draw_sample(table, log.events, DEFAULT_SAMPLE_SIZE if most is None else most)
    options = ReadOptions(
        duplicates="keep",
        as_of=as_of,
        day_zone=log.clock.zone,
        memory=reading.options.memory,
        temp_dir=reading.options.temp_dir,
    )
    with from_frame(sample.events, options, reading.customers) as local:
        yield local, as_of, (*sample.notes, *log.warnings)


def _attributes(log: SparkLog, reading: Reading) -> SparkAttributes | None:
    """Read the table of customers, if there is one."""
    if reading.customers is None:
        return None
    return read_attributes(log, reading.customers, reading.options)


def _check_new(out: Path) -> None:
    if out.exists():
        raise UsageError(f"--out {out} exists; --engine spark writes a new folder of Parquet files")
    if out.suffix == ".csv":
        raise UsageError(f"--out {out}: --engine spark writes a folder of Parquet files, not CSV")


def _write(what: str, log: SparkLog, rows: DataFrame, as_of: datetime, out: Path) -> Written:
    """Write one row per customer, and beside them the rows that were refused."""
    rows.write.parquet(str(out))
    if log.counts["rows_rejected"]:
        log.rejected.write.parquet(str(out / REJECTED_ON_SPARK))
    customers = log.events.sparkSession.read.parquet(str(out)).count()
    return Written(what, out, as_of, customers, log.counts, log.warnings)

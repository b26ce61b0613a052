"""``features``, ``score`` and ``train`` on ``--engine spark``: for logs that outgrow one
machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stagecast.features.attributes import check_known_at_start
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import check_declared, check_table, of_customer
from stagecast.features.clock import iso
from stagecast.features.errors import UsageError
from stagecast.serving.commands.console import show
from stagecast.serving.commands.options import as_of_option
from stagecast.serving.commands.reading_options import MAPPED, customers_table, read_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from stagecast.features.engines.spark.attributes import SparkAttributes
    from stagecast.features.engines.spark.reading import SparkLog
    from stagecast.features.events import EventLog
    from stagecast.features.intake.attributes import CustomersTable
    from stagecast.serving.scoring.scorer import Scorer

REJECTED = "_rejected"
# Options of reading that change what is loaded, and that Spark's own reader does not know.
_NOT_HERE = (
    "event_id",
    "currency",
    "product",
    "time_format",
    "report_currency",
    "rates",
    "where",
    "refuse",
    "flag",
    "test_customers",
    "not_products",
    "max_rejected",
)


@contextmanager
def spark_log(options: dict[str, Any]) -> Iterator[SparkLog]:
    """Open the log that the options name on Spark; the session ends with it.

    Raises
    ------
    stagecast.features.errors.StagecastError
        Nothing was named, it cannot be read, or an option that only one machine knows.
    """
    from stagecast.features.engines.spark.reading import read
    from stagecast.features.engines.spark.table import explained, session

    for name in _NOT_HERE:
        if options.get(name):
            raise UsageError(
                f"--{name.replace('_', '-')} is not known to --engine spark; prepare the "
                "column in Spark, and map it"
            )
    if not options["events"]:
        raise UsageError("--engine spark needs EVENTS: folders of Parquet or Delta, or table:NAME")
    settings: dict[str, str] = {}
    for text in options["spark_conf"]:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"--spark-conf '{text}' is not NAME=VALUE, like spark.executor.memory=8g"
            )
        settings[name.strip()] = value.strip()
    spark = session(options["master"] or "local[*]", settings)
    try:
        mapping = {name: options.get(option) for name, option in MAPPED.items()}
        yield read(spark, list(options["events"]), mapping, duplicates=options["duplicates"])
    except Exception as error:
        if type(error).__module__.startswith(("pyspark.", "py4j.")):
            raise explained(error) from error
        raise
    finally:
        spark.stop()


def _attributes(
    log: SparkLog, table: CustomersTable | None, options: dict[str, Any], *, asked: bool
) -> SparkAttributes | None:
    """Read the table of customers where it is asked for."""
    from stagecast.features.engines.spark.attributes import read_attributes

    return (
        None if table is None or not asked else read_attributes(log, table, read_options(options))
    )


def _new(out: Path) -> None:
    if out.exists():
        raise UsageError(f"--out {out} exists; --engine spark writes a new folder of Parquet files")
    if out.suffix == ".csv":
        raise UsageError(f"--out {out}: --engine spark writes a folder of Parquet files, not CSV")


def _write(log: SparkLog, rows: DataFrame, out: Path) -> None:
    rows.write.parquet(str(out))
    if log.counts["rows_rejected"]:
        log.rejected.write.parquet(str(out / REJECTED))


def _told(
    log: SparkLog, out: Path, as_of: datetime, what: str, count: int, *, as_json: bool
) -> None:
    if as_json:
        told = {"out": str(out), "as_of": iso(as_of), "customers": count, **log.counts}
        click.echo(json.dumps(told))
        return
    refused = log.counts["rows_rejected"]
    lines = [f"{what} of {count:,} customers at {iso(as_of)} written: {out}"]
    if refused:
        lines.append(f"{refused:,} of {log.counts['rows_in']:,} rows refused: {out / REJECTED}")
    show(lines)


def features_on_spark(
    catalog: Catalog, out: Path, options: dict[str, Any], *, as_json: bool
) -> None:
    """Write the features of every customer at one as_of as a folder of Parquet files."""
    import pyspark.sql.functions as sf

    from stagecast.features.engines.spark.table import SparkTable

    _new(out)
    customers = customers_table(options)
    with spark_log(options) as log:
        as_of = log.choose_as_of(as_of_option(options))
        attributes = _attributes(log, customers, options, asked=bool(of_customer(catalog)))
        if attributes is not None:
            check_declared(catalog, attributes.kinds, attributes.known_at_start)
        table = SparkTable(log.events.sparkSession, log.events, as_of, attributes)
        catalog = catalog.with_parameters(shop_gap_days=table.shop_gap_days())
        rows = table.features(catalog, [0]).select(
            sf.col("customer").alias("customer_id"), sf.lit(as_of).alias("as_of"), *catalog.names
        )
        _write(log, rows, out)
        count = log.events.sparkSession.read.parquet(str(out)).count()
    _told(log, out, as_of, "features", count, as_json=as_json)


def score_on_spark(
    scorer: Scorer, folder: Path, out: Path, options: dict[str, Any], *, as_json: bool
) -> None:
    """Write the scores of every customer as a folder of Parquet files, scored where their events
    are.

    Raises
    ------
    UsageError
        The model learned from a table of customers that is not named, or has seen what comes after
        the as_of.
    """
    from stagecast.serving.scoring.batch import check_as_of
    from stagecast.serving.scoring.spark_scoring import scores

    _new(out)
    models, customers = scorer.bundle.models, customers_table(options)
    names = models.config.known_at_start
    if names and customers is None:
        raise UsageError(
            f"this model looks at {', '.join(names)} of the table of customers: name that "
            "table with --customers, or "
            "under [customers] in stagecast.toml"
        )
    if options["publish"]:
        raise UsageError(
            "--publish works on one machine; score with --engine duckdb, or publish the "
            "Parquet files"
        )
    with spark_log(options) as log:
        as_of = log.choose_as_of(as_of_option(options))
        check_as_of(scorer.bundle, as_of)
        attributes = _attributes(log, customers, options, asked=bool(names))
        if attributes is not None:
            check_table(models.catalog, attributes.kinds)
            check_known_at_start(attributes.kinds, names)
        _write(log, scores(log, folder, scorer, as_of, attributes), out)
        count = log.events.sparkSession.read.parquet(str(out)).count()
    _told(log, out, as_of, "scores", count, as_json=as_json)


@contextmanager
def sampled_log(
    options: dict[str, Any], most: int
) -> Iterator[tuple[EventLog, datetime, tuple[str, ...]]]:
    """Draw a sample of customers on Spark, and open their events on this machine.

    Yields
    ------
    The log, the as_of, and notes that say what was drawn.
    """
    from stagecast.features.engines.spark.sample import draw
    from stagecast.features.engines.spark.table import SparkTable
    from stagecast.features.events import ReadOptions, from_frame

    with spark_log(options) as log:
        as_of = log.choose_as_of(as_of_option(options))
        sample = draw(SparkTable(log.events.sparkSession, log.events, as_of), log.events, most)
    reading = ReadOptions(
        duplicates="keep", as_of=as_of, memory=options["memory"], temp_dir=options["temp_dir"]
    )
    with from_frame(sample.events, reading, customers_table(options)) as local:
        yield local, as_of, sample.notes

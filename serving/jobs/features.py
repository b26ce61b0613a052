"""The features of a log's customers in files, and the SQL that they are made by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import microseconds
from stagecast.features.engines import duckdb, sql
from stagecast.features.engines.larger_than_memory import write_features
from stagecast.features.engines.shop_gap import FALLBACK_GAP_DAYS
from stagecast.features.engines.spark import table as spark
from stagecast.features.shop.events import KNOWN, events_of
from stagecast.serving.jobs.written import Written
from stagecast.serving.reading import Reading

WITHOUT_A_LOG = datetime(2025, 1, 1, tzinfo=UTC)
"""The as_of of queries that are asked for without a log and without an as_of."""


def write_feature_file(reading: Reading, catalog: Catalog, out: Path) -> Written:
    """Write the features of every customer at one as_of.

    Parameters
    ----------
    catalog
        Its parameters are set here, from the log.
    out
        File to write, ``.parquet`` or ``.csv``; without an ending, a folder of parts with which an
        interrupted run goes on. Of a log on Spark: a new folder.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log cannot be read, or the file cannot be written.
    """
    if reading.spark is not None:
        from stagecast.serving.jobs.on_spark import features_on_spark

        return features_on_spark(reading, catalog, out)
    with reading.open(out, command="features") as log:
        as_of = log.choose_as_of(reading.as_of)
        return Written("features", out, as_of, write_features(log, as_of, catalog, out))


def feature_queries(reading: Reading, catalog: Catalog) -> dict[str, str]:
    """Return the queries that make the features, by name and in their order.

    Without files or databases to read, those that fit any log.
    """
    at = microseconds(reading.as_of or WITHOUT_A_LOG)
    engine = duckdb if reading.spark is None else spark
    shape = sql.ANY
    if reading.sources:
        with replace(reading, spark=None).open() as log:
            at = microseconds(log.choose_as_of(reading.as_of))
            shape = duckdb.shape_of(
                log.con,
                f"(select * from {events_of(log.con)} where {KNOWN} < {at}) as known_events",
                at,
            )
    catalog = catalog.with_parameters(shop_gap_days=FALLBACK_GAP_DAYS)
    clock = engine.clock(at)
    steps = [
        sql.daily_step(clock, "known_events", shape),
        *sql.side_table_steps(catalog, clock, "known_events", shape),
    ]
    queries = {step.name: sql.render([step], engine.DIALECT) for step in steps}
    return {
        **queries,
        "features": sql.render(sql.snapshot_steps(catalog, at, [0], shape), engine.DIALECT),
    }

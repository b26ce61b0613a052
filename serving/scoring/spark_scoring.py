"""Scoring on Spark by ``mapInArrow``; each task scores whole customers in one thread."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stagecast.features.clock import EPOCH, from_microseconds, microseconds
from stagecast.features.engines.spark.table import HAPPENED, KNOWN, RECORDED
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.scorer import Scorer, load_scorer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from stagecast.features.engines.spark.attributes import SparkAttributes
    from stagecast.features.engines.spark.reading import SparkLog

CUSTOMERS_AT_ONCE = 2_000


def scores(
    log: SparkLog,
    folder: Path,
    scorer: Scorer,
    as_of: datetime,
    attributes: SparkAttributes | None = None,
) -> DataFrame:
    """Return the scores of every customer known before the as_of, with the columns of the contract.

    Parameters
    ----------
    log
        The event log.
    folder
        Folder of the bundle, whose files are sent to the tasks.
    scorer
        Scorer of the same bundle.
    as_of
        Instant of the scores; later events are ignored.
    attributes
        Attributes of the customers; None: there are none, or the bundle does not use them.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    spark = log.events.sparkSession
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    broadcast_files = spark.sparkContext.broadcast(files)
    as_of_us = microseconds(log.clock.instant(as_of))
    known = log.events.filter(f"{KNOWN} < {as_of_us}")
    data_cutoff_us = known.selectExpr(f"max({HAPPENED})").collect()[0][0]
    terms = scorer.bundle.models.plan.terms
    if terms is not None:  # cancellations that take effect later and are recorded already
        announced = log.events.filter(f"{HAPPENED} >= {as_of_us} and {RECORDED} < {as_of_us}")
        announced = announced.filter(announced["event"].isin(*terms.ends))
        known = known.unionByName(
            announced.join(known.select("customer_id").distinct(), "customer_id", "left_semi")
        )
    events = known.selectExpr(
        "customer_id",
        f"{HAPPENED} as happened",
        "unix_micros(recorded_at) as recorded",
        "event",
        "cast(amount as double) as amount",
        "channel",
        "category",
        "cast(discount as double) as discount",
    )
    names = () if attributes is None else scorer.bundle.models.config.known_at_start
    if attributes is not None:
        # any text can be the name of an attribute; numbered columns need no quoting
        position = {name: k for k, name in enumerate(attributes.kinds)}
        attribute_rows = attributes.rows.toDF("customer_id", *(f"a{k}" for k in position.values()))
        events = events.join(
            attribute_rows.select("customer_id", *(f"a{position[name]}" for name in names)),
            "customer_id",
            "left",
        )
    sorted_events = events.repartition("customer_id").sortWithinPartitions(
        "customer_id", "happened"
    )
    schema = score_schema.schema(scorer.scheme.ids)
    score_batches = _task(
        broadcast_files,
        scorer.model_version,
        as_of_us,
        int(data_cutoff_us),
        names,
        with_reasons=scorer.with_reasons,
        has_amounts=log.has_amounts,
    )
    return sorted_events.mapInArrow(score_batches, from_arrow_schema(schema))


def _task(
    broadcast_files: Any,
    model_version: str,
    as_of_us: int,
    data_cutoff_us: int,
    attribute_names: Sequence[str],
    *,
    with_reasons: bool,
    has_amounts: bool,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function by which a task scores its batches of events, sorted by customer.

    The instants ``as_of_us`` and ``data_cutoff_us`` are microseconds since 1970, UTC.
    """

    def score_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = _scorer(model_version, with_reasons, broadcast_files.value)
        as_of, data_cutoff = from_microseconds(as_of_us), from_microseconds(data_cutoff_us)
        for customers in _customer_groups(batches, attribute_names):
            table = scorer.score_customers(customers, as_of, data_cutoff, has_amounts)
            yield from table.to_batches()

    return score_batches


_SCORERS: dict[tuple[str, bool], Scorer] = {}
"""The scorers of this worker process, by model version and whether they compute reasons."""


def _scorer(model_version: str, with_reasons: bool, files: Mapping[str, bytes]) -> Scorer:
    """Return the scorer of a bundle, which each worker process loads only once."""
    key = model_version, with_reasons
    if key not in _SCORERS:
        with tempfile.TemporaryDirectory(prefix="stagecast-bundle-") as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            _SCORERS[key] = load_scorer(Path(folder), threads=1, with_reasons=with_reasons)
    return _SCORERS[key]


def _customer_groups(
    batches: Iterator[pa.RecordBatch], attribute_names: Sequence[str]
) -> Iterator[list[CustomerEvents]]:
    """Yield lists of at most 2,000 customers with all their events."""
    events: dict[str, list[Event]] = {}
    attributes: dict[str, dict[str, Any]] = {}
    for batch in batches:
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            customer, happened, recorded, *fields = row
            event, amount, channel, category, discount, *attribute_values = fields
            if customer not in events:
                if len(events) >= CUSTOMERS_AT_ONCE:
                    yield _customers(events, attributes)
                    events, attributes = {}, {}
                events[customer] = []
                attributes[customer] = dict(zip(attribute_names, attribute_values, strict=True))
            timestamp = EPOCH + timedelta(microseconds=happened)
            recorded_at = None if recorded is None else EPOCH + timedelta(microseconds=recorded)
            events[customer].append(
                Event(timestamp, event, amount, channel, recorded_at, None, category, discount)
            )
    if events:
        yield _customers(events, attributes)


def _customers(
    events: dict[str, list[Event]], attributes: dict[str, dict[str, Any]]
) -> list[CustomerEvents]:
    return [
        CustomerEvents(customer, tuple(customer_events), attributes[customer])
        for customer, customer_events in events.items()
    ]

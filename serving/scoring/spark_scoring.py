"""Scoring on Spark: each task scores whole customers with a bundle of its own, in one thread, by
``mapInArrow``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stagecast.features.clock import EPOCH, from_microseconds, microseconds
from stagecast.features.engines.spark.table import KNOWN
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
    folder
        The bundle; its files are sent to the tasks.
    scorer
        Of that bundle.
    attributes
        Of the customers, where the bundle looks at any.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    spark = log.events.sparkSession
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    sent = spark.sparkContext.broadcast(files)
    at = microseconds(as_of)
    known = log.events.filter(f"{KNOWN} < {at}").selectExpr(
        "customer_id",
        "unix_micros(timestamp) as happened",
        "event",
        "cast(amount as double) as amount",
        "channel",
        "category",
        "cast(discount as double) as discount",
    )
    cutoff = known.selectExpr("max(happened)").collect()[0][0]
    names = () if attributes is None else scorer.bundle.models.config.known_at_start
    if attributes is not None:
        place = {name: k for k, name in enumerate(attributes.kinds)}
        told = attributes.rows.toDF("customer_id", *(f"a{k}" for k in place.values()))
        known = known.join(
            told.select("customer_id", *(f"a{place[name]}" for name in names)),
            "customer_id",
            "left",
        )
    grouped = known.repartition("customer_id").sortWithinPartitions("customer_id", "happened")
    schema = score_schema.schema(scorer.scheme.ids)
    score = _task(
        sent, scorer.model_version, at, int(cutoff), names, with_reasons=scorer.with_reasons
    )
    return grouped.mapInArrow(score, from_arrow_schema(schema))


def _task(
    sent: Any,
    model_version: str,
    as_of: int,
    cutoff: int,
    names: Sequence[str],
    *,
    with_reasons: bool,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what a task does with its events, which are ordered by customer; ``names`` are
    their attributes.
    """

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = _scorer(model_version, with_reasons, sent.value)
        for customers in _by_customer(batches, names):
            table = scorer.score_customers(
                customers, from_microseconds(as_of), from_microseconds(cutoff)
            )
            yield from table.to_batches()

    return score


_LOADED: dict[tuple[str, bool], Scorer] = {}
"""The bundles of this worker process, by model version and whether reasons are told."""


def _scorer(model_version: str, with_reasons: bool, files: Mapping[str, bytes]) -> Scorer:
    """Load the bundle once in each worker process."""
    key = model_version, with_reasons
    if key not in _LOADED:
        with tempfile.TemporaryDirectory(prefix="stagecast-bundle-") as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            _LOADED[key] = load_scorer(Path(folder), threads=1, with_reasons=with_reasons)
    return _LOADED[key]


def _by_customer(
    batches: Iterator[pa.RecordBatch], names: Sequence[str]
) -> Iterator[list[CustomerEvents]]:
    """Yield some thousand whole customers at a time."""
    waiting: dict[str, list[Event]] = {}
    attributes: dict[str, dict[str, Any]] = {}
    for batch in batches:
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            customer, happened, event, amount, channel, category, discount, *told = row
            if customer not in waiting:
                if len(waiting) >= CUSTOMERS_AT_ONCE:
                    yield _customers(waiting, attributes)
                    waiting, attributes = {}, {}
                waiting[customer], attributes[customer] = [], dict(zip(names, told, strict=True))
            at = EPOCH + timedelta(microseconds=happened)
            waiting[customer].append(
                Event(at, event, amount, channel, None, None, category, discount)
            )
    if waiting:
        yield _customers(waiting, attributes)


def _customers(
    events: dict[str, list[Event]], attributes: dict[str, dict[str, Any]]
) -> list[CustomerEvents]:
    return [
        CustomerEvents(customer, tuple(some), attributes[customer])
        for customer, some in events.items()
    ]

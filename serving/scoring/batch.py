"""Scoring of a whole log: at once, or in parts if it is larger than the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import dataset

from stagecast.features.clock import SHOP, from_microseconds, iso, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.larger_than_memory import daily_tables, row_ranges, run_fingerprint
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import EventLog
from stagecast.features.files.part_files import check_ending, write_parts
from stagecast.features.shop.events import KNOWN, events_of
from stagecast.features.snapshots import Snapshot, current_snapshot
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.bundle import Bundle

ROWS_PER_PART = 500_000


def check_as_of(bundle: Bundle, as_of: datetime) -> None:
    """Check that an as_of is not before the as_of of the training.

    Raises
    ------
    UsageError
        It is before it, so that the model has learned from events after the as_of.
    """
    if bundle.clock.instant(as_of) < bundle.as_of:
        raise UsageError(
            f"--as-of {iso(as_of)} stands before the training's as_of "
            f"{iso(bundle.clock.shop(bundle.as_of))}: this model has learned from "
            "what came after; score at a later date, or train with this --as-of"
        )


def check_days(bundle: Bundle, log: EventLog) -> None:
    """Check that a log counts the days that the training counted.

    Raises
    ------
    UsageError
        Its days are those of another zone.
    """
    if log.clock.zone != bundle.clock.zone:
        raise UsageError(
            f"the log's days are those of {log.clock.zone}, and this model counts days of "
            f"{bundle.clock.zone}; read the log with day_zone='{bundle.clock.zone}' in its "
            "ReadOptions"
        )


def check_money(bundle: Bundle, log: EventLog) -> None:
    """Check that the amounts of a log are in the currency of the training.

    Raises
    ------
    UsageError
        They are in another currency.
    """
    currency, learned = log.report.currency, bundle.money.currency
    bundle.money.check(
        currency,
        f"give --report-currency {learned} --rates {currency}=RATE, where RATE is what one "
        f"{currency} is worth in {learned}, or train a model on these amounts",
    )


def snapshot(log: EventLog, bundle: Bundle, as_of: datetime) -> tuple[Snapshot, datetime]:
    """Return the snapshot of a log's customers at the as_of, and the last event before it.

    Parameters
    ----------
    log
        The event log.
    bundle
        The bundle with whose models the snapshot is to be scored.
    as_of
        Instant of the snapshot; later events are ignored.

    Raises
    ------
    UsageError
        The as_of is before the as_of of the training, or the amounts are in another currency than
        those of the training.
    """
    check_as_of(bundle, as_of)
    check_money(bundle, log)
    check_days(bundle, log)
    table = DailyTable(log.con, as_of)
    return current_snapshot(table, bundle.models.plan), table.data_cutoff()


def score_log(
    log: EventLog, scorer: Scorer, as_of: datetime, path: Path, rows_per_part: int = ROWS_PER_PART
) -> dict[str, int]:
    """Write the scores of a log in parts, and return the number of customers on each stage.

    Parameters
    ----------
    log
        The event log.
    scorer
        Scores the customers of each part.
    as_of
        Instant of the scores; later events are ignored.
    path
        ``.parquet`` or ``.csv``: one file, which is complete or does not exist, with the scores of
        :meth:`Scorer.score` (the number of rows per part can change the last bit of a number).
        Without an ending: a folder of Parquet files, which an interrupted run continues.
    rows_per_part
        Number of events per part; the memory that is used depends on it and not on the log.

    Raises
    ------
    NotEnoughDataError
        There is no event before the as_of.
    UsageError
        The as_of is before that of the training, the amounts are in another currency, or the file
        cannot be written.
    """
    check_ending(path)
    as_of, ranges, score_part = _parts(log, scorer, as_of, rows_per_part)
    run_key = run_fingerprint(log, as_of) | {
        "model_version": scorer.model_version,
        "reasons": scorer.with_reasons,
    }
    schema = score_schema.schema(scorer.scheme.ids)
    write_parts(path, ranges, score_part, schema, run_key, score_schema.csv_table)
    scores = dataset.dataset(path, format="csv" if path.suffix == ".csv" else "parquet")
    return stage_counts(scores.to_table(columns=["stage"]), scorer.scheme.ids)


def score_table(
    log: EventLog, scorer: Scorer, as_of: datetime, rows_per_part: int = ROWS_PER_PART
) -> pa.Table:
    """Return the scores of a log in memory, the same to the last bit as :func:`score_log` writes.

    Raises
    ------
    NotEnoughDataError
        There is no event before the as_of.
    UsageError
        The as_of is before that of the training, or the amounts or days are not those of the
        training.
    """
    _, ranges, score_part = _parts(log, scorer, as_of, rows_per_part)
    parts = [part for part in map(score_part, ranges) if part is not None]
    return pa.concat_tables(parts).combine_chunks()


def _parts(
    log: EventLog, scorer: Scorer, as_of: datetime, rows_per_part: int
) -> tuple[datetime, list[tuple[int, int]], Callable[[tuple[int, int]], pa.Table | None]]:
    """Return the as_of in shop time, the ranges of rows of the log, and what scores one of them."""
    check_as_of(scorer.bundle, as_of)
    check_money(scorer.bundle, log)
    check_days(scorer.bundle, log)
    as_of = log.clock.shop(as_of)
    result = log.con.execute(
        f"select epoch_us(max(timestamp)) from {events_of(log.con)} "
        f"where {KNOWN} < {microseconds(as_of)}"
    )
    last_event = result.fetchall()[0][0]
    if last_event is None:
        raise NotEnoughDataError(
            f"no event stands before the as_of {iso(as_of)}; choose a later --as-of"
        )
    data_cutoff = log.clock.instant(from_microseconds(int(last_event)).replace(tzinfo=SHOP))

    def score_part(part: tuple[int, int]) -> pa.Table | None:
        scores = (
            scorer.score(
                current_snapshot(table, scorer.bundle.models.plan),
                data_cutoff,
                has_amounts=log.has_amounts,
            )
            for table in daily_tables(log, as_of, [part])
        )
        return next(scores, None)

    return as_of, list(row_ranges(log.con, rows_per_part)), score_part


def stage_counts(scores: pa.Table, stages: Sequence[str]) -> dict[str, int]:
    """Return the number of customers on each stage, in the order of ``stages``.

    Parameters
    ----------
    scores
        Table with a column ``stage``.
    stages
        Stage ids of the scheme.
    """
    counts = {
        row["values"].as_py(): row["counts"].as_py() for row in pc.value_counts(scores["stage"])
    }
    return {stage: counts.get(stage, 0) for stage in stages}

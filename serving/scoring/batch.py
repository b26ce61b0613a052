"""Scoring a whole log: at once, or part by part where it is larger than the memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import dataset

from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.engines.duckdb import KNOWN, DailyTable
from stagecast.features.engines.larger_than_memory import daily_tables, row_ranges, run_fingerprint
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import EventLog
from stagecast.features.part_files import check_ending, write_parts
from stagecast.features.snapshots import Snapshot, current_snapshot
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.bundle import Bundle

ROWS_PER_PART = 500_000


def check_as_of(bundle: Bundle, as_of: datetime) -> None:
    """Refuse an as_of before that of the training.

    Raises
    ------
    UsageError
        The model has seen what came after.
    """
    if as_of < bundle.as_of:
        raise UsageError(
            f"--as-of {iso(as_of)} stands before the training's as_of "
            f"{iso(bundle.as_of)}: this model has learned from "
            "what came after; score at a later date, or train with this --as-of"
        )


def snapshot(log: EventLog, bundle: Bundle, as_of: datetime) -> tuple[Snapshot, datetime]:
    """Return the customers of a log as they stood at the as_of, and the last event that was seen.

    Raises
    ------
    UsageError
        The as_of stands before the as_of of the training.
    """
    check_as_of(bundle, as_of)
    table = DailyTable(log.con, as_of)
    return current_snapshot(table, bundle.models.plan), from_microseconds(table.last_event())


def score_log(
    log: EventLog, scorer: Scorer, as_of: datetime, path: Path, rows_per_part: int = ROWS_PER_PART
) -> dict[str, int]:
    """Write the scores of a log part by part, and return how many customers stand on each stage.

    Parameters
    ----------
    path
        ``.parquet`` or ``.csv``: one file, whole or not at all, with what :meth:`Scorer.score`
        gives (how many rows are reckoned together can change the last bit of a number). Without an
        ending: a folder of Parquet row_ranges, with which an interrupted run goes on.
    rows_per_part
        Events that are looked at together; memory grows with it, and with nothing else.

    Raises
    ------
    NotEnoughDataError
        No event stands before the as_of.
    UsageError
        The as_of stands before that of the training, or the file cannot be written.
    """
    check_ending(path)
    check_as_of(scorer.bundle, as_of)
    found = log.con.execute(
        f"select epoch_us(max(timestamp)) from events where {KNOWN} < {microseconds(as_of)}"
    )
    last = found.fetchall()[0][0]
    if last is None:
        raise NotEnoughDataError(
            f"no event stands before the as_of {iso(as_of)}; choose a later --as-of"
        )
    cutoff = from_microseconds(int(last))

    def make(part: tuple[int, int]) -> pa.Table | None:
        scored = (
            scorer.score(current_snapshot(table, scorer.bundle.models.plan), cutoff)
            for table in daily_tables(log, as_of, [part])
        )
        return next(scored, None)

    run = run_fingerprint(log, as_of) | {
        "model_version": scorer.model_version,
        "reasons": scorer.with_reasons,
    }
    schema = score_schema.schema(scorer.scheme.ids)
    write_parts(
        path, list(row_ranges(log.con, rows_per_part)), make, schema, run, score_schema.csv_table
    )
    written = dataset.dataset(path, format="csv" if path.suffix == ".csv" else "parquet")
    return stage_counts(written.to_table(columns=["stage"]), scorer.scheme.ids)


def stage_counts(scores: pa.Table, stages: Sequence[str]) -> dict[str, int]:
    """Return how many customers stand on each stage, in the scheme's order."""
    found = {
        row["values"].as_py(): row["counts"].as_py() for row in pc.value_counts(scores["stage"])
    }
    return {stage: found.get(stage, 0) for stage in stages}

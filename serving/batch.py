"""Scoring a whole log, and writing scores to files so that nobody ever sees half of one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from features.clock import from_microseconds, iso
from features.engines.duckdb import DailyTable
from features.errors import UsageError
from features.events import EventLog
from features.files import replaced
from features.journeys import walk
from features.snapshots import Snapshot, take
from serving import contract
from serving.scorer import Scorer
from training.bundle import Bundle


def snapshot(log: EventLog, bundle: Bundle, as_of: datetime) -> tuple[Snapshot, datetime]:
    """Return the customers of a log as they stood at the as_of, and the last event that was seen.

    Raises
    ------
    UsageError
        The as_of stands before the as_of of the training: the model has seen what came after.
    """
    if as_of < bundle.as_of:
        raise UsageError(
            f"--as-of {iso(as_of)} stands before the training's as_of {iso(bundle.as_of)}: this model has learned from "
            "what came after; score at a later date, or train with this --as-of"
        )
    table = DailyTable(log.con, as_of)
    models = bundle.models
    journeys = walk(models.scheme, models.catalog, table.purchase_days(), table.first_events())
    (now,) = take(table, models.catalog, journeys, [0])
    return now, from_microseconds(table.last_event())


def score_snapshot(scorer: Scorer, now: Snapshot, data_cutoff: datetime) -> pa.Table:
    """Return the scores of a snapshot, ordered by customer_id."""
    return scorer.score(now.ids[now.customer], now.as_of, data_cutoff, now.features, now.stage, now.stage_since)


def write_scores(scores: pa.Table, path: Path) -> None:
    """Write scores as Parquet, or as CSV where the name ends so; the file appears whole.

    Raises
    ------
    UsageError
        The name ends in neither, or the folder is not there.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(f"--out {path}: scores are written as .parquet or .csv; name the file so")
    with replaced(path) as draft:
        if path.suffix == ".csv":
            pc.write_csv(contract.csv_table(scores), draft)
        else:
            pq.write_table(scores, draft, compression="zstd")

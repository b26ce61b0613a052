"""Scoring a whole log."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from features.clock import from_microseconds, iso
from features.engines.duckdb import DailyTable
from features.errors import UsageError
from features.events import EventLog
from features.lifecycle import fit_lifecycle
from features.snapshots import Snapshot, take
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
    life = fit_lifecycle(table, models.scheme, models.config.horizon_days)
    (now,) = take(table, life, [0], models.config.known_at_start)
    return now, from_microseconds(table.last_event())


def score_snapshot(scorer: Scorer, now: Snapshot, data_cutoff: datetime) -> pa.Table:
    """Return the scores of a snapshot, ordered by customer_id."""
    return scorer.score(now.ids[now.customer], now.as_of, data_cutoff, now.features, now.standing, now.categories)

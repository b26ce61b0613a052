"""Stages of the customers of a log, without a model, as ``stagecast stages`` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import EventLog
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock
from stagecast.features.stages.history import history
from stagecast.features.stages.lifecycle import Lifecycle, Standing, fit_lifecycle
from stagecast.features.stages.scheme import Scheme
from stagecast.serving.scoring.score_schema import INSTANT
from stagecast.training.config import TrainConfig

SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), False),
        pa.field("stage", pa.string(), False),
        pa.field("stage_since", INSTANT, False),
        pa.field("stage_rule", pa.string(), False),
    ]
)


@dataclass(frozen=True)
class StagesOf:
    """The customers of a log at one as_of, ordered by id, and their lifecycle."""

    ids: NDArray[np.object_]
    as_of: datetime
    life: Lifecycle
    clock: ShopClock = UTC_CLOCK

    @cached_property
    def standing(self) -> Standing:
        """Stage of each customer, since when, and why."""
        return self.life.standing(self.as_of)

    @property
    def counts(self) -> dict[str, int]:
        """Number of customers on each stage."""
        ids = self.life.scheme.ids
        counted = np.bincount(self.standing.stage, minlength=len(ids))
        return {stage: int(count) for stage, count in zip(ids, counted, strict=True)}


def stages_of(
    log: EventLog, as_of: datetime, scheme: Scheme, *, keep_facts: bool = False
) -> StagesOf:
    """Return the stages of a log's customers; the thresholds are derived from the log.

    Parameters
    ----------
    keep_facts
        Whether the lifecycle keeps the facts that the rules read.
    """
    table = DailyTable(log.con, as_of)
    # no rule looks at a feature that depends on the horizon
    life = fit_lifecycle(table, scheme, TrainConfig.horizon_days, keep_facts=keep_facts)
    return StagesOf(table.customers, table.anchor, life, table.clock)


def stage_table(stages: StagesOf) -> pa.Table:
    """Return one row per customer, with ``stage_group`` where the scheme has groups."""
    standing, scheme = stages.standing, stages.life.scheme
    columns = [
        pa.array(stages.ids, pa.string()),
        pa.array(scheme.ids, pa.string()).take(pa.array(standing.stage)),
        pa.array(stages.clock.instant_microseconds(standing.since)).cast(INSTANT),
        scheme.explain(standing.stage, standing.facts),
    ]
    rows = pa.Table.from_arrays(columns, schema=SCHEMA)
    if not scheme.groups:
        return rows
    positions = scheme.group(standing.facts)
    names = pa.array([group.id for group in scheme.groups], pa.string()).take(
        pa.array(positions, mask=positions < 0)
    )
    return rows.append_column(pa.field("stage_group", pa.string()), names)


def with_lead_grades(rows: pa.Table, ranked: pa.Table) -> pa.Table:
    """Return the stages with ``lead_points`` and ``lead_grade``, null for those who have bought."""
    position = pc.index_in(rows["customer_id"], value_set=ranked["customer_id"])
    for name in ("lead_points", "lead_grade"):
        rows = rows.append_column(name, ranked[name].take(position))
    return rows


def history_table(stages: StagesOf) -> pa.Table:
    """Return every spell of every customer: customer_id, stage, from, to, rule."""
    return history(stages.life, stages.ids, stages.as_of, stages.clock)

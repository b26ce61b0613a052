"""The stages of a log without any model: what ``stagecast stages`` writes."""

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

    @cached_property
    def standing(self) -> Standing:
        """Where each customer stands."""
        return self.life.standing(self.as_of)

    @property
    def counts(self) -> dict[str, int]:
        """How many customers stand on each stage."""
        ids = self.life.scheme.ids
        counted = np.bincount(self.standing.stage, minlength=len(ids))
        return {stage: int(count) for stage, count in zip(ids, counted, strict=True)}


def stages_of(
    log: EventLog, as_of: datetime, scheme: Scheme, *, keep_facts: bool = False
) -> StagesOf:
    """Return the stages of a log's customers on a scheme; its thresholds are derived from the
    log.
    """
    table = DailyTable(log.con, as_of)
    # no rule looks at a feature that depends on the horizon
    life = fit_lifecycle(table, scheme, TrainConfig.horizon_days, keep_facts=keep_facts)
    return StagesOf(table.customers, as_of, life)


def stage_table(found: StagesOf) -> pa.Table:
    """Return one row per customer; a scheme with groups has them in a column ``stage_group``."""
    standing, scheme = found.standing, found.life.scheme
    columns = [
        pa.array(found.ids, pa.string()),
        pa.array(scheme.ids, pa.string()).take(pa.array(standing.stage)),
        pa.array(standing.since).cast(INSTANT),
        scheme.explain(standing.stage, standing.facts),
    ]
    rows = pa.Table.from_arrays(columns, schema=SCHEMA)
    if not scheme.groups:
        return rows
    group = scheme.group(standing.facts)
    names = pa.array([one.id for one in scheme.groups], pa.string()).take(
        pa.array(group, mask=group < 0)
    )
    return rows.append_column(pa.field("stage_group", pa.string()), names)


def with_lead_grades(rows: pa.Table, ranked: pa.Table) -> pa.Table:
    """Return the stages with ``lead_points`` and ``lead_grade`` of those who have not bought;
    null for the others.
    """
    place = pc.index_in(rows["customer_id"], value_set=ranked["customer_id"])
    for name in ("lead_points", "lead_grade"):
        rows = rows.append_column(name, ranked[name].take(place))
    return rows


def history_table(found: StagesOf) -> pa.Table:
    """Return every spell of every customer: customer_id, stage, from, to, rule."""
    return history(found.life, found.ids, found.as_of)

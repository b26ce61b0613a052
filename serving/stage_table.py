"""The stage of each customer of a log, without any model: what ``stagecast stages`` writes."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from features.catalog import standard
from features.clock import day_number
from features.engines.duckdb import DailyTable
from features.events import EventLog
from features.journeys import walk
from features.snapshots import take
from features.stages import Scheme, load_scheme
from features.thresholds import catalog_parameters, derive
from serving.contract import INSTANT
from training.config import TrainConfig

SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), False),
        pa.field("stage", pa.string(), False),
        pa.field("stage_since", INSTANT, False),
        pa.field("stage_rule", pa.string(), False),
    ]
)


def stage_table(log: EventLog, as_of: datetime, scheme_name: str) -> tuple[pa.Table, Scheme]:
    """Return the stage of each customer at the as_of, and the scheme with the thresholds that it derived."""
    table = DailyTable(log.con, as_of)
    days = table.purchase_days()
    scheme = load_scheme(scheme_name).with_thresholds(derive(days, day_number(as_of)))
    # no rule looks at a feature that depends on the horizon
    catalog = standard(TrainConfig.horizon_days).with_parameters(**catalog_parameters(scheme.thresholds))
    (now,) = take(table, catalog, walk(scheme, catalog, days, table.first_events()), [0])
    rules = [scheme.explain(int(stage), now.features, row) for row, stage in enumerate(now.stage)]
    found = pa.table(
        {
            "customer_id": pa.array(now.ids[now.customer].tolist(), pa.string()),
            "stage": pa.array(np.array(scheme.ids)[now.stage].tolist(), pa.string()),
            "stage_since": pa.array(now.stage_since, pa.int64()).cast(INSTANT),
            "stage_rule": pa.array(rules, pa.string()),
        },
        schema=SCHEMA,
    )
    return found, scheme

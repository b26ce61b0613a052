"""The leads of a log at an as_of, best first: points with their reasons, grade, and P(first
purchase).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from stagecast.features.arrays import Array
from stagecast.features.attributes import Texts
from stagecast.features.clock import DAY_MICROSECONDS, day_number, from_microseconds, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.leads import LeadEvents
from stagecast.features.snapshots import take_snapshots
from stagecast.features.stages.lifecycle import Lifecycle
from stagecast.training.config import TrainConfig
from stagecast.training.lead_points.grades import Grades, threshold
from stagecast.training.lead_points.points import PointsTable
from stagecast.training.lead_points.scoring import LeadScores, score_points
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.leads.fitting import fit_leads, landmark
from stagecast.training.panel import plan_dates

SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), False),
        pa.field("lead_points", pa.float64(), False),
        pa.field("lead_grade", pa.string(), False),
        pa.field("p_convert", pa.float64()),
        pa.field("age_days", pa.float64(), False),
        pa.field("channel", pa.string()),
        pa.field("lead_reasons", pa.string(), False),
    ]
)
"""``lead_reasons`` are the three rules that counted most; ``p_convert`` is null where none was
fitted.
"""


@dataclass(frozen=True)
class RankedLeads:
    """The table (:data:`SCHEMA`, best first) and the thresholds of the grades."""

    table: pa.Table
    grades: Grades


def rank_leads(
    points: PointsTable,
    events: LeadEvents,
    as_of: datetime,
    horizon_days: int,
    attributes: Mapping[str, Texts],
    p_convert: Mapping[str, float] | None = None,
) -> RankedLeads:
    """Return every open lead: whoever has not bought before the as_of.

    Parameters
    ----------
    points
        With its grades as wanted; a wanted conversion is looked for a horizon before the as_of.
    attributes
        Known from the start: name -> one text per customer of ``events``.
    p_convert
        Customer -> P(first purchase within the horizon); None: null for all.

    Raises
    ------
    NotEnoughDataError
        There is no open lead, or too few to find a wanted threshold on.
    """
    first, bought = events.first_instants(), events.first_instants_of("purchase")
    at = microseconds(as_of)
    rows = np.flatnonzero((first < at) & (bought >= at))
    if not len(rows):
        raise NotEnoughDataError(
            "there is no lead: every customer of this log has bought; leads are "
            "customers with other events than a "
            "purchase (--event names the column of types)"
        )
    now = score_points(points, events, as_of, attributes)
    grades = _grades(points, events, as_of, horizon_days, attributes, now.points[rows])
    chances = np.array(
        [
            np.nan if p_convert is None else p_convert.get(str(c), np.nan)
            for c in events.customers[rows]
        ]
    )
    told = now.points[rows]
    # the fitted chance decides between equal points
    order = np.lexsort((rows, -np.nan_to_num(chances), -told))
    rows, told, chances = rows[order], told[order], chances[order]
    channels = events.first_channels()[rows]
    columns = [
        pa.array(events.customers[rows], pa.string()),
        pa.array(told),
        pa.array(grades.of(told), pa.string()),
        pa.array(chances, from_pandas=True),
        pa.array((at - first[rows]) / DAY_MICROSECONDS),
        pa.array([channel or None for channel in channels], pa.string()),
        pa.array([_reasons(now, int(row)) for row in rows], pa.string()),
    ]
    return RankedLeads(pa.Table.from_arrays(columns, schema=SCHEMA), grades)


def _reasons(scores: LeadScores, row: int) -> str:
    return "; ".join(f"{name} {points:+.1f}" for name, points in scores.reasons(row))


def _grades(
    points: PointsTable,
    events: LeadEvents,
    as_of: datetime,
    horizon_days: int,
    attributes: Mapping[str, Texts],
    now: Array,
) -> Grades:
    """Return the thresholds that give what is wanted of the grades; without a wish nobody is
    qualified.
    """
    wanted = [grade for grade in (points.mql, points.sql) if grade is not None]
    past, converted = None, None
    if any(grade.kind == "conversion" for grade in wanted):
        then = as_of - timedelta(days=horizon_days)
        first, bought, at = (
            events.first_instants(),
            events.first_instants_of("purchase"),
            microseconds(then),
        )
        rows = np.flatnonzero((first < at) & (bought >= at))
        past = score_points(points, events, then, attributes).points[rows]
        converted = bought[rows] < microseconds(as_of)
    found = [
        np.inf if grade is None else threshold(grade, now, past, converted)
        for grade in (points.mql, points.sql)
    ]
    return Grades(*found)


def fit_on_log(
    table: DailyTable, life: Lifecycle, known_at_start: Sequence[str] = ()
) -> tuple[LeadConversion, dict[str, float]]:
    """Fit P(first purchase) on a log as a training does, without the other models.

    Returns
    -------
    The model, and customer -> P(first purchase within the horizon) of the open leads.
    """
    history_days = day_number(table.anchor) - day_number(from_microseconds(table.first_event()))
    backs = plan_dates(history_days, life.horizon_days, TrainConfig.max_dates)
    now, *past = take_snapshots(table, life, [0, *backs], known_at_start)
    model = fit_leads(
        life, now, [landmark(snapshot, tuple(life.scheme.signals)) for snapshot in past]
    )
    rows = np.flatnonzero(~now.buyers)
    chance = model.probability(
        {name: values[rows] for name, values in {**now.features, **now.standing.facts}.items()},
        {name: values[rows] for name, values in now.categories.items()},
    )
    return model, dict(zip(now.ids[now.customer[rows]].tolist(), chance.tolist(), strict=True))

"""Open leads at an as_of, best first, with points, reasons, grade and P(first purchase)."""

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
from stagecast.features.errors import NotEnoughDataError, did_you_mean
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
"""``lead_reasons`` are the three largest contributions; ``p_convert`` is null without a model."""

MAX_NAMED = 10
"""Number of event types that a sentence names."""


@dataclass(frozen=True)
class RankedLeads:
    """The table (:data:`SCHEMA`, best first), the thresholds of the grades, and how many leads were
    ended by an event.
    """

    table: pa.Table
    grades: Grades
    closed: int = 0


def rank_leads(
    points: PointsTable,
    events: LeadEvents,
    as_of: datetime,
    horizon_days: int,
    attributes: Mapping[str, Texts],
    p_convert: Mapping[str, float] | None = None,
    ends_lead: Sequence[str] = (),
) -> RankedLeads:
    """Return all open leads: no purchase before the as_of, and no event that ends a lead.

    Parameters
    ----------
    points
        Table of points and grades. A grade defined by conversion is evaluated a horizon before the
        as_of.
    events
        Events of the log.
    as_of
        Time of the ranking.
    horizon_days
        Horizon of conversions, in days.
    attributes
        Attribute known at the first contact -> one text per customer of ``events``.
    p_convert
        Customer -> P(first purchase within the horizon); None leaves the column null.
    ends_lead
        Event types that end a lead, such as ``lost``.

    Raises
    ------
    NotEnoughDataError
        There are no open leads, or too few for the threshold of a grade.
    """
    first, instant = events.first_instants(), microseconds(as_of)
    rows, closed = events.open_leads(instant, ends_lead), 0
    if ends_lead:
        closed = len(events.open_leads(instant)) - len(rows)
    if not len(rows) and closed:
        raise NotEnoughDataError(
            f"there is no open lead: {closed:,} were ended by {' or '.join(ends_lead)} "
            "(--ends-lead), and all others have bought"
        )
    if not len(rows):
        raise NotEnoughDataError(
            "there is no lead: every customer of this log has bought; leads are "
            "customers with other events than a "
            "purchase (--event names the column of types)"
        )
    scores = score_points(points, events, as_of, attributes)
    lead_points = scores.points[rows]
    grades = _grades(points, events, as_of, horizon_days, attributes, lead_points, ends_lead)
    chances = np.array(
        [
            np.nan if p_convert is None else p_convert.get(str(customer), np.nan)
            for customer in events.customers[rows]
        ]
    )
    # leads with equal points are ordered by probability
    order = np.lexsort((rows, -np.nan_to_num(chances), -lead_points))
    rows, lead_points, chances = rows[order], lead_points[order], chances[order]
    channels = events.first_channels()[rows]
    columns = [
        pa.array(events.customers[rows], pa.string()),
        pa.array(lead_points),
        pa.array(grades.of(lead_points), pa.string()),
        pa.array(chances, from_pandas=True),
        pa.array((instant - first[rows]) / DAY_MICROSECONDS),
        pa.array([channel or None for channel in channels], pa.string()),
        pa.array([_reasons(scores, int(row)) for row in rows], pa.string()),
    ]
    return RankedLeads(pa.Table.from_arrays(columns, schema=SCHEMA), grades, closed)


def without_points(points: PointsTable, events: LeadEvents) -> str | None:
    """Return a sentence where no event of the leads has points, so that all have 0; else None."""
    types = sorted(set(events.types) - {"purchase", "refund"})
    worth = {rule.event for rule in points.rules if rule.points}
    if (
        not types
        or worth.intersection(types)
        or any(any(values.values()) for values in points.attributes.values())
    ):
        return None
    listed = ", ".join(types[:MAX_NAMED]) + (", ..." if len(types) > MAX_NAMED else "")
    return (
        f"no event type of this log has points ({listed}): all leads have 0 points and no grade. "
        "Give them points in a file for --points, or let --learn FILE suggest points from the log"
    )


def unknown_ends(events: LeadEvents, ends_lead: Sequence[str]) -> list[str]:
    """Return a sentence for each type of ``ends_lead`` that no lead has."""
    return [
        f"--ends-lead '{event}': no lead has such an event ({', '.join(events.types[:MAX_NAMED])})."
        f"{did_you_mean(event, events.types)}"
        for event in ends_lead
        if event not in events.types
    ]


def _reasons(scores: LeadScores, row: int) -> str:
    return "; ".join(f"{name} {points:+.1f}" for name, points in scores.reasons(row))


def _grades(
    points: PointsTable,
    events: LeadEvents,
    as_of: datetime,
    horizon_days: int,
    attributes: Mapping[str, Texts],
    current_points: Array,
    ends_lead: Sequence[str],
) -> Grades:
    """Return the thresholds of the grades; infinite, so that nobody is qualified, without one."""
    targets = [grade for grade in (points.mql, points.sql) if grade is not None]
    past_points, converted = None, None
    if any(grade.kind == "conversion" for grade in targets):
        past_date = as_of - timedelta(days=horizon_days)
        first_purchase = events.first_instants_of("purchase")
        rows = events.open_leads(microseconds(past_date), ends_lead)
        past_points = score_points(points, events, past_date, attributes).points[rows]
        converted = first_purchase[rows] < microseconds(as_of)
    thresholds = [
        np.inf if grade is None else threshold(grade, current_points, past_points, converted)
        for grade in (points.mql, points.sql)
    ]
    return Grades(*thresholds)


def fit_on_log(
    table: DailyTable, life: Lifecycle, known_at_start: Sequence[str] = ()
) -> tuple[LeadConversion, dict[str, float]]:
    """Fit P(first purchase) on a log as a training does, without the other models.

    Parameters
    ----------
    table
        Daily table of the as_of.
    life
        Lifecycle at the as_of; gives the horizon.
    known_at_start
        Columns of the table of customers that were known at the first contact.

    Returns
    -------
    model
        The fitted model.
    p_convert
        Customer -> P(first purchase within the horizon) of the open leads.
    """
    history_days = day_number(table.anchor) - day_number(from_microseconds(table.first_event()))
    backs = plan_dates(history_days, life.horizon_days, TrainConfig.max_dates)
    current, *past = take_snapshots(table, life, [0, *backs], known_at_start)
    model = fit_leads(
        life, current, [landmark(snapshot, tuple(life.scheme.signals)) for snapshot in past]
    )
    rows = np.flatnonzero(~current.buyers)
    p_convert = model.probability(
        {
            name: values[rows]
            for name, values in {**current.features, **current.standing.facts}.items()
        },
        {name: values[rows] for name, values in current.categories.items()},
    )
    return model, dict(
        zip(current.ids[current.customer[rows]].tolist(), p_convert.tolist(), strict=True)
    )

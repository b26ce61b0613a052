"""Leads ranked by points, and written: customers who have not bought yet, best first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from stagecast.features.attributes import Texts, attribute_kinds, table_attribute_texts
from stagecast.features.catalog.of_customer import check_numbers
from stagecast.features.catalog.own import OwnFeatures
from stagecast.features.clock import iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.events import EventLog
from stagecast.features.files import write_text
from stagecast.features.leads import LeadEvents, lead_events
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.reading import Reading
from stagecast.serving.requests import LeadsRequest
from stagecast.serving.runs.table_files import check_targets, write_scores
from stagecast.training.config import TrainConfig
from stagecast.training.lead_points.grades import grade_target_of_option
from stagecast.training.lead_points.learning import LearnedPoints, learn_points
from stagecast.training.lead_points.points import DEFAULT, PointsTable, load_points
from stagecast.training.lead_points.ranking import (
    SCHEMA,
    fit_on_log,
    rank_leads,
    unknown_ends,
    without_points,
)


@dataclass(frozen=True)
class LeadRanking:
    """Leads that were written.

    Parameters
    ----------
    request
        What was asked for.
    as_of
        Where the leads stand.
    leads
        One row per lead, best first, as
        :data:`stagecast.training.lead_points.ranking.SCHEMA` says.
    thresholds
        Points from which a lead is ``mql`` and ``sql``; None: no number of points is enough.
    method
        ``blend`` where P(first purchase) was fitted, ``rule`` where there was too little for that.
    low_data
        Whether it was fitted on few.
    suggested
        Points that were suggested from the log; None: none were asked for.
    closed
        How many customers are no lead any more, because of an event of ``request.ends_lead``.
    notes
        What to know of the points, as sentences.
    """

    request: LeadsRequest
    as_of: datetime
    leads: pa.Table
    thresholds: Mapping[str, float | None]
    method: str
    low_data: bool
    suggested: LearnedPoints | None
    closed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def grades(self) -> dict[str, int]:
        """How many leads have each grade."""
        names = self.leads["lead_grade"].to_numpy(zero_copy_only=False)
        return {
            str(name): int(count)
            for name, count in zip(*np.unique(names, return_counts=True), strict=True)
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without the leads."""
        return {
            "out": str(self.request.out),
            "as_of": iso(self.as_of),
            "leads": len(self.leads),
            "grades": self.grades,
            "thresholds": dict(self.thresholds),
            "method": self.method,
            "low_data": self.low_data,
            "learned": None if self.suggested is None else str(self.request.learn),
            "closed": self.closed,
            "notes": list(self.notes),
        }


def write_leads(reading: Reading, request: LeadsRequest) -> LeadRanking:
    """Rank the leads of a log, and write them; suggest points from it where that is asked for.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log or the points cannot be read, a file cannot be written, or there is no lead.
    """
    out, learn, horizon_days = request.out, request.learn, request.horizon_days
    check_targets(out=out, learn=learn)
    points = _points(request)
    with reading.open(out, learn, command="leads") as log:
        as_of = log.choose_as_of(reading.as_of)
        events, attributes = _leads_of(log, reading.own, as_of, horizon_days)
        suggested = None
        if learn is not None:
            suggested = learn_points(
                points, events, as_of, horizon_days, attributes, ends_lead=request.ends_lead
            )
            write_text(learn, suggested.toml())
        days = DailyTable(log.con, as_of)
        life = fit_lifecycle(days, load_scheme("retail"), horizon_days)
        model, chances = fit_on_log(days, life, log.known_at_start)
        ranked = rank_leads(
            points, events, as_of, horizon_days, attributes, chances, request.ends_lead
        )
    write_scores(ranked.table, out)
    pointless = without_points(points, events)
    return LeadRanking(
        request,
        as_of,
        ranked.table,
        {"mql": _finite(ranked.grades.mql), "sql": _finite(ranked.grades.sql)},
        "rule" if model.hazard is None else "blend",
        model.low_data,
        suggested,
        ranked.closed,
        tuple(unknown_ends(events, request.ends_lead)) + ((pointless,) if pointless else ()),
    )


def graded_leads(log: EventLog, own: OwnFeatures, as_of: datetime) -> pa.Table:
    """Return the leads of a log with the points and grades of the package, without a fitted chance.

    Where there is no lead, the table has no row.
    """
    horizon_days = TrainConfig.horizon_days
    events, attributes = _leads_of(log, own, as_of, horizon_days)
    try:
        return rank_leads(load_points(), events, as_of, horizon_days, attributes).table
    except NotEnoughDataError:
        return SCHEMA.empty_table()


def _points(request: LeadsRequest) -> PointsTable:
    """Return the table of points with the grades that were asked for."""
    points = load_points(request.points or DEFAULT)
    if request.mql is not None:
        points = replace(points, mql=grade_target_of_option(request.mql, "--mql"))
    if request.sql is not None:
        points = replace(points, sql=grade_target_of_option(request.sql, "--sql"))
    return points


def _leads_of(
    log: EventLog, own: OwnFeatures, as_of: datetime, horizon_days: int
) -> tuple[LeadEvents, dict[str, Texts]]:
    """Return what leads had done until they bought, and what was known of them from the start.

    Raises
    ------
    UsageError
        A feature of one's own asks for a number of a column that holds none.
    """
    check_numbers(own.catalog(horizon_days), attribute_kinds(log.con), log.known_at_start)
    events = lead_events(log.con, as_of, until_purchase=True)
    return events, table_attribute_texts(log.con, events.customers, log.known_at_start)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None

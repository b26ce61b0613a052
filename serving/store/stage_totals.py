"""Totals of the stages of a run, and how customers moved between stages since the run before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from stagecast.serving.store.forecast import stored_forecast
from stagecast.serving.store.lists.flows import flow_source, read_flows
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.totals import totals_by_stage


@dataclass(frozen=True)
class StageTotal:
    """Number of customers on a stage and sums of their values; None if no customer has a value.

    ``expected`` is how many customers of the run are expected on it at the end of the horizon; None
    for a run that an earlier version published.
    """

    stage: str
    customers: int
    value_at_risk: float | None
    clv: float | None
    expected: float | None = None


@dataclass(frozen=True)
class StageFlows:
    """Numbers of customers by their stages in two published runs.

    Parameters
    ----------
    earlier_as_of
        The as_of of the earlier run, UTC; None: there is none with the same scheme.
    flows
        Tuples ``(from_stage, to_stage, customers)``; ``from_stage`` is None for customers without a
        score in the earlier run.
    """

    earlier_as_of: datetime | None
    flows: list[tuple[str | None, str, int]]


def stage_totals(engine: sa.Engine, run: Run) -> list[StageTotal]:
    """Return the totals of every stage of the run's scheme, in order."""
    of_stages = totals_by_stage(engine, run.id)
    with engine.connect() as connection:
        expected = stored_forecast(connection, run.id) or {}
    return [
        StageTotal(stage, *of_stages.get(stage, (0, None, None)), expected.get(stage))
        for stage in run.stage_ids
    ]


def stage_flows(engine: sa.Engine, run: Run) -> StageFlows:
    """Return the flows of customers between stages since the previous run of the same scheme.

    The previous run is the published run with the latest earlier as_of; a second publication
    for the same as_of does not count.
    """
    with engine.connect() as connection:
        source = flow_source(connection, run.scheme_id, run.as_of)
        if source is None:
            return StageFlows(None, [])
        flows = read_flows(connection, run.id, source.id)
    position = {stage: k for k, stage in enumerate(run.stage_ids)}
    flows.sort(key=lambda flow: (position.get(flow[0] or "", -1), position[flow[1]]))
    return StageFlows(source.as_of, flows)

"""Flows of customers between the stages of two runs, counted when the later one is published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.lists.tables import flows
from stagecast.serving.store.tables import runs, scores

Flow = tuple[str | None, str, int]
"""Stage before (None: no score), stage now, customers."""


def flow_source(connection: sa.Connection, scheme_id: str, as_of: datetime) -> Any:
    """Return id and as_of of the run from which customers flow to a later one; None: there is none.

    It is the published run of the scheme with the latest earlier as_of; a second publication for
    the same as_of does not count.
    """
    query = (
        sa.select(runs.c.id, runs.c.as_of)
        .where(
            runs.c.published_at.is_not(None),
            runs.c.scheme_id == scheme_id,
            runs.c.as_of < as_of,
        )
        .order_by(runs.c.as_of.desc(), runs.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).first()


def read_flows(connection: sa.Connection, run_id: int, earlier_id: int) -> list[Flow]:
    """Return the flows from one run to another: those that are kept, else counted now."""
    c = flows.c
    stored = sa.select(c.from_stage, c.to_stage, c.customers).where(
        c.run_id == run_id, c.earlier_run_id == earlier_id
    )
    rows = (
        connection.execute(stored).all() or connection.execute(_counted(run_id, earlier_id)).all()
    )
    return [(row[0] or None, str(row[1]), int(row[2])) for row in rows if row[2]]


def keep_flows(engine: sa.Engine, run_id: int) -> None:
    """Count the flows to a published run, unless they are kept already."""
    of_run = sa.select(runs.c.scheme_id, runs.c.as_of).where(runs.c.id == run_id)
    c = flows.c
    with engine.begin() as connection:
        run = connection.execute(of_run).one()
        source = flow_source(connection, run.scheme_id, run.as_of)
        if source is None:
            return
        same = (c.run_id == run_id, c.earlier_run_id == source.id)
        if connection.execute(sa.select(c.run_id).where(*same).limit(1)).first() is not None:
            return
        if connection.dialect.name == "postgresql":
            # nobody is being erased who is counted; SQLite has one writer at a time
            connection.exec_driver_sql("LOCK TABLE scores IN SHARE MODE")
        counted = _counted(run_id, source.id).subquery()
        rows = sa.select(sa.literal(run_id), sa.literal(source.id), *counted.c)
        names = ["run_id", "earlier_run_id", "from_stage", "to_stage", "customers"]
        connection.execute(flows.insert().from_select(names, rows))


def _counted(run_id: int, earlier_id: int) -> sa.Select[Any]:
    now, earlier = scores.alias("now"), scores.alias("earlier")
    same_customer = sa.and_(
        earlier.c.customer_id == now.c.customer_id, earlier.c.run_id == earlier_id
    )
    before = sa.func.coalesce(earlier.c.stage, "").label("from_stage")
    return (
        sa.select(before, now.c.stage.label("to_stage"), sa.func.count().label("customers"))
        .select_from(now.join(earlier, same_customer, isouter=True))
        .where(now.c.run_id == run_id)
        .group_by(before, now.c.stage)
    )


def forget_flows_from(connection: sa.Connection, earlier_id: int) -> None:
    """Remove the flows from a run that is about to be deleted, of which nobody asks any more."""
    connection.execute(flows.delete().where(flows.c.earlier_run_id == earlier_id))


def subtract_flows(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Take customers who are about to be deleted out of the flows that are kept."""
    c = flows.c
    pairs = connection.execute(sa.select(c.run_id, c.earlier_run_id).distinct()).all()
    for run_id, earlier_id in pairs:
        now, earlier = scores.alias("now"), scores.alias("earlier")
        same_customer = sa.and_(
            earlier.c.customer_id == now.c.customer_id, earlier.c.run_id == earlier_id
        )
        query = (
            sa.select(earlier.c.stage, now.c.stage)
            .select_from(now.join(earlier, same_customer, isouter=True))
            .where(now.c.run_id == run_id, now.c.customer_id.in_(ids))
        )
        for before, after in connection.execute(query).all():
            connection.execute(
                flows.update()
                .where(
                    c.run_id == run_id,
                    c.earlier_run_id == earlier_id,
                    c.from_stage == (before or ""),
                    c.to_stage == after,
                )
                .values(customers=c.customers - 1)
            )

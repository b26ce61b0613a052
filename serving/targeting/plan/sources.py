"""What a plan reads from the store: scores, plays, and who may be contacted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.features.stages.plays import Play, play_from_toml
from stagecast.serving.store.plan_tables import contacts, plan_customers, plans, profiles, settled
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.tables import documents, scores
from stagecast.serving.targeting.plan.candidates import (
    COLUMNS,
    LABELS,
    NUMBERS,
    Candidates,
    LabelCoder,
    candidates,
)
from stagecast.serving.targeting.plan.shown import Past
from stagecast.serving.targeting.plan.stored import is_storable
from stagecast.serving.targeting.plan.suppression import Reach
from stagecast.serving.targeting.plan.terms import Audience, Rules
from stagecast.serving.targeting.trial.spread import pool_spreads

RUNNING = ("frozen", "sent")
"""States of a plan whose customers no other plan may contact until its window closes."""
_ROWS, _SQLITE_ROWS = 50_000, 1_000
"""Rows that are read at a time; few are turned into columns before they leave the cache."""
CANCELLATION = "cancellation"
"""What a stored score says of its churn where that is the end of a contract."""
SETTLED_MAX = 8
"""Most settled runs from which the spread of spend is known."""
IDS_MAX = 500
"""Most ids of one query; longer lists are filtered after reading."""


def read_candidates(connection: sa.Connection, run_id: int, audience: Audience) -> Candidates:
    """Return the customers of a published run whom a plan may be about.

    Parameters
    ----------
    run_id
        The run.
    audience
        Its filters.
    """
    c = scores.c
    conditions: list[sa.ColumnElement[bool]] = [c.run_id == run_id]
    for column, values in (
        (c.stage, audience.stages),
        (c.play, audience.plays),
        (c.churn_band, audience.bands),
        (c.state, audience.states),
    ):
        if values:
            conditions.append(column.in_(values))
    if audience.min_value is not None:
        # at_risk and may_return of the candidates
        movable = sa.case(
            (c.state == "active", sa.func.coalesce(c.value_at_risk, 0.0)),
            else_=sa.func.coalesce(c.win_back, 0.0),
        )
        conditions.append(movable >= audience.min_value)
    if audience.ids is not None and len(audience.ids) <= IDS_MAX:
        conditions.append(c.customer_id.in_([id_ for id_ in audience.ids if is_storable(id_)]))
    query = sa.select(*(c[name] for name in COLUMNS)).where(*conditions).order_by(c.customer_id)
    coder, parts = LabelCoder(), list[tuple[NDArray[np.object_], Integers, Array]]()
    for part in _partitions(connection, query):
        ids, *columns = zip(*part, strict=True)
        labels, numbers = columns[: len(LABELS)], np.array(columns[len(LABELS) :], dtype=np.float64)
        parts.append((np.array(ids, dtype=object), coder.codes(labels), numbers))
    if not parts:
        return candidates({name: [] for name in COLUMNS})
    ids_of_parts, cells, numbers_of_parts = zip(*parts, strict=True)
    whole = coder.candidates(
        np.concatenate(ids_of_parts),
        np.concatenate(cells),
        dict(zip(NUMBERS, np.concatenate(numbers_of_parts, axis=1), strict=True)),
    )
    if audience.ids is not None and len(audience.ids) > IDS_MAX:
        wanted = frozenset(audience.ids)
        return whole.take(
            np.fromiter((id_ in wanted for id_ in whole.customer_id), np.bool_, len(whole))
        )
    return whole


def ids_without_score(connection: sa.Connection, run_id: int, ids: Sequence[str]) -> list[int]:
    """Return the positions of the ids that no score of a published run has."""
    c = scores.c
    asked = sorted({id_ for id_ in ids if is_storable(id_)})
    known: set[str] = set()
    for start in range(0, len(asked), IDS_MAX):
        part = asked[start : start + IDS_MAX]
        query = sa.select(c.customer_id).where(c.run_id == run_id, c.customer_id.in_(part))
        known.update(connection.scalars(query))
    return [position for position, id_ in enumerate(ids) if id_ not in known]


def _partitions(
    connection: sa.Connection, query: sa.Select[Any]
) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield the rows of a query, many at a time."""
    if connection.dialect.name != "sqlite":
        # of this statement alone: on the connection it would hold for all that follow, and the
        # cursors of the server take no lists of rows
        rows = connection.execute(query, execution_options={"stream_results": True})
        yield from rows.partitions(_ROWS)
        return
    # the cursor of the driver streams by itself; texts and numbers need no conversion, and plain
    # tuples are half as dear as rows. With stream_results the first row would be buffered already
    cursor = connection.execute(query).cursor
    while cursor is not None and (part := cursor.fetchmany(_SQLITE_ROWS)):
        yield part


def is_contract(connection: sa.Connection, run_id: int) -> bool:
    """Return whether churn is the end of a contract in the scores of a run."""
    query = sa.select(documents.c.score).where(documents.c.run_id == run_id).limit(1)
    return bool(json.loads(connection.scalar(query) or "{}").get("churn") == CANCELLATION)


def read_past(connection: sa.Connection, run: Run) -> Past:
    """Return what is known of how widely the spend of a buyer varies.

    Settled runs count that were published in time, with the same horizon as this one; the newest
    :data:`SETTLED_MAX` of them.
    """
    query = sa.select(settled.c.body).order_by(settled.c.id.desc()).limit(4 * SETTLED_MAX)
    stored = [json.loads(body) for body in connection.scalars(query)]
    spreads = [
        row["spread"]
        for row in stored
        if row.get("spread") and row.get("in_time") and row["horizon_days"] == run.horizon_days
    ]

    def ends(ids: Sequence[str]) -> tuple[Array, Array]:
        d = documents.c
        chosen = sa.select(d.customer_id, d.score).where(d.run_id == run.id, d.customer_id.in_(ids))
        of_customer = {id_: json.loads(score) for id_, score in connection.execute(chosen)}
        values = np.array(
            [
                [of_customer.get(id_, {}).get(f"expected_spend_{end}") for end in ("low", "high")]
                for id_ in ids
            ],
            dtype=np.float64,
        ).reshape(len(ids), 2)
        return values[:, 0], values[:, 1]

    return Past(pool_spreads(spreads[:SETTLED_MAX]), ends)


def plays_of(run: Run) -> tuple[Play, ...]:
    """Return the plays of the scheme that is stored with a run."""
    return tuple(
        play_from_toml(play, f"the scheme {run.scheme_id} of the store")
        for play in run.scheme.get("plays", ())
    )


def read_reach(
    connection: sa.Connection, rules: Rules, at: datetime, *, besides: int | None = None
) -> Reach:
    """Return what is known of who may be contacted.

    Parameters
    ----------
    rules
        Quiet days and cap.
    at
        Start of the plan, UTC: plans that run on it count, and contacts so many days before it or
        later; scores may be older than the last contacts.
    besides
        Id of the plan itself, which does not stand in its own way.
    """
    p, c = profiles.c, contacts.c

    def ids(*conditions: sa.ColumnElement[bool]) -> frozenset[str]:
        query = sa.select(p.customer_id).where(*conditions)
        return frozenset(connection.scalars(query))

    def contacted(days: int, times: int) -> frozenset[str]:
        query = (
            sa.select(c.customer_id)
            .where(c.contacted_at >= at - timedelta(days=days))
            .group_by(c.customer_id)
            .having(sa.func.count() >= times)
        )
        return frozenset(connection.scalars(query))

    running = [
        row.id
        for row in connection.execute(
            sa.select(plans.c.id, plans.c.starts_at, plans.c.window_days).where(
                plans.c.state.in_(RUNNING)
            )
        )
        if row.id != besides and row.starts_at + timedelta(days=row.window_days) > at
    ]
    busy = connection.scalars(
        sa.select(plan_customers.c.customer_id).where(plan_customers.c.plan_id.in_(running))
    )
    most = rules.most_contacts
    return Reach(
        do_not_contact=ids(p.do_not_contact.is_(True)),
        refused=ids(p.consent.is_(False)),
        consented=ids(p.consent.is_(True)),
        recent=contacted(rules.quiet_days, 1) if rules.quiet_days else frozenset(),
        capped=frozenset() if most is None else contacted(rules.within_days, most),
        busy=frozenset(busy) if running else frozenset(),
    )

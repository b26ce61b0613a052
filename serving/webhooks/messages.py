"""The bodies of webhooks, read from the store when they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import instant_text, iso
from stagecast.serving.store.plan_tables import plans
from stagecast.serving.store.tables import runs, scores
from stagecast.serving.webhooks.outbox import CUSTOMERS_MOVED, MESSAGE_CUSTOMERS


@dataclass(frozen=True)
class Message:
    """What is sent.

    Parameters
    ----------
    data
        The body; None: there is nothing to say any more.
    rest
        Subject of the message that goes on where this one stops; None: it is complete.
    """

    data: dict[str, Any] | None
    rest: dict[str, Any] | None = None


def message_of(
    connection: sa.Connection, kind: str, subject: Mapping[str, Any], *, min_step: float
) -> Message:
    """Return the body of a message.

    Parameters
    ----------
    kind, subject
        As the outbox has them.
    min_step
        Least change of the churn probability with which a change of band is told, 0 to 1.
    """
    if kind == CUSTOMERS_MOVED:
        return _moves(connection, subject, min_step)
    row = connection.execute(sa.select(plans).where(plans.c.name == subject["plan"])).first()
    if row is None:
        return Message(None)
    contacts = row.proposal["contacts"]
    return Message(
        {
            "plan": row.name,
            "owner": row.owner,
            "state": row.state,
            "starts_at": instant_text(row.starts_at),
            "window_days": row.window_days,
            "contacts": contacts["contacts"],
            "held_out": row.proposal["held_out"],
            "expected_gain": contacts["gain"],
            "digest": row.digest,
        }
    )


def _moves(connection: sa.Connection, subject: Mapping[str, Any], min_step: float) -> Message:
    """Return the customers whose stage or band differs between two runs, in the order of ids."""
    now, before = scores.alias("now"), scores.alias("before")
    same_customer = sa.and_(
        before.c.customer_id == now.c.customer_id, before.c.run_id == subject["before"]
    )
    step = sa.func.abs(now.c.churn_probability - before.c.churn_probability)
    moved = sa.or_(
        now.c.stage != before.c.stage,
        sa.and_(now.c.churn_band != before.c.churn_band, step >= min_step),
    )
    query = (
        sa.select(
            now.c.customer_id,
            *(before.c.stage.label("stage_before"), now.c.stage),
            *(before.c.churn_band.label("churn_band_before"), now.c.churn_band),
            before.c.churn_probability.label("churn_probability_before"),
            now.c.churn_probability,
            now.c.play,
        )
        .select_from(now.join(before, same_customer))
        .where(now.c.run_id == subject["run"], moved)
        .order_by(now.c.customer_id)
        .limit(MESSAGE_CUSTOMERS + 1)
        # of a message that was queued before they went by the last customer
        .offset(subject.get("offset", 0))
    )
    if "after" in subject:
        query = query.where(now.c.customer_id > subject["after"])
    rows = [dict(row) for row in connection.execute(query).mappings()]
    if not rows:
        return Message(None)
    as_of = connection.scalar(sa.select(runs.c.as_of).where(runs.c.id == subject["run"]))
    rest = None
    if len(rows) > MESSAGE_CUSTOMERS:
        last = rows[MESSAGE_CUSTOMERS - 1]["customer_id"]
        rest = {"run": subject["run"], "before": subject["before"], "after": last}
    customers = rows[:MESSAGE_CUSTOMERS]
    return Message({"as_of": None if as_of is None else iso(as_of), "customers": customers}, rest)

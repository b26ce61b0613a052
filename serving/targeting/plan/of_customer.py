"""The plans that a customer was in, and the contacts that are known."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import instant_text
from stagecast.serving.store.plan_tables import contacts, plan_customers, plans, readouts

MOST_CONTACTS = 50


def contacts_of_customer(engine: sa.Engine, customer_id: str) -> list[dict[str, Any]]:
    """Return the stored contacts of a customer, the latest first, at most 50, as plain data.

    Each has ``at`` and ``source``: ``log``, ``upload``, or the name of a plan.
    """
    query = (
        sa.select(contacts.c.contacted_at, contacts.c.source)
        .where(contacts.c.customer_id == customer_id)
        .order_by(contacts.c.contacted_at.desc())
        .limit(MOST_CONTACTS)
    )
    with engine.connect() as connection:
        return [
            {"at": instant_text(row.contacted_at), "source": row.source}
            for row in connection.execute(query)
        ]


def plans_of_customer(engine: sa.Engine, customer_id: str) -> list[dict[str, Any]]:
    """Return the plans that a customer was in, the newest first, as plain data.

    Each has ``name``, ``state``, ``arm`` (``contact`` or ``holdout``), ``starts_at``,
    ``window_days``, ``contacted_at`` and ``verdict`` (of the last read-out), the last two None
    where there is none.
    """
    last = (
        sa.select(readouts.c.plan_id, sa.func.max(readouts.c.id).label("id"))
        .group_by(readouts.c.plan_id)
        .subquery()
    )
    query = (
        sa.select(
            *(plans.c.name, plans.c.state, plans.c.starts_at, plans.c.window_days),
            *(plan_customers.c.arm, plan_customers.c.confirmed_at, readouts.c.result),
        )
        .select_from(
            plan_customers.join(plans, plans.c.id == plan_customers.c.plan_id)
            .join(last, last.c.plan_id == plans.c.id, isouter=True)
            .join(readouts, readouts.c.id == last.c.id, isouter=True)
        )
        .where(plan_customers.c.customer_id == customer_id)
        .order_by(plans.c.id.desc())
    )
    with engine.connect() as connection:
        return [
            {
                "name": row.name,
                "state": row.state,
                "arm": row.arm,
                "starts_at": instant_text(row.starts_at),
                "window_days": row.window_days,
                "contacted_at": None
                if row.confirmed_at is None
                else instant_text(row.confirmed_at),
                "verdict": None if row.result is None else row.result["verdict"]["word"],
            }
            for row in connection.execute(query)
        ]

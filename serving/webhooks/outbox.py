"""What is to be sent: rows that are written with the change of a plan, or after a publication."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from stagecast.serving.store.earlier_run import earlier_run
from stagecast.serving.store.tables import runs
from stagecast.serving.store.webhook_tables import webhooks

PLAN_FROZEN, PLAN_CLOSED = "plan.frozen", "plan.closed"
CUSTOMERS_MOVED = "customers.moved"
MESSAGE_CUSTOMERS = 1_000
"""Most customers of one message."""


def add(connection: sa.Connection, kind: str, subject: dict[str, Any], now: datetime) -> None:
    """Add a message, in the transaction of the change that it tells of."""
    connection.execute(
        webhooks.insert().values(
            message_id=f"msg_{uuid4().hex}",
            kind=kind,
            subject=subject,
            created_at=now,
            attempts=0,
            next_at=now,
        )
    )


def add_moves(connection: sa.Connection, now: datetime) -> None:
    """Add the message of the customers who moved in the current run.

    They are compared with the published run of the latest earlier as_of with the same scheme and
    horizon; without one there is no message. A message that is sent adds the one that goes on
    where it stopped.
    """
    published = sa.select(runs).where(runs.c.published_at.is_not(None))
    current = connection.execute(published.order_by(runs.c.id.desc()).limit(1)).first()
    if current is None:
        return
    previous = earlier_run(connection, current.scheme_id, current.horizon_days, current.as_of)
    if previous is not None:
        add(connection, CUSTOMERS_MOVED, {"run": current.id, "before": previous.id}, now)

"""Tables of channels beside the run whose customers they describe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.plan_tables import channels


def store_channels(engine: sa.Engine, run_id: int, by: str, body: Mapping[str, Any]) -> None:
    """Store a table of channels, in place of one of the same run and grouping.

    Parameters
    ----------
    engine
        The store.
    run_id
        The published run whose customers it describes.
    by
        ``channel``, or the attribute by which customers are grouped.
    body
        The table as plain data, without ids of customers.
    """
    with engine.begin() as connection:
        connection.execute(
            channels.delete().where(channels.c.run_id == run_id, channels.c.grouping == by)
        )
        connection.execute(
            channels.insert().values(
                run_id=run_id, grouping=by, made_at=datetime.now(UTC), body=dict(body)
            )
        )


def stored_channels(engine: sa.Engine, run_id: int) -> dict[str, dict[str, Any]]:
    """Return grouping -> table of channels of a run, in the order of the groupings.

    Parameters
    ----------
    engine
        The store.
    run_id
        A published run.
    """
    query = (
        sa.select(channels.c.grouping, channels.c.body)
        .where(channels.c.run_id == run_id)
        .order_by(channels.c.grouping)
    )
    with engine.connect() as connection:
        return {row.grouping: row.body for row in connection.execute(query)}

"""The run that a published run is compared with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.tables import runs


def earlier_run(
    connection: sa.Connection, scheme_id: str, horizon_days: int, as_of: datetime
) -> Any:
    """Return id and as_of of the published run of the latest earlier as_of; None: there is none.

    Parameters
    ----------
    scheme_id, horizon_days
        Which both runs must have.
    as_of
        Of the later run, UTC.
    """
    query = (
        sa.select(runs.c.id, runs.c.as_of)
        .where(
            runs.c.published_at.is_not(None),
            runs.c.scheme_id == scheme_id,
            runs.c.horizon_days == horizon_days,
            runs.c.as_of < as_of,
        )
        .order_by(runs.c.as_of.desc(), runs.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).first()

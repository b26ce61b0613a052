"""Scores of customers in a run, as the JSON texts that are stored."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from stagecast.serving.store.tables import documents


def scores_of(
    connection: sa.Connection, run_id: int, customer_ids: Sequence[str]
) -> dict[str, str]:
    """Return the scores of customers in a run, by customer id, without those who have none."""
    query = sa.select(documents.c.customer_id, documents.c.score).where(
        documents.c.run_id == run_id, documents.c.customer_id.in_(customer_ids)
    )
    return {row[0]: row[1] for row in connection.execute(query)}

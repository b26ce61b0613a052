"""Comparisons before and after a date that were published, one for each date: sums, no customer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.tables import Instant, metadata

comparisons = sa.Table(
    "comparisons",
    metadata,
    # ISO 8601, as the comparison says it
    sa.Column("date", sa.String(32), primary_key=True),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)


def store_comparison(engine: sa.Engine, scheme_id: str, body: Mapping[str, Any]) -> None:
    """Store a comparison, in place of an earlier one of the same date.

    Parameters
    ----------
    engine
        The store.
    scheme_id
        Scheme whose stages the times on stages are of.
    body
        What :meth:`stagecast.features.describe.effectiveness.BeforeAfter.to_json` returns.
    """
    date = body["date"]
    with engine.begin() as connection:
        connection.execute(comparisons.delete().where(comparisons.c.date == date))
        connection.execute(
            comparisons.insert().values(
                date=date, made_at=datetime.now(UTC), body={**body, "scheme": scheme_id}
            )
        )


def stored_comparisons(engine: sa.Engine) -> list[dict[str, Any]]:
    """Return the comparisons of a store with ``made_at``, the latest date first."""
    query = sa.select(comparisons.c.made_at, comparisons.c.body).order_by(comparisons.c.date.desc())
    with engine.connect() as connection:
        return [{**row.body, "made_at": row.made_at} for row in connection.execute(query)]

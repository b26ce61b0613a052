"""The last result of watching each model, as metrics; it holds no customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from stagecast.serving.store.tables import Instant, metadata

monitorings = sa.Table(
    "monitorings",
    metadata,
    sa.Column("model_version", sa.String, primary_key=True),
    sa.Column("as_of", Instant, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    # in the text format of Prometheus
    sa.Column("metrics", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class StoredMonitoring:
    """A model that was watched: its version, as of when, when that was done (UTC), as metrics."""

    model_version: str
    as_of: datetime
    made_at: datetime
    metrics: str


def store_monitoring(engine: sa.Engine, model_version: str, as_of: datetime, metrics: str) -> None:
    """Store what watching a model gave, in place of what was stored of it before."""
    row = {"as_of": as_of, "made_at": datetime.now(UTC), "metrics": metrics}
    of_model = monitorings.c.model_version == model_version
    with engine.begin() as connection:
        if not connection.execute(monitorings.update().where(of_model).values(**row)).rowcount:
            connection.execute(monitorings.insert().values(model_version=model_version, **row))


def last_monitoring(engine: sa.Engine) -> StoredMonitoring | None:
    """Return what was stored last of any model; None: no model was watched with this store."""
    query = sa.select(monitorings).order_by(monitorings.c.made_at.desc()).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else StoredMonitoring(**row)

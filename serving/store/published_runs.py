"""Published runs: rows of the table ``runs``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.serving.store.tables import runs


@dataclass(frozen=True)
class Run:
    """A published scoring run: a row of the table ``runs``.

    Parameters
    ----------
    id
        Number of the run, ascending in the order of publication.
    as_of
        The as_of of its scores, UTC.
    horizon_days
        Horizon of the probabilities, in days.
    data_cutoff
        Time of the last event before the as_of, UTC.
    model_version, model_path
        Version and folder of the bundle that made the scores.
    scheme_id, scheme
        Stage scheme: ``{"id", "stages": [{"id", "title", "meaning", "action", "state"}]}``.
    published_at
        When the run became current, UTC.
    customers
        Number of scores that were published.
    zone
        Zone whose days were counted; None: UTC.
    currency
        Code of the currency of the amounts; None: not known.
    """

    id: int
    as_of: datetime
    horizon_days: int
    data_cutoff: datetime
    model_version: str
    model_path: str
    scheme_id: str
    scheme: dict[str, Any]
    published_at: datetime
    customers: int
    zone: str | None = None
    currency: str | None = None

    @property
    def clock(self) -> ShopClock:
        """Clock of the shop."""
        return clock_named(self.zone or "UTC")

    @property
    def stage_ids(self) -> list[str]:
        """The stage ids of the scheme, in order."""
        return [stage["id"] for stage in self.scheme["stages"]]


def current_run(connection: sa.Connection) -> Run | None:
    """Return the run that was published last, or None if there is none."""
    return next(iter(published_runs(connection, [])), None)


def published_runs(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], limit: int = 1
) -> list[Run]:
    """Return the published runs that meet conditions on the table ``runs``, the newest first."""
    columns = [column for column in runs.c if column.name not in ("created_at", "overview")]
    query = (
        sa.select(*columns)
        .where(runs.c.published_at.is_not(None), *conditions)
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    return [Run(**row) for row in connection.execute(query).mappings()]

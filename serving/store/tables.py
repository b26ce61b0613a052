"""The tables of published scores, in a store of version 8; those of plans are in
:mod:`stagecast.serving.store.plan_tables`, and :mod:`stagecast.serving.store.opening` opens it.

    runs --< scores      the columns by which lists are filtered and ordered
         \\-< documents   the whole score as the JSON object of the API, without sentences
         \\-< timelines   the last events, of the newest run (serving/store/timelines.py)

Pages of the newest runs are read from their lists (:mod:`stagecast.serving.store.lists`), which
have the indices; of scores there is the primary key alone, in whose order they are inserted.

The current run is the one with the highest id that has a ``published_at``, which is set after all
rows of the run are written.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import to_utc

VERSION = 8


class Instant(sa.TypeDecorator[datetime]):
    """A timezone-aware instant, stored as UTC without a zone, which every database supports."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the instant in UTC without its zone, for the database."""
        return None if value is None else to_utc(value).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return the stored instant with the zone UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


# every database compares ids by code point, so that the pages of a list never overlap
ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")

metadata = sa.MetaData()

store_version = sa.Table(
    "store_version", metadata, sa.Column("version", sa.Integer, primary_key=True)
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("as_of", Instant, nullable=False),
    sa.Column("horizon_days", sa.Integer, nullable=False),
    sa.Column("data_cutoff", Instant, nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("model_path", sa.String, nullable=False),
    sa.Column("scheme_id", sa.String, nullable=False),
    sa.Column("scheme", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("published_at", Instant),
    sa.Column("customers", sa.BigInteger, nullable=False),
    # totals and changes, worked out when the run is published
    sa.Column("overview", sa.JSON(none_as_null=True)),
    # zone whose days were counted; null: UTC, or the run was published before this was stored
    sa.Column("zone", sa.String),
    # code of the currency of the amounts; null: not known
    sa.Column("currency", sa.String),
    # an id is never used twice, so a cursor of a deleted run remains invalid
    sqlite_autoincrement=True,
)

_run_key = sa.ForeignKey("runs.id")

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("run_id", sa.Integer, _run_key, primary_key=True),
    sa.Column("customer_id", ID, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("churn_band", sa.String),
    sa.Column("churn_probability", sa.Float),
    sa.Column("churn_percentile", sa.Float),
    sa.Column("p_inactive", sa.Float),
    sa.Column("next_stage", sa.String, nullable=False),
    sa.Column("value_at_risk", sa.Float),
    sa.Column("value_gone", sa.Float),
    # of the lapsed: the value gone times the chance to return, by which they are ranked
    sa.Column("win_back", sa.Float),
    sa.Column("clv", sa.Float),
    sa.Column("expected_orders", sa.Float),
    sa.Column("expected_spend", sa.Float),
    sa.Column("next_order_date", sa.String(10)),
    sa.Column("recency_days", sa.Float),
    sa.Column("tenure_days", sa.Float, nullable=False),
    sa.Column("orders", sa.BigInteger, nullable=False),
    sa.Column("spend", sa.Float),
    sa.Column("play", sa.String),
    sa.Column("method", sa.String),
    sa.Column("loss_per_week", sa.Float),
    sa.Column("window_closes", sa.String(10)),
    sa.Column("days_overdue", sa.Float),
    # SQLite stores the rows in the order of the primary key, without a separate index
    sqlite_with_rowid=False,
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("customer_id", ID, primary_key=True),
    sa.Column("score", sa.Text, nullable=False),
)

SCORE_COLUMNS = tuple(column.name for column in scores.columns if column.name != "run_id")

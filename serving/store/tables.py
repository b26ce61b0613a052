"""The tables of the store, and how one is opened; version 1.

    runs --< scores      what lists are filtered and ranked by, in narrow rows
         \\-< documents   the whole score as the JSON object of the API

The current run is the one of highest id with a ``published_at``; it is set when all its rows stand.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateIndex, CreateTable

from stagecast.features.clock import to_utc
from stagecast.features.errors import UsageError

VERSION = 1
BUSY_MILLISECONDS = 10_000


class Instant(sa.TypeDecorator[datetime]):
    """A timezone-aware instant, kept as UTC without a zone, which every database can do."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Drop the zone on the way in."""
        return None if value is None else to_utc(value).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Put it back on the way out."""
        return None if value is None else value.replace(tzinfo=UTC)


# by code point everywhere, so that a page of a list ends and the next begins at the same customer
# on any database
_id = sa.String().with_variant(sa.String(collation="C"), "postgresql")

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
    # an id is never given twice, so a cursor of a deleted run stays invalid
    sqlite_autoincrement=True,
)

_run = sa.ForeignKey("runs.id")

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("run_id", sa.Integer, _run, primary_key=True),
    sa.Column("customer_id", _id, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("churn_band", sa.String),
    sa.Column("churn_probability", sa.Float),
    sa.Column("churn_percentile", sa.Float),
    sa.Column("p_inactive", sa.Float),
    sa.Column("next_stage", sa.String, nullable=False),
    sa.Column("value_at_risk", sa.Float),
    sa.Column("clv", sa.Float),
    sa.Column("expected_orders", sa.Float, nullable=False),
    sa.Column("expected_spend", sa.Float),
    sa.Column("next_order_date", sa.String(10)),
    sa.Column("recency_days", sa.Float),
    sa.Column("tenure_days", sa.Float, nullable=False),
    sa.Column("orders", sa.BigInteger, nullable=False),
    sa.Column("spend", sa.Float),
    # rows stand in the order of the primary key, without a second copy of it
    sqlite_with_rowid=False,
)
sa.Index("scores_by_customer", scores.c.customer_id, scores.c.run_id)
# the filters stand in the ranking indices too: a rare band is then found without a look at each row
for _name, _ranked in (
    ("scores_by_risk", scores.c.value_at_risk),
    ("scores_by_probability", scores.c.churn_probability),
    ("scores_by_clv", scores.c.clv),
):
    sa.Index(
        _name,
        scores.c.run_id,
        _ranked.desc(),
        scores.c.customer_id,
        scores.c.stage,
        scores.c.state,
        scores.c.churn_band,
    )
sa.Index(
    "scores_by_stage",
    scores.c.run_id,
    scores.c.stage,
    scores.c.value_at_risk.desc(),
    scores.c.customer_id,
    scores.c.clv,
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("customer_id", _id, primary_key=True),
    sa.Column("score", sa.Text, nullable=False),
)

SCORE_COLUMNS = tuple(column.name for column in scores.columns if column.name != "run_id")


def _tune_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA journal_mode=WAL")  # readers go on while a run is written
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def open_engine(url: str) -> sa.Engine:
    """Return an engine on a store of this version; tables that are missing are made.

    Raises
    ------
    UsageError
        The URL is none, its driver is not installed, the database cannot be opened or is no store,
        or a newer stagecast wrote it.
    """
    try:
        place = sa.make_url(url)
        if place.drivername in ("postgresql", "postgres"):
            place = place.set(drivername="postgresql+psycopg")  # the driver among the dependencies
        engine = sa.create_engine(place)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
        raise UsageError(
            f"--store '{_without_password(url)}' cannot be used: {error}; give a path, "
            "like ./stagecast.db"
        ) from None
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _tune_sqlite)
    try:
        with engine.begin() as connection:
            connection.execute(CreateTable(store_version, if_not_exists=True))
        with engine.begin() as connection:
            found = connection.scalar(sa.select(sa.func.max(store_version.c.version)))
            if found is not None and found > VERSION:
                raise UsageError(
                    f"the store '{_without_password(url)}' is of version {found}, written "
                    "by a newer stagecast; "
                    f"this one knows version {VERSION}: upgrade stagecast, or name another --store"
                )
            if found is None:
                _make_tables(connection)
    except sa.exc.SQLAlchemyError as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise UsageError(
            f"the store '{_without_password(url)}' cannot be opened: {cause}; "
            "is the folder there and writable, and is the file a store of stagecast?"
        ) from None
    except UsageError:
        engine.dispose()
        raise
    return engine


def _make_tables(connection: sa.Connection) -> None:
    for table in (runs, scores, documents):
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index, if_not_exists=True))
    here = sa.select(sa.literal(VERSION)).where(
        ~sa.exists().where(store_version.c.version == VERSION)
    )
    connection.execute(store_version.insert().from_select(["version"], here))


def _without_password(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url

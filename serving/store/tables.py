"""The tables of the store, version 2, and the function that opens it.

    runs --< scores      the columns by which lists are filtered and ordered
         \\-< documents   the whole score as the JSON object of the API

The current run is the one with the highest id that has a ``published_at``, which is set after all
rows of the run are written.
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

VERSION = 2
BUSY_MILLISECONDS = 10_000


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
_id_type = sa.String().with_variant(sa.String(collation="C"), "postgresql")

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
    # an id is never used twice, so a cursor of a deleted run remains invalid
    sqlite_autoincrement=True,
)

_run_key = sa.ForeignKey("runs.id")

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("run_id", sa.Integer, _run_key, primary_key=True),
    sa.Column("customer_id", _id_type, primary_key=True),
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
    # SQLite stores the rows in the order of the primary key, without a separate index
    sqlite_with_rowid=False,
)
sa.Index("scores_by_customer", scores.c.customer_id, scores.c.run_id)
# the indices of the order also contain the filters, so that a rare band needs no scan of the rows
for _name, _ranked in (
    ("scores_by_risk", scores.c.value_at_risk),
    ("scores_by_win_back", scores.c.win_back),
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
    sa.Column("customer_id", _id_type, primary_key=True),
    sa.Column("score", sa.Text, nullable=False),
)

SCORE_COLUMNS = tuple(column.name for column in scores.columns if column.name != "run_id")


def _tune_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA journal_mode=WAL")  # readers do not wait while a run is written
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def open_engine(url: str) -> sa.Engine:
    """Return an engine for the store at an SQLAlchemy URL, and create tables that are missing.

    Raises
    ------
    UsageError
        The text is not a URL, its driver is not installed, the database cannot be opened or is not
        a store, or a newer version of stagecast wrote it.
    """
    try:
        parsed_url = sa.make_url(url)
        if parsed_url.drivername in ("postgresql", "postgres"):
            # psycopg is the driver that stagecast depends on; SQLAlchemy's default is another
            parsed_url = parsed_url.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed_url)
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
            version = connection.scalar(sa.select(sa.func.max(store_version.c.version)))
            if version is not None and version > VERSION:
                raise UsageError(
                    f"the store '{_without_password(url)}' is of version {version}, written "
                    "by a newer stagecast; "
                    f"this one knows version {VERSION}: upgrade stagecast, or name another --store"
                )
            if version is None:
                _create_tables(connection)
            elif version < VERSION:
                _upgrade(connection)
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


def _create_tables(connection: sa.Connection) -> None:
    for table in (runs, scores, documents):
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index, if_not_exists=True))
    _insert_version(connection)


def _upgrade(connection: sa.Connection) -> None:
    """Bring a store of version 1 to this one: it lacked two columns and their index."""
    existing = {column["name"] for column in sa.inspect(connection).get_columns("scores")}
    for name in ("value_gone", "win_back"):
        if name not in existing:
            kind = scores.c[name].type.compile(connection.dialect)
            connection.execute(sa.text(f"ALTER TABLE scores ADD COLUMN {name} {kind}"))
    for index in scores.indexes:
        connection.execute(CreateIndex(index, if_not_exists=True))
    _insert_version(connection)


def _insert_version(connection: sa.Connection) -> None:
    # another process may have inserted the version meanwhile
    missing_version = sa.select(sa.literal(VERSION)).where(
        ~sa.exists().where(store_version.c.version == VERSION)
    )
    connection.execute(store_version.insert().from_select(["version"], missing_version))


def _without_password(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url

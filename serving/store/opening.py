"""Opening of the store: its engine, its tables, and the upgrade of an earlier version."""

from __future__ import annotations

import contextlib
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateIndex, CreateTable

from stagecast.features.errors import UsageError
from stagecast.serving.store import comparisons as comparisons  # its tables belong to the metadata
from stagecast.serving.store import erased as erased
from stagecast.serving.store import evidence as evidence
from stagecast.serving.store import idempotency_tables as idempotency_tables
from stagecast.serving.store import job_tables as job_tables
from stagecast.serving.store import key_tables as key_tables
from stagecast.serving.store import monitor_tables as monitor_tables
from stagecast.serving.store import plan_tables as plan_tables
from stagecast.serving.store import purge_tables as purge_tables
from stagecast.serving.store import saved_views as saved_views
from stagecast.serving.store import timelines as timelines
from stagecast.serving.store import webhook_tables as webhook_tables
from stagecast.serving.store.lists import building
from stagecast.serving.store.lists.tables import derived
from stagecast.serving.store.names import add_keys
from stagecast.serving.store.space import move_log
from stagecast.serving.store.tables import VERSION, metadata, store_version

BUSY_MILLISECONDS = 10_000
PAGE_BYTES = 8_192
"""Page of a new SQLite file: three documents of 2 kB, of which one of 4 kB often holds one."""
ATTEMPTS = 3
TABLES = tuple(table for table in metadata.sorted_tables if table is not store_version)
"""All tables beside that of the version, referred ones before referring ones."""
SUPERSEDED = (
    "scores_by_customer",
    "scores_by_risk",
    "scores_by_win_back",
    "scores_by_probability",
    "scores_by_clv",
    "scores_by_stage",
)
"""Indices of scores that versions before 6 had; lists have indices of their own."""
_NEEDED = tuple(table.name for table in (*TABLES, *derived.sorted_tables))


def _tune_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA page_count")
    if cursor.fetchall()[0][0] == 0:  # it would write to a file that is not new
        cursor.execute(f"PRAGMA page_size={PAGE_BYTES}")
        # space can be given back without copying the file
        cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
    cursor.execute("PRAGMA journal_mode=WAL")  # readers do not wait while a run is written
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _only_read_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def open_engine(url: str, *, read_only: bool = False) -> sa.Engine:
    """Return an engine for the store at an SQLAlchemy URL, and create tables that are missing.

    Parameters
    ----------
    url
        The store.
    read_only
        Whether nothing may be written, as to a replica: the database refuses it. Then tables that
        are missing are an error.

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
        # errors must not show ids and scores
        engine = sa.create_engine(parsed_url, hide_parameters=True)
        if read_only and engine.dialect.name == "postgresql":
            options = {"options": "-c default_transaction_read_only=on"}
            engine = sa.create_engine(parsed_url, hide_parameters=True, connect_args=options)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
        raise UsageError(
            f"--store '{_without_password(url)}' cannot be used: {error}; give a path, "
            "like ./stagecast.db"
        ) from None
    if engine.dialect.name == "sqlite":
        file = parsed_url.database
        if read_only and file and not Path(file).exists():
            raise UsageError(f"the store '{file}' is not there; --read-only makes none")
        sa.event.listen(engine, "connect", _only_read_sqlite if read_only else _tune_sqlite)
    try:
        for attempt in range(ATTEMPTS):
            try:
                _check_readable(engine, url) if read_only else _prepare(engine, url)
                break
            except sa.exc.OperationalError:
                # processes that make a new store at once are in each other's way, and every step
                # can be taken again
                if attempt + 1 == ATTEMPTS:
                    raise
    except sa.exc.SQLAlchemyError as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise UsageError(
            f"the store '{_without_password(url)}' cannot be opened: {cause}; "
            "is the folder there and writable, and is the file a store of stagecast?"
        ) from None
    except BaseException:  # also an interrupted upgrade leaves no connection
        engine.dispose()
        raise
    return engine


def _check_readable(engine: sa.Engine, url: str) -> None:
    """Refuse a store that this version can only read after it has added to it."""
    with engine.connect() as connection:
        existing = set(sa.inspect(connection).get_table_names())
        version = None
        if store_version.name in existing:
            version = connection.scalar(sa.select(sa.func.max(store_version.c.version)))
    if version != VERSION or not existing.issuperset(_NEEDED):
        raise UsageError(
            f"the store '{_without_password(url)}' is of version {version}, and this stagecast "
            f"reads {VERSION}: open it once without --read-only, with this version"
        )


def _prepare(engine: sa.Engine, url: str) -> None:
    """Create what is missing, and refuse a store of a newer version."""
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
        existing_tables = set(sa.inspect(connection).get_table_names())
        if version is None or version < VERSION or not existing_tables.issuperset(_NEEDED):
            _create_tables(connection)
    _finish_lists(engine)


def _finish_lists(engine: sa.Engine) -> None:
    """Build the lists that the newest runs lack, and drop the indices that they supersede.

    Each step is a transaction of its own that others need not wait for: they read the scores until
    a list is built. What is interrupted is done when the store is opened again; a store that is
    too busy, or whose disk is full, is slower, and opens nevertheless.
    """
    with contextlib.suppress(sa.exc.OperationalError):
        building.build_missing(engine)
        with engine.connect() as connection:
            existing = {index["name"] for index in sa.inspect(connection).get_indexes("scores")}
        for name in SUPERSEDED:
            if name in existing:
                with engine.begin() as connection:
                    connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
                move_log(engine)


def _create_tables(connection: sa.Connection) -> None:
    """Create the tables, columns and indices that are missing."""
    inspector = sa.inspect(connection)
    existing_tables = set(inspector.get_table_names())
    for table in TABLES:
        if table.name in existing_tables:
            existing = {column["name"] for column in inspector.get_columns(table.name)}
            for column in table.columns:
                if column.name not in existing:
                    kind = column.type.compile(connection.dialect)
                    connection.execute(
                        sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")
                    )
        else:
            connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index, if_not_exists=True))
    add_keys(connection)
    building.create_tables(connection)
    building.drop_with_fewer_orders(connection)
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

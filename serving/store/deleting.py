"""A customer's rows out of the store, and the bytes that deleted rows leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import sqlalchemy as sa

from stagecast.features.errors import UsageError

COLUMN = "customer_id"


def customer_tables(engine: sa.Engine) -> list[sa.Table]:
    """Return the tables that name customers, those that refer to others first."""
    found = sa.MetaData()
    found.reflect(engine)
    return [table for table in reversed(found.sorted_tables) if COLUMN in table.columns]


def _where(table: sa.Table, ids: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    column = table.columns[COLUMN]
    text = column if isinstance(column.type, sa.String) else sa.cast(column, sa.String)
    # the run is said in so many words, so that the primary key finds the rows
    runs = [
        key.parent.in_(sa.select(key.column))
        for key in table.foreign_keys
        if key.parent.name == "run_id"
    ]
    return [text.in_(ids), *runs]


def count_rows(engine: sa.Engine, ids: Sequence[str]) -> int:
    """Return how many rows name the customer."""
    with engine.connect() as connection:
        queries = [
            sa.select(sa.func.count()).select_from(table).where(*_where(table, ids))
            for table in customer_tables(engine)
        ]
        return sum(int(connection.scalar(query) or 0) for query in queries)


def delete_rows(engine: sa.Engine, ids: Sequence[str]) -> int:
    """Delete the rows that name the customer, in one transaction, and return how many there
    were.
    """
    tables = customer_tables(engine)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
            connection.rollback()
        with connection.begin():
            return sum(
                connection.execute(table.delete().where(*_where(table, ids))).rowcount
                for table in tables
            )


def purge(engine: sa.Engine) -> None:
    """Make what was deleted vanish from the files of the database, as far as that can be done from
    here.

    Raises
    ------
    UsageError
        Somebody else is reading or writing, and the files cannot be written anew now.
    """
    name = engine.dialect.name
    if name not in ("sqlite", "postgresql"):
        return
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if name == "postgresql":
                for table in customer_tables(engine):
                    connection.execute(
                        sa.text(f"VACUUM {engine.dialect.identifier_preparer.format_table(table)}")
                    )
                return
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
            if sa.inspect(engine).has_table("sqlite_stat1"):
                connection.exec_driver_sql(
                    "ANALYZE"
                )  # samples of what an index holds are among what it keeps
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    except sa.exc.OperationalError as error:
        raise UsageError(_busy(str(error.orig))) from None
    if busy:
        raise UsageError(_busy("its write-ahead log is being read"))


def _busy(why: str) -> str:
    return (
        f"the rows are deleted, but the store's file could not be written anew ({why}): "
        "their bytes may remain in it "
        "until it is; stop what uses the store, then erase again"
    )


def erase(engine: sa.Engine, ids: Sequence[str]) -> int:
    """Delete all that names the customer and make its bytes vanish; return how many rows there
    were.

    Nothing is written where nobody is named so. If the file cannot be written anew now, the rows
    are gone all the same.
    """
    if not count_rows(engine, ids):
        return 0
    deleted = delete_rows(engine, ids)
    with suppress(UsageError):
        purge(engine)
    return deleted

"""Deletion of a customer from the store: the rows, and the bytes that deleted rows leave behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.serving.store.erased import are_noted, note_erasures
from stagecast.serving.store.lists.segments import subtract
from stagecast.serving.store.lists.tables import is_list

CUSTOMER_COLUMN = "customer_id"


def counted_tables(engine: sa.Engine | sa.Connection) -> list[sa.Table]:
    """Return the tables whose rows are counted: what a list repeats of scores is no row more."""
    return [table for table in customer_tables(engine) if not is_list(table)]


def customer_tables(engine: sa.Engine | sa.Connection) -> list[sa.Table]:
    """Return the tables with a column ``customer_id``, referring tables before referred ones."""
    metadata = sa.MetaData()
    metadata.reflect(engine)
    return [table for table in reversed(metadata.sorted_tables) if CUSTOMER_COLUMN in table.columns]


def _conditions(table: sa.Table, ids: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    column = table.columns[CUSTOMER_COLUMN]
    text = column if isinstance(column.type, sa.String) else sa.cast(column, sa.String)
    # the condition on the run always holds; with it the database can use the primary key
    run_conditions = [
        key.parent.in_(sa.select(key.column))
        for key in table.foreign_keys
        if key.parent.name == "run_id"
    ]
    return [text.in_(ids), *run_conditions]


def count_rows(engine: sa.Engine, ids: Sequence[str]) -> int:
    """Return how many rows of all tables belong to a customer.

    Parameters
    ----------
    engine
        The database.
    ids
        The customer's id in each of its spellings.
    """
    with engine.connect() as connection:
        queries = [
            sa.select(sa.func.count()).select_from(table).where(*_conditions(table, ids))
            for table in counted_tables(engine)
        ]
        return sum(int(connection.scalar(query) or 0) for query in queries)


def delete_rows(engine: sa.Engine, ids: Sequence[str]) -> int:
    """Delete a customer's rows in one transaction, and return their number.

    Parameters
    ----------
    engine
        The database.
    ids
        The customer's id in each of its spellings.
    """
    with deleting_connection(engine) as connection, connection.begin():
        return delete_rows_in(connection, ids)


@contextmanager
def deleting_connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection, without a transaction, that overwrites what it deletes if it can."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
            connection.rollback()
        yield connection


def delete_rows_in(connection: sa.Connection, ids: Sequence[str]) -> int:
    """Delete a customer's rows in the transaction of a connection, and return their number.

    In a store, the erasure is noted, so that no backup of before brings the customer back; one that
    finds nothing, of a customer who is noted already, writes nothing.
    """
    subtract(connection, ids)
    rows = 0
    for table in customer_tables(connection):
        deleted = connection.execute(table.delete().where(*_conditions(table, ids))).rowcount
        rows += 0 if is_list(table) else deleted
    if rows or not are_noted(connection, ids):
        note_erasures(connection, ids)
    return rows


def purge(engine: sa.Engine) -> None:
    """Remove the bytes of deleted rows from the files of SQLite and PostgreSQL by ``VACUUM``.

    Does nothing for other databases.

    Raises
    ------
    UsageError
        Another connection is reading or writing, so that the files cannot be rewritten.
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
                # the statistics of the indices contain samples of their values
                connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    except sa.exc.OperationalError as error:
        raise UsageError(_busy_message(str(error.orig))) from None
    if busy:
        raise UsageError(_busy_message("its write-ahead log is being read"))


def _busy_message(cause: str) -> str:
    return (
        f"the rows are deleted, but the store's file could not be written anew ({cause}): "
        "their bytes may remain in it "
        "until it is; stop what uses the store, then erase again"
    )


def erase(engine: sa.Engine, ids: Sequence[str]) -> int:
    """Delete a customer's rows, purge the database, and return the number of rows.

    Nothing is written if there are no such rows. If the files cannot be rewritten at the moment,
    the rows are deleted nevertheless, and no error is raised.

    Parameters
    ----------
    engine
        The database.
    ids
        The customer's id in each of its spellings.
    """
    if not count_rows(engine, ids):
        return 0
    deleted = delete_rows(engine, ids)
    with suppress(UsageError):
        purge(engine)
    return deleted

"""Copies of a store: all rows from one database to another, and the numbers given so far."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.settled.ledger import entries
from stagecast.serving.store.lists import building
from stagecast.serving.store.opening import BUSY_MILLISECONDS, TABLES
from stagecast.serving.store.plan_tables import settled
from stagecast.serving.store.tables import VERSION, runs, store_version

ROWS = 5_000
"""Rows of one statement."""
NUMBERED = tuple(
    table
    for table in TABLES
    if table.dialect_options["sqlite"]["autoincrement"] and "id" in table.columns
)
"""Tables whose numbers are given in order, and never twice."""


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for another database."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def check_is_store(file: Path, name: str) -> int:
    """Return the version of the store in an SQLite file, and how it is refused if it is none.

    Parameters
    ----------
    file
        The file.
    name
        What the user calls it, for messages.

    Raises
    ------
    UsageError
        There is no such file, it is no store, or one of a newer version.
    DataRefusedError
        The file is damaged.
    """
    if not file.is_file():
        raise UsageError(f"{name}: {file} does not exist")
    try:
        with closing(_connect(file, "ro")) as connection:
            has_version = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = ?", (store_version.name,)
            ).fetchone()
            version = (
                connection.execute(f"SELECT max(version) FROM {store_version.name}").fetchone()[0]
                if has_version
                else None
            )
            faults = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise UsageError(f"{name}: {file} cannot be read: {error}") from None
    except sqlite3.DatabaseError as error:
        raise DataRefusedError(f"{name}: {file} is damaged or no store: {error}") from None
    if faults != "ok":
        raise DataRefusedError(f"{name}: {file} is damaged: {faults}")
    if version is None:
        raise UsageError(f"{name}: {file} is not a store of stagecast")
    if version > VERSION:
        raise UsageError(
            f"{name}: {file} is of version {version}, written by a newer stagecast; this one knows "
            f"version {VERSION}: upgrade stagecast"
        )
    return int(version)


def copy_pages(source: Path, target: Path) -> None:
    """Copy an SQLite database as it stands at one moment, over what the target holds.

    It is SQLite's online backup: others may write the source meanwhile, and the target changes in
    one transaction, so that who reads it sees the old content or the new one.

    Raises
    ------
    UsageError
        One of them is locked for long, or cannot be read or written.
    """
    try:
        with closing(_connect(source, "rw")) as old, closing(_connect(target, "rwc")) as new:
            old.backup(new)
    except sqlite3.OperationalError as error:
        raise UsageError(
            f"{source} could not be copied to {target}: {error}; is there space, and does another "
            "program hold one of them?"
        ) from None


def finish_file(file: Path) -> None:
    """Turn an SQLite database into a single file, without a write-ahead log beside it."""
    with closing(_connect(file, "rw")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def match_pages(file: Path, other: Path) -> None:
    """Give an SQLite database that nobody else uses pages as long as those of another.

    SQLite copies no pages over a database with a write-ahead log whose pages have another length,
    and those of an earlier version's backup do.
    """
    with closing(_connect(other, "rw")) as connection:
        length = int(connection.execute("PRAGMA page_size").fetchone()[0])
    with closing(_connect(file, "rw")) as connection:
        if int(connection.execute("PRAGMA page_size").fetchone()[0]) == length:
            return
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f"PRAGMA page_size={length}")
        connection.execute("VACUUM")


def empty_log(file: Path) -> None:
    """Move the write-ahead log of an SQLite database into it, if nobody reads the log."""
    with closing(_connect(file, "rw")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{file.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_MILLISECONDS / 1e3,
        isolation_level=None,
    )


def copy_rows(source: sa.Connection, target: sa.Connection) -> None:
    """Replace all rows of a store by those of another, in the transaction of the target.

    The lists of the target go with its rows; they are built anew when the store is opened.
    """
    building.drop_all(target)
    for table in reversed(TABLES):
        target.execute(table.delete())
    for table in TABLES:
        rows = source.execution_options(yield_per=ROWS).execute(sa.select(table)).mappings()
        for portion in rows.partitions(ROWS):
            target.execute(table.insert(), [dict(row) for row in portion])


def row_counts(connection: sa.Connection) -> dict[str, int]:
    """Return table -> number of its rows."""
    return {
        table.name: int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
        for table in TABLES
    }


def last_numbers(connection: sa.Connection) -> dict[str, int]:
    """Return table -> the highest number that was ever given to a row of it."""
    if connection.dialect.name == "sqlite":
        numbers = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all()
        return {str(name): int(number) for name, number in numbers}
    query = "SELECT last_value, is_called FROM {}"
    result = {}
    for table in NUMBERED:
        sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, "id")))
        last, is_called = connection.execute(sa.text(query.format(sequence))).one()
        result[table.name] = int(last) if is_called else 0
    return result


def set_numbers(connection: sa.Connection, numbers: Mapping[str, int]) -> None:
    """Let the tables give only numbers above these."""
    for table in NUMBERED:
        number = numbers.get(table.name, 0)
        if not number:
            continue
        if connection.dialect.name == "sqlite":
            where = "WHERE name = ?"
            connection.exec_driver_sql(f"DELETE FROM sqlite_sequence {where}", (table.name,))
            connection.exec_driver_sql(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, number)
            )
        else:
            sequence = sa.func.pg_get_serial_sequence(table.name, "id")
            connection.execute(sa.select(sa.func.setval(sequence, number)))


def published_count(connection: sa.Connection) -> int:
    """Return how many published runs a store holds."""
    query = sa.select(sa.func.count()).where(runs.c.published_at.is_not(None))
    return int(connection.scalar(query) or 0)


def check_ledger(connection: sa.Connection) -> int:
    """Return how many rows the ledger of settled runs has, after checking its chain.

    Raises
    ------
    DataRefusedError
        A row was edited, taken out or put in.
    """
    if not sa.inspect(connection).has_table(settled.name):
        return 0  # a store of an earlier version
    return len(entries(connection))

"""The space that a publication needs: refused before it fills the disk."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from stagecast.features.errors import UsageError

BYTES_OF_CUSTOMER = 3_800
"""What a score takes in SQLite with its document and its list, measured with the demo: 3,780 bytes
in pages of 4 kB, as earlier versions made them, and 3,160 in those of a new file.
"""


RESERVE_BYTES = 16_000_000
"""What is left of a disk, so that a publication that finds it full can be deleted again."""


def check_space(engine: sa.Engine, customers: int, reserve: int = 0) -> None:
    """Refuse to publish so many customers to an SQLite file whose disk has no space for them.

    Parameters
    ----------
    engine
        The store.
    customers
        How many are to be written yet.
    reserve
        What the disk must have left after them, in bytes.

    Raises
    ------
    UsageError
        The disk and the unused part of the file are too small.
    """
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file:
        return
    with contextlib.suppress(OSError, sa.exc.OperationalError):  # the insertion says what is wrong
        available = shutil.disk_usage(Path(file).absolute().parent).free + _unused(engine)
        needed = customers * BYTES_OF_CUSTOMER + reserve
        if needed > available:
            raise UsageError(
                f"{customers:,} customers need about {needed / 1e6:,.0f} MB in the store (with "
                f"{reserve / 1e6:,.0f} MB to spare), and its disk has {available / 1e6:,.0f} MB; "
                "nothing was published: free space, delete old runs "
                "(stagecast store prune), or name another --store"
            )


def move_log(engine: sa.Engine) -> None:
    """Move what SQLite's write-ahead log holds into the file, so that its space is used again.

    What others read of it stays. A file that cannot grow is no error: the next writing says so.
    """
    _pragma(engine, "wal_checkpoint(PASSIVE)")


def give_back(engine: sa.Engine) -> None:
    """Cut the unused pages off an SQLite file, if it was made by a version that lets it be cut."""
    _pragma(engine, "incremental_vacuum")
    move_log(engine)


def _pragma(engine: sa.Engine, text: str) -> None:
    if engine.dialect.name != "sqlite":
        return
    faults = (sa.exc.OperationalError, sqlite3.OperationalError)
    with contextlib.suppress(*faults), engine.connect() as connection:
        driver = connection.connection.driver_connection
        # an incremental vacuum frees one page at each step, and a script steps to its end
        if isinstance(driver, sqlite3.Connection):
            driver.executescript(f"PRAGMA {text}")


def _unused(engine: sa.Engine) -> int:
    """Return how many bytes of an SQLite file hold nothing."""
    with engine.connect() as connection:
        pages, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("freelist_count", "page_size")
        )
    return pages * size

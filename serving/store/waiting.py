"""Writes that give up soon where the database is busy, since a request waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from stagecast.serving.store.opening import BUSY_MILLISECONDS

WAIT_MILLISECONDS = 100


@contextmanager
def short_wait(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a transaction that waits at most 100 ms for a lock, and commit it at the end.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        The lock was not free in time.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA busy_timeout={WAIT_MILLISECONDS}")
        elif engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_MILLISECONDS}ms'")
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            if engine.dialect.name == "sqlite":
                # the connection goes back to the pool
                connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")

"""Writes that were answered, by the keys of their callers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from stagecast.serving.store.idempotency_tables import answered_writes

REMEMBERED, UNFINISHED = timedelta(days=1), timedelta(minutes=10)
"""How long an answer is kept; how long a write may take before its server is taken to be dead."""


@dataclass(frozen=True)
class StoredAnswer:
    """The answer to a write, and the hash of what was asked; ``status`` None: not done yet."""

    request_sha256: str
    status: int | None
    content: bytes
    location: str | None


def begin_write(engine: sa.Engine, name: str, request_sha256: str) -> StoredAnswer | None:
    """Note that a write is being done; return the stored one where its name is taken.

    Parameters
    ----------
    engine
        The store.
    name
        Hash of the key of the write.
    request_sha256
        Hash of what is asked.
    """
    now, table = datetime.now(UTC), answered_writes
    old = sa.or_(
        table.c.created_at < now - REMEMBERED,
        sa.and_(table.c.status.is_(None), table.c.created_at < now - UNFINISHED),
    )
    values = {"name_sha256": name, "request_sha256": request_sha256, "created_at": now}
    try:
        with engine.begin() as connection:
            connection.execute(table.delete().where(old))
            connection.execute(table.insert().values(values))
    except sa.exc.IntegrityError:
        with engine.connect() as connection:
            row = connection.execute(sa.select(table).where(table.c.name_sha256 == name)).first()
        if row is None:  # undone since
            return StoredAnswer(request_sha256, None, b"", None)
        return StoredAnswer(row.request_sha256, row.status, row.content or b"", row.location)
    return None


def finish_write(
    engine: sa.Engine, name: str, status: int, content: bytes, location: str | None
) -> None:
    """Store the answer of a write."""
    with engine.begin() as connection:
        connection.execute(
            answered_writes.update()
            .where(answered_writes.c.name_sha256 == name)
            .values(status=status, content=content, location=location)
        )


def undo_write(engine: sa.Engine, name: str) -> None:
    """Forget a write that was refused, so that it can be sent again."""
    with engine.begin() as connection:
        connection.execute(answered_writes.delete().where(answered_writes.c.name_sha256 == name))

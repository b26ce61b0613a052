"""Notes of erasures: keyed hashes of the ids, by which a restored backup is erased again.

A note does not hold the id. Without the secret of the store nobody can try ids until one fits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.key_tables import server_secrets
from stagecast.serving.store.tables import Instant, metadata

_SECRET = "erasures"

erasure_notes = sa.Table(
    "erasure_notes",
    metadata,
    # 32 hexadecimal digits, drawn; two copies of a store tell by it which note is new
    sa.Column("id", sa.String(32), primary_key=True),
    # HMAC-SHA-256 of the id of the customer
    sa.Column("customer_hash", sa.String(64), nullable=False),
    sa.Column("erased_at", Instant, nullable=False),
)


@dataclass(frozen=True)
class Notes:
    """The erasures that a store knows of.

    Parameters
    ----------
    secret
        Key of the hashes; None: nothing was erased yet.
    rows
        Id of a note -> its row.
    """

    secret: str | None
    rows: Mapping[str, Mapping[str, Any]]


def note_erasures(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Note in a transaction that a customer was erased, once for each spelling of the id.

    Does nothing in a database without the table, which is no store or one of an earlier version.
    """
    if not sa.inspect(connection).has_table(erasure_notes.name):
        return
    secret = _secret(connection)
    now = datetime.now(UTC)
    connection.execute(
        erasure_notes.insert(),
        [
            {
                "id": secrets.token_hex(16),
                "customer_hash": hash_of(secret, customer_id),
                "erased_at": now,
            }
            for customer_id in ids
        ],
    )


def are_noted(connection: sa.Connection, ids: Sequence[str]) -> bool:
    """Return whether an erasure of each of these ids was noted; True where nothing can be noted."""
    if not sa.inspect(connection).has_table(erasure_notes.name):
        return True
    secret = _stored_secret(connection)
    if secret is None:
        return False
    hashes = {hash_of(secret, customer_id) for customer_id in ids}
    column = erasure_notes.c.customer_hash
    noted = connection.scalars(sa.select(column).where(column.in_(hashes))).all()
    return hashes <= set(noted)


def erasure_count(connection: sa.Connection) -> int:
    """Return how many erasures were noted: what was worked out before the last one is outdated."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(erasure_notes)) or 0)


def read_notes(connection: sa.Connection) -> Notes:
    """Return the notes of a store."""
    secret = _stored_secret(connection)
    rows = connection.execute(sa.select(erasure_notes)).mappings()
    return Notes(secret, {row["id"]: dict(row) for row in rows})


def write_notes(connection: sa.Connection, notes: Notes) -> None:
    """Put notes in the place of those of a store, with the secret that they are keyed by."""
    connection.execute(erasure_notes.delete())
    connection.execute(server_secrets.delete().where(server_secrets.c.name == _SECRET))
    if notes.secret is not None:
        connection.execute(server_secrets.insert().values(name=_SECRET, value=notes.secret))
    if notes.rows:
        connection.execute(erasure_notes.insert(), list(notes.rows.values()))


def matching(secret: str, hashes: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Return the ids of which a note has the hash."""
    wanted = set(hashes)
    return [customer_id for customer_id in ids if hash_of(secret, customer_id) in wanted]


def hash_of(secret: str, customer_id: str) -> str:
    """Return HMAC-SHA-256 (RFC 2104) of an id, 64 hexadecimal digits."""
    data = customer_id.encode("utf-8", "surrogatepass")
    return hmac.new(bytes.fromhex(secret), data, hashlib.sha256).hexdigest()


def _secret(connection: sa.Connection) -> str:
    value = _stored_secret(connection)
    if value is None:
        value = secrets.token_hex(32)
        # another worker may be first; then its secret holds
        missing = sa.select(sa.literal(_SECRET), sa.literal(value)).where(
            ~sa.exists().where(server_secrets.c.name == _SECRET)
        )
        connection.execute(server_secrets.insert().from_select(["name", "value"], missing))
        value = _stored_secret(connection)
    return str(value)


def _stored_secret(connection: sa.Connection) -> str | None:
    """Return the key of the hashes; None: nothing was erased yet."""
    return connection.scalar(
        sa.select(server_secrets.c.value).where(server_secrets.c.name == _SECRET)
    )

"""The secret by which a store keys its hashes: made once, the same for all workers."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import sqlalchemy as sa

from stagecast.serving.store.key_tables import server_secrets

_NAME = "hashes"


def server_secret(engine: sa.Engine) -> bytes:
    """Return the secret of a store, 32 bytes; the first call makes it."""
    query = sa.select(server_secrets.c.value).where(server_secrets.c.name == _NAME)
    with engine.connect() as connection:
        value = connection.scalar(query)
    if value is None:
        made = secrets.token_hex(32)
        try:
            with engine.begin() as connection:
                connection.execute(server_secrets.insert().values(name=_NAME, value=made))
        except sa.exc.IntegrityError:
            pass  # another worker was first
        with engine.connect() as connection:
            value = connection.scalar(query)
    return bytes.fromhex(str(value))


def keyed_hash(secret: bytes, text: str) -> str:
    """Return the first 128 bits of HMAC-SHA-256 (RFC 2104) of a text, as 32 hexadecimal digits.

    Whoever has the hash alone cannot try ids until one fits, as with a plain hash.
    """
    data = text.encode("utf-8", "surrogatepass")
    return hmac.new(secret, data, hashlib.sha256).hexdigest()[:32]

"""One key as text: ``id.secret``, of which the store holds the id and the SHA-256 of the secret.

The secret has 256 random bits, so that a plain hash is enough: nobody can try them all, and a slow
hash would only slow down the server.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

ID_BYTES, SECRET_BYTES = 6, 32
_KEY = re.compile(r"(?P<id>[0-9a-f]{12})\.(?P<secret>[A-Za-z0-9_-]{43})", re.ASCII)


class KeyText(NamedTuple):
    """The two parts of a key."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"{self.id}.{self.secret}"


def new_key_text() -> KeyText:
    """Return a new random key."""
    return KeyText(secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))


def split_key(text: str) -> KeyText | None:
    """Return the parts of a key; None where the text does not have its form.

    >>> split_key("3f9c0a41b2d7." + "a" * 43).id, split_key("3f9c0a41b2d7.short")
    ('3f9c0a41b2d7', None)
    """
    match = _KEY.fullmatch(text)
    return None if match is None else KeyText(match["id"], match["secret"])


def digest(text: str) -> bytes:
    """Return the SHA-256 of a secret, 32 bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

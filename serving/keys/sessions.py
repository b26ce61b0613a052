"""Sessions of browsers: somebody showed a key once, and a random token stands for it for 12 hours.

The store has the SHA-256 of the token, and an HMAC of the key's digest under the token. Whoever
reads the store can neither make a cookie of it nor try keys against it, and a session ends with its
key: revoked, expired, or no longer in the settings.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from stagecast.serving.keys.secret import digest
from stagecast.serving.store.key_tables import sessions

LIFETIME = timedelta(hours=12)
SCOPES_OF_PAGES = frozenset({"read", "plan", "export"})
"""What a session may do at most, whatever its key may do: the work of the pages."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True)
class Session:
    """A session that has not expired.

    Parameters
    ----------
    token
        What the browser sent.
    key_id
        Id of the key that was shown.
    seal
        HMAC of that key's digest under the token, hexadecimal.
    """

    token: str
    key_id: str
    seal: str

    def is_of(self, key_digest: bytes) -> bool:
        """Return whether the key with the id is still the one that was shown."""
        return hmac.compare_digest(_seal(self.token, key_digest), self.seal)


class SessionBook:
    """The sessions of a store.

    Parameters
    ----------
    engine
        The database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def open(self, key_id: str, key_digest: bytes, now: datetime, earlier: str | None) -> str:
        """Make a session and return its token; what has expired is removed.

        Parameters
        ----------
        key_id
            Id of the key.
        key_digest
            SHA-256 of the key, or of its secret.
        now
            The present, UTC.
        earlier
            Token of the session that the browser had, which ends; None: it had none.
        """
        token = secrets.token_urlsafe(32)
        with self._engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.expires_at <= now))
            if earlier is not None:
                connection.execute(sessions.delete().where(_is(earlier)))
            connection.execute(
                sessions.insert().values(
                    token_sha256=digest(token).hex(),
                    key_id=key_id,
                    seal=_seal(token, key_digest),
                    expires_at=now + LIFETIME,
                )
            )
        return token

    def session(self, token: str, now: datetime) -> Session | None:
        """Return the session of a token; None where it never was, has expired, or was ended."""
        if not is_token(token):
            return None
        query = sa.select(sessions).where(_is(token))
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None or now >= row["expires_at"]:
            return None
        return Session(token, row["key_id"], row["seal"])

    def end(self, token: str) -> None:
        """End a session, for every browser that has its token."""
        with self._engine.begin() as connection:
            connection.execute(sessions.delete().where(_is(token)))


def is_token(text: str) -> bool:
    """Return whether a text has the form of a token; others are not looked for."""
    return _TOKEN.fullmatch(text) is not None


def _is(token: str) -> sa.ColumnElement[bool]:
    return sessions.c.token_sha256 == digest(token).hex()


def _seal(token: str, key_digest: bytes) -> str:
    return hmac.new(token.encode("ascii"), key_digest, hashlib.sha256).hexdigest()

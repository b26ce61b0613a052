"""The check of a request's key, in memory: the keys of the settings, and those of the store.

The keys of the store are read again every few seconds, so that a request reads no table, and a
revoked key stops within :data:`RELOAD_SECONDS`. If they cannot be read they are refused, since one
of them may have been revoked.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from stagecast.serving.keys.book import StoredKey, hashes
from stagecast.serving.keys.scopes import ALL_SCOPES
from stagecast.serving.keys.secret import digest, split_key
from stagecast.serving.store.key_tables import api_keys
from stagecast.serving.store.waiting import short_wait

RELOAD_SECONDS = 5.0
"""A key that is revoked stops within this time, at every worker."""
RETRY_SECONDS = 1.0
"""A key that was just made is looked for this often, and a store that cannot be read tried."""
USE_SECONDS = 60.0
"""The last use of a key is written this often at most."""
TEXT_LENGTH_MAX = 512
_NOTHING = digest("")
_PLAIN = "settings."


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and what they may do.

    Parameters
    ----------
    key_id
        Id of the key; ``settings.1`` for the first key of the settings, ``local`` without keys.
    scopes
        What the key may do.
    """

    key_id: str
    scopes: frozenset[str]


LOCAL = Caller("local", ALL_SCOPES)


class Holder(NamedTuple):
    """Who has a key, and the SHA-256 by which it is known: of the key, or of its secret."""

    caller: Caller
    digest: bytes


class KeysUnreadableError(Exception):
    """The keys of the store could not be read, so that none of them can be trusted."""


class KeyRing:
    """All keys of a server.

    Parameters
    ----------
    plain_keys
        Keys of the settings, which may do everything; the object keeps only their digests.
    """

    def __init__(self, plain_keys: Iterable[str] = ()) -> None:
        self._plain = tuple(digest(key) for key in plain_keys)
        self._engine: sa.Engine | None = None
        self._stored: dict[str, tuple[StoredKey, bytes]] | None = {}
        self._read_at: datetime | None = None
        self._was_empty = False
        self._uses: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def attach(self, engine: sa.Engine) -> None:
        """Take the keys of a store too; until they are read, none of them is valid."""
        self._engine, self._stored, self._read_at = engine, None, None

    @property
    def is_empty(self) -> bool:
        """Whether no key was ever made; keys that are no longer valid count, since a server must
        not become open when its last key expires.
        """
        is_empty = self._was_empty if self._stored is None else not self._stored
        return not self._plain and is_empty

    @property
    def has_plain(self) -> bool:
        """Whether the settings have keys."""
        return bool(self._plain)

    @property
    def is_unreadable(self) -> bool:
        """Whether the keys of the store are not known."""
        return self._stored is None

    def is_due(self, text: str | None, now: datetime) -> bool:
        """Return whether :meth:`reload` must be called before a key is checked.

        Parameters
        ----------
        text
            The key; one that is not known yet is looked for sooner. None: there is none.
        now
            The present, UTC.
        """
        if self._engine is None:
            return False
        if self._read_at is None:
            return True
        # a clock that was set back must not keep a revoked key alive
        age = abs((now - self._read_at).total_seconds())
        if age >= RELOAD_SECONDS:
            return True
        if age < RETRY_SECONDS:
            return False
        if self._stored is None:
            return True
        parts = None if text is None else split_key(text)
        return parts is not None and parts.id not in self._stored

    def reload(self, now: datetime) -> None:
        """Read the keys of the store; it takes the time of one query."""
        with self._lock:
            if self._engine is None or (
                # another request has just done so
                self._read_at is not None
                and abs((now - self._read_at).total_seconds()) < RETRY_SECONDS
            ):
                return
            try:
                with self._engine.connect() as connection:
                    self._stored = hashes(connection)
                self._was_empty = not self._stored
            except sa.exc.SQLAlchemyError:
                self._stored = None
            self._read_at = now

    def check(self, text: str | None, now: datetime) -> Caller | None:
        """Return who has the key, or None where it opens nothing.

        The time it takes does not depend on which bytes of a secret are right: digests are compared
        in constant time, with all keys of the settings, and for an unknown id with a digest too.

        Parameters
        ----------
        text
            The key as sent; None: there is none.
        now
            The present, UTC.

        Raises
        ------
        KeysUnreadableError
            It is no key of the settings, and those of the store are not known.
        """
        if text is None or len(text) > TEXT_LENGTH_MAX:
            return None
        whole = digest(text)
        matches = [hmac.compare_digest(whole, key) for key in self._plain]
        parts = split_key(text)
        if any(matches):
            return Caller(f"{_PLAIN}{matches.index(True) + 1}", ALL_SCOPES)
        if parts is None:
            return None
        if self._stored is None:
            raise KeysUnreadableError
        key, expected = self._stored.get(parts.id, (None, _NOTHING))
        is_right = hmac.compare_digest(digest(parts.secret), expected)
        if key is None or not is_right or not key.is_live(now):
            return None
        return Caller(key.id, frozenset(key.scopes))

    def holder(self, key_id: str, now: datetime) -> Holder | None:
        """Return who has the key with an id, or None where it opens nothing any more.

        Raises
        ------
        KeysUnreadableError
            It is no key of the settings, and those of the store are not known.
        """
        if key_id.startswith(_PLAIN):
            number = int(key_id.removeprefix(_PLAIN))
            if number > len(self._plain):
                return None
            return Holder(Caller(key_id, ALL_SCOPES), self._plain[number - 1])
        if self._stored is None:
            raise KeysUnreadableError
        key, key_digest = self._stored.get(key_id, (None, _NOTHING))
        if key is None or not key.is_live(now):
            return None
        return Holder(Caller(key.id, frozenset(key.scopes)), key_digest)

    def is_use_due(self, caller: Caller, now: datetime) -> bool:
        """Return whether the use of a key is to be written, and take note that it will be."""
        if self._stored is None or caller.key_id not in self._stored:
            return False
        last = self._uses.get(caller.key_id)
        if last is not None and abs((now - last).total_seconds()) < USE_SECONDS:
            return False
        self._uses[caller.key_id] = now
        return True

    def write_use(self, caller: Caller, now: datetime) -> None:
        """Write when a key was used, unless another worker did within the last minute.

        A store that is busy does not fail the request: the next minute writes again.
        """
        if self._engine is None:
            return
        column = api_keys.c.last_used_at
        before = now - timedelta(seconds=USE_SECONDS)
        statement = (
            api_keys.update()
            .where(api_keys.c.id == caller.key_id, sa.or_(column.is_(None), column <= before))
            .values(last_used_at=now)
        )
        try:
            with short_wait(self._engine) as connection:
                connection.execute(statement)
        except sa.exc.SQLAlchemyError:
            pass

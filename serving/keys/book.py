"""The keys in the store: made, listed, revoked, rotated.

A name has one live key, and two while it is rotated: the old one goes on for a while, so that
programs can take the new one before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.serving.keys.scopes import ordered
from stagecast.serving.keys.secret import KeyText, digest, new_key_text
from stagecast.serving.store.key_tables import api_keys

LIVE_MAX = 2
"""Live keys of one name, while it is rotated."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}", re.ASCII)


@dataclass(frozen=True)
class StoredKey:
    """A key as the store knows it: a row of ``api_keys`` without its hash.

    Parameters
    ----------
    id, name
        The first part of the key, and whose it is.
    scopes
        What it may do.
    created_at, expires_at, revoked_at, last_used_at
        Instants, UTC; None: never, or not yet. ``last_used_at`` is written once a minute at most.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Return whether the key opens anything at an instant."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def state(self, now: datetime) -> str:
        """Return ``live``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "live" if self.is_live(now) else "expired"

    def to_json(self, now: datetime) -> dict[str, Any]:
        """Return it as plain data."""
        instants = {
            name: None if value is None else iso(value)
            for name, value in (
                ("created_at", self.created_at),
                ("expires_at", self.expires_at),
                ("revoked_at", self.revoked_at),
                ("last_used_at", self.last_used_at),
            )
        }
        base = {"id": self.id, "name": self.name, "scopes": list(self.scopes)}
        return {**base, "state": self.state(now), **instants}


@dataclass(frozen=True)
class MadeKey:
    """A new key with its text, which is shown once and stored nowhere."""

    key: StoredKey
    text: KeyText


class KeyBook:
    """The keys of a store.

    Parameters
    ----------
    engine
        The database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def create(
        self, name: str, scopes: Sequence[str], now: datetime, lifetime: timedelta | None
    ) -> MadeKey:
        """Make a key and store the hash of its secret.

        Parameters
        ----------
        name
            Whose it is: 1 to 63 letters, digits and ``._@-``.
        scopes
            What it may do.
        now
            The present, UTC.
        lifetime
            How long it is valid; None: until it is revoked.

        Raises
        ------
        UsageError
            The name cannot be used, or has a live key.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"the name '{name[:100]}' cannot be used; write up to 63 letters, digits and ._@-, "
                "like shop-backend"
            )
        with self._engine.begin() as connection:
            _lock(connection)
            made = _insert(connection, name, scopes, now, lifetime)
            others = [key for key in _live(connection, name, now) if key.id != made.key.id]
            if others:
                raise UsageError(
                    f"'{name}' has the live key {others[0].id}; replace it by: stagecast keys "
                    f"rotate {others[0].id}"
                )
        return made

    def all_keys(self) -> list[StoredKey]:
        """Return all keys, the newest first."""
        order = (api_keys.c.created_at.desc(), api_keys.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(api_keys).order_by(*order)).mappings().all()
        return [_stored(row) for row in rows]

    def has_live_key(self, now: datetime) -> bool:
        """Return whether any key opens anything at an instant."""
        return any(key.is_live(now) for key in self.all_keys())

    def revoke(self, key_id: str, now: datetime) -> StoredKey:
        """End a key for good; a key that is revoked stays as it is.

        Raises
        ------
        UsageError
            There is no such key.
        """
        with self._engine.begin() as connection:
            connection.execute(
                api_keys.update()
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            return _one(connection, key_id)

    def rotate(
        self,
        key_id: str,
        now: datetime,
        overlap: timedelta,
        lifetime: timedelta | Literal["same"] | None = "same",
    ) -> MadeKey:
        """Make a key with the name and scopes of another, which ends after the overlap.

        Parameters
        ----------
        key_id
            The live key to replace.
        now
            The present, UTC.
        overlap
            How long the old key is still valid, at most.
        lifetime
            How long the new key is valid; None: until it is revoked; ``same``: as long as the old
            one was made for.

        Raises
        ------
        UsageError
            There is no such key, it is not live, or its name has two live keys already.
        """
        with self._engine.begin() as connection:
            _lock(connection)
            old = _one(connection, key_id)
            if not old.is_live(now):
                raise UsageError(
                    f"key {key_id} is {old.state(now)}; make a new one: stagecast keys create "
                    f"{old.name} --scopes {','.join(old.scopes)}"
                )
            if lifetime == "same":
                lifetime = None if old.expires_at is None else old.expires_at - old.created_at
            made = _insert(connection, old.name, old.scopes, now, lifetime)
            live = _live(connection, old.name, now)
            if len(live) > LIVE_MAX:
                ids = " and ".join(key.id for key in live if key.id != made.key.id)
                raise UsageError(
                    f"'{old.name}' has two live keys, {ids}; revoke the older one first: stagecast "
                    "keys revoke ID"
                )
            end = now + overlap
            if old.expires_at is None or end < old.expires_at:
                connection.execute(
                    api_keys.update().where(api_keys.c.id == key_id).values(expires_at=end)
                )
        return made


def hashes(connection: sa.Connection) -> dict[str, tuple[StoredKey, bytes]]:
    """Return id -> key and SHA-256 of its secret, of all keys."""
    rows = connection.execute(sa.select(api_keys)).mappings().all()
    return {row["id"]: (_stored(row), bytes.fromhex(row["secret_sha256"])) for row in rows}


def _lock(connection: sa.Connection) -> None:
    # two commands at a time would each see one live key; SQLite has one writer anyway, from the
    # first statement that writes
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))
    else:
        connection.execute(api_keys.update().where(sa.false()).values(name=api_keys.c.name))


def _insert(
    connection: sa.Connection,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    lifetime: timedelta | None,
) -> MadeKey:
    text = new_key_text()
    expires_at = None if lifetime is None else now + lifetime
    key = StoredKey(text.id, name, ordered(scopes), now, expires_at, None, None)
    connection.execute(
        api_keys.insert().values(
            id=key.id,
            name=name,
            secret_sha256=digest(text.secret).hex(),
            scopes=",".join(key.scopes),
            created_at=now,
            expires_at=expires_at,
        )
    )
    return MadeKey(key, text)


def _live(connection: sa.Connection, name: str, now: datetime) -> list[StoredKey]:
    query = sa.select(api_keys).where(api_keys.c.name == name).order_by(api_keys.c.created_at)
    keys = [_stored(row) for row in connection.execute(query).mappings()]
    return [key for key in keys if key.is_live(now)]


def _one(connection: sa.Connection, key_id: str) -> StoredKey:
    query = sa.select(api_keys).where(api_keys.c.id == key_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        ids = list(connection.scalars(sa.select(api_keys.c.id)))
        raise UsageError(
            f"there is no key '{key_id[:100]}'.{did_you_mean(key_id[:100], ids)} "
            "List them: stagecast keys list"
        )
    return _stored(row)


def _stored(row: Mapping[Any, Any]) -> StoredKey:
    return StoredKey(
        row["id"],
        row["name"],
        tuple(row["scopes"].split(",")),
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
        row["last_used_at"],
    )

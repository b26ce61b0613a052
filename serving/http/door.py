"""Keys and limits of a running server, which share its store."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa

from stagecast.features.errors import StagecastError
from stagecast.serving.http.hosts import is_loopback
from stagecast.serving.http.proxies import Proxies
from stagecast.serving.keys.audit import AuditLog
from stagecast.serving.keys.book import KeyBook
from stagecast.serving.keys.limits import FailureLimit, RequestLimit
from stagecast.serving.keys.ring import KeyRing
from stagecast.serving.keys.server_secret import keyed_hash, server_secret
from stagecast.serving.keys.sessions import SessionBook
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present, UTC."""
    return datetime.now(UTC)


class Door:
    """What decides who gets in.

    Parameters
    ----------
    settings
        Settings of the server.
    clock
        Returns the present, UTC.

    Raises
    ------
    UsageError
        The audit log cannot be written.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.ring = KeyRing(settings.keys)
        self.failures = FailureLimit()
        limit = settings.requests_per_minute
        self.requests = None if limit is None else RequestLimit(limit)
        self.proxies = Proxies(settings.trusted_proxies)
        self.audit = AuditLog(settings.audit_log)
        self._is_public = not is_loopback(settings.host)
        self._is_read_only = settings.read_only
        self._secret = os.urandom(32)
        self.sessions: SessionBook | None = None

    def attach(self, engine: sa.Engine) -> None:
        """Use the keys of a store, and count over all workers in it."""
        self.ring.attach(engine)
        self.sessions = SessionBook(engine)
        try:
            self._secret = server_secret(engine)
        except sa.exc.SQLAlchemyError:
            return  # a store that cannot be written: this worker counts alone
        self.failures.attach(engine, self._secret)
        if self.requests is not None:
            self.requests.attach(engine)

    @property
    def needs_key(self) -> bool:
        """Whether a request needs a key: other machines can connect, or a key was ever made."""
        return self._is_public or not self.ring.is_empty

    @property
    def can_sign_in(self) -> bool:
        """Whether a browser can open a session here: the store keeps it."""
        return self.sessions is not None and not self._is_read_only

    async def refresh(self, text: str | None) -> None:
        """Read the keys of the store again if it is time.

        Parameters
        ----------
        text
            The key of the request, None without one.
        """
        now = self.clock()
        if self.ring.is_due(text, now):
            await anyio.to_thread.run_sync(self.ring.reload, now)

    def hash_of(self, customer_id: str) -> str:
        """Return the keyed hash of a customer's id for the audit log."""
        return keyed_hash(self._secret, customer_id)


def has_stored_key(settings: Settings, store: Store | None) -> bool:
    """Return whether the store of a server has a key that is valid now.

    Parameters
    ----------
    settings
        Settings of the server; a store that does not exist yet is not made.
    store
        The store, if it is open.
    """
    if store is not None:
        return KeyBook(store.engine).has_live_key(utc_now())
    try:
        url = sa.make_url(settings.store)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            return False
        opened = Store.open(settings.store)
    except (StagecastError, sa.exc.ArgumentError):
        return False
    try:
        return KeyBook(opened.engine).has_live_key(utc_now())
    finally:
        opened.close()

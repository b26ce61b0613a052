"""Who sends a request: by its key, or by the session that a browser opened with one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import anyio.to_thread
import sqlalchemy as sa
from starlette.types import Scope

from stagecast.serving.http.door import Door
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.keys.ring import Caller, KeysUnreadableError
from stagecast.serving.keys.sessions import SCOPES_OF_PAGES, SessionBook


class Callers:
    """Finds out who calls, within the limits of wrong keys and of requests.

    Parameters
    ----------
    door
        Keys, sessions and limits.
    """

    def __init__(self, door: Door) -> None:
        self._door = door

    async def by_key(self, text: str | None, scope: Scope) -> Caller:
        """Return who has a key.

        Raises
        ------
        ProblemError
            401: the key opens nothing; 429: too many wrong keys came from the address, or too many
            requests with the key; 503: the keys cannot be read.
        """
        door, now = self._door, self._door.clock()
        seconds, address = now.timestamp(), door.proxies.client(scope)
        wait = door.failures.before(address, seconds)
        if wait:
            raise too_many("wrong keys from this address", "keys-tried", wait)
        try:
            caller = door.ring.check(text, now)
        except KeysUnreadableError:
            door.failures.right(address, seconds)
            raise keys_unreadable() from None
        if caller is None:
            shared = await anyio.to_thread.run_sync(door.failures.wrong, address, seconds)
            if shared:
                door.failures.block(address, seconds, shared)
                raise too_many("wrong keys from this address", "keys-tried", shared)
            raise key_needed(scope["path"])
        door.failures.right(address, seconds)
        await self._note_use(caller)
        return caller

    async def by_session(self, token: str) -> Caller | None:
        """Return who signed in, with the scopes of their key that pages need; None: nobody.

        Raises
        ------
        ProblemError
            429: too many requests with the key; 503: keys or sessions cannot be read.
        """
        door, now = self._door, self._door.clock()
        if door.sessions is None:
            return None
        try:
            session = await anyio.to_thread.run_sync(door.sessions.session, token, now)
            holder = None if session is None else door.ring.holder(session.key_id, now)
        except (sa.exc.SQLAlchemyError, KeysUnreadableError):
            raise keys_unreadable() from None
        if session is None or holder is None or not session.is_of(holder.digest):
            return None
        caller = replace(holder.caller, scopes=holder.caller.scopes & SCOPES_OF_PAGES)
        await self._note_use(caller)
        return caller

    async def open_session(self, caller: Caller, earlier: str | None) -> str:
        """Open a session for who has just shown a key, and return its token.

        Parameters
        ----------
        caller
            Who has the key.
        earlier
            Token of the session that the browser had, which ends; None: it had none.

        Raises
        ------
        ProblemError
            503: the store cannot keep it.
        """
        door, now = self._door, self._door.clock()
        holder = door.ring.holder(caller.key_id, now)
        if door.sessions is None or holder is None:
            raise no_sessions()
        arguments = (caller.key_id, holder.digest, now, earlier)
        try:
            return await anyio.to_thread.run_sync(door.sessions.open, *arguments)
        except sa.exc.SQLAlchemyError:
            raise no_sessions() from None

    async def end_session(self, token: str) -> None:
        """End a session.

        Raises
        ------
        ProblemError
            503: the store cannot be written, and the session goes on.
        """
        book: SessionBook | None = self._door.sessions
        if book is None:
            raise no_sessions()
        try:
            await anyio.to_thread.run_sync(book.end, token)
        except sa.exc.SQLAlchemyError:
            raise no_sessions() from None

    async def _note_use(self, caller: Caller) -> None:
        door, now = self._door, self._door.clock()
        if door.ring.is_use_due(caller, now):
            await anyio.to_thread.run_sync(door.ring.write_use, caller, now)
        await self._count(caller, now.timestamp())

    async def _count(self, caller: Caller, seconds: float) -> None:
        limit = self._door.requests
        if limit is None:
            return
        wait = limit.take(caller.key_id, seconds)
        if not wait and limit.needs_lease(caller.key_id):
            wait = await anyio.to_thread.run_sync(limit.lease, caller.key_id, seconds)
            if wait:
                limit.block(caller.key_id, seconds, wait)
        if wait:
            raise too_many("requests of this key", "requests-limited", wait)


def key_needed(path: str) -> ProblemError:
    """Return the refusal of a request without a key that opens something."""
    for_browser = not path.startswith("/v1/")
    return ProblemError(
        401,
        "key-needed",
        "an API key is needed: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY', "
        "or log in with any user name and the key as the password",
        headers={
            "WWW-Authenticate": 'Basic realm="stagecast", charset="UTF-8"'
            if for_browser
            else 'Bearer realm="stagecast"'
        },
    )


def too_many(what: str, slug: str, wait: float) -> ProblemError:
    """Return the refusal of a request above a limit; ``wait`` is in seconds."""
    seconds = max(1, math.ceil(wait))
    headers: dict[str, Any] = {"Retry-After": str(seconds)}
    return ProblemError(429, slug, f"too many {what}; try again in {seconds} s", headers=headers)


def keys_unreadable() -> ProblemError:
    """Return the refusal where no key can be checked."""
    return ProblemError(503, "keys-unreadable", "the keys in the store cannot be read")


def no_sessions() -> ProblemError:
    """Return the refusal where a session can be neither kept nor ended."""
    return ProblemError(
        503,
        "sessions-unwritable",
        "the store cannot be written now, so that nobody can sign in or out; try again, or send "
        "the key as the password of any user name",
    )

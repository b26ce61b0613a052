"""Who may call: the guard checks host name, key, limits and content type of each request.

Without keys the server is for this machine only: it listens on the loopback address, and a request
must name this machine as its host. Otherwise a foreign web page could point a host name of its own
at 127.0.0.1 (DNS rebinding) and read the scores through the browser of a user of this machine.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Sequence
from typing import Any

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.features.errors import UsageError
from stagecast.serving.http.access import OPEN_PATHS, Access, access_of
from stagecast.serving.http.door import Door
from stagecast.serving.http.hosts import LOCAL_NAMES, host_name, is_loopback, requested_host
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.keys.ring import LOCAL, Caller, KeysUnreadableError
from stagecast.serving.keys.weak import LENGTH_MIN

BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
"""Methods that need a JSON content type, so that a form on another site cannot use them.

DELETE is not among them: no form can send it, and a browser asks the server before a script does.
"""


def check_bind(host: str, keys: Sequence[str], *, has_stored_key: bool = False) -> None:
    """Check that the server has API keys if other machines can connect to it.

    Parameters
    ----------
    host
        Address at which the server is to listen.
    keys
        API keys of the settings.
    has_stored_key
        Whether the store has a key that is valid now.

    Raises
    ------
    UsageError
        The address is not the loopback address and there are no keys.
    """
    if keys or has_stored_key or is_loopback(host):
        return
    raise UsageError(
        f"--host {host} lets other machines read your customers' scores, and there are no API keys."
        " Make one with: stagecast keys create NAME --scopes read,score, or set STAGECAST_API_KEYS "
        f"to one or more keys of at least {LENGTH_MIN} "
        "characters, comma-separated, like "
        'STAGECAST_API_KEYS="$(openssl rand -hex 24)", or listen on 127.0.0.1'
    )


def request_key(headers: Headers) -> str | None:
    """Return the API key of a request, or None: ``X-API-Key``, Bearer, or the password of Basic."""
    if (key := headers.get("x-api-key")) is not None:
        return key
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return decoded.partition(":")[2]


class Entrance:
    """The checks that every request has to pass.

    Parameters
    ----------
    door
        Keys and limits.
    allowed_hosts
        Host names that a request may name in addition to those of this machine. With keys and
        without this list, any name is accepted, since a foreign page cannot know a key.
    """

    def __init__(self, door: Door, allowed_hosts: Iterable[str] = ()) -> None:
        self._door = door
        self._extra_hosts = frozenset(
            name for name in map(host_name, allowed_hosts) if name is not None
        )

    async def check(self, scope: Scope, access: Access) -> None:
        """Refuse a request, or note who calls.

        Raises
        ------
        ProblemError
            The request is refused.
        """
        headers, method = Headers(scope=scope), scope["method"]
        if scope["path"] not in OPEN_PATHS:
            scope["scheme"] = self._door.proxies.scheme(scope)
            host = requested_host(scope["headers"])
            if host is None:
                raise ProblemError(
                    400,
                    "host-malformed",
                    "the request must have one header 'Host' with a name, and at most a port",
                )
            # a request without a key can only be refused or be that of this machine
            has_key = request_key(headers) is not None
            await self._door.refresh(request_key(headers))
            self._check_host(host, headers)
            access.caller = await self._caller(scope, headers, has_key=has_key)
        if method in BODY_METHODS:
            content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            if content_type != "application/json":
                raise ProblemError(
                    415,
                    "json-only",
                    (
                        "the content type is not that of JSON; send JSON, with the header "
                        "'Content-Type: application/json'"
                    ),
                )

    def _check_host(self, host: str, headers: Headers) -> None:
        if self._door.needs_key and not self._extra_hosts:
            return
        if host not in LOCAL_NAMES | self._extra_hosts:
            raise ProblemError(
                421,
                "host-refused",
                "this server does not answer for the host that the request names; "
                "call it by localhost, or name the host in STAGECAST_ALLOWED_HOSTS",
            )

    async def _caller(self, scope: Scope, headers: Headers, *, has_key: bool) -> Caller:
        door, now = self._door, self._door.clock()
        seconds = now.timestamp()
        if not door.needs_key:
            return LOCAL
        if not has_key:
            if door.ring.is_unreadable and not door.ring.has_plain:
                raise _unreadable()
            raise _key_needed(scope["path"])
        text, address = request_key(headers), door.proxies.client(scope)
        wait = door.failures.before(address, seconds)
        if wait:
            raise _too_many("wrong keys from this address", "keys-tried", wait)
        try:
            caller = door.ring.check(text, now)
        except KeysUnreadableError:
            door.failures.right(address, seconds)
            raise _unreadable() from None
        if caller is None:
            shared = await anyio.to_thread.run_sync(door.failures.wrong, address, seconds)
            if shared:
                door.failures.block(address, seconds, shared)
                raise _too_many("wrong keys from this address", "keys-tried", shared)
            raise _key_needed(scope["path"])
        door.failures.right(address, seconds)
        if door.ring.is_use_due(caller, now):
            await anyio.to_thread.run_sync(door.ring.write_use, caller, now)
        await self._count(caller, seconds)
        return caller

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
            raise _too_many("requests of this key", "requests-limited", wait)


class Guard:
    """ASGI middleware that refuses requests, and tells the routes who calls.

    Parameters
    ----------
    app
        The application to protect.
    entrance
        The checks.
    """

    def __init__(self, app: ASGIApp, entrance: Entrance) -> None:
        self.app, self._entrance = app, entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            # there is no route for web sockets, so none is let through
            await send({"type": "websocket.close", "code": 1008})
            return
        access = access_of(scope)
        try:
            await self._entrance.check(scope, access)
        except ProblemError as problem:
            if problem.status == 429:
                access.shed = "limited"
            await problem.response()(scope, receive, send)
            return
        checked = send if scope["path"] in OPEN_PATHS else _only_if_checked(access, scope, send)
        await self.app(scope, receive, checked)


def _only_if_checked(access: Access, scope: Scope, send: Send) -> Send:
    """Return a ``send`` that lets no answer out for which no scope was checked.

    A route that was added by other means than the application's routers would not have been asked.
    """
    replaced = False

    async def send_checked(message: Message) -> None:
        nonlocal replaced
        if (
            message["type"] == "http.response.start"
            and message["status"] < 400
            and access.scope is None
        ):
            replaced = True
            problem = ProblemError(403, "scope-needed", "no key may call this route of the server")
            await problem.response()(scope, _no_more, send)
        elif not replaced:
            await send(message)

    return send_checked


async def _no_more() -> Message:
    return {"type": "http.disconnect"}


def _key_needed(path: str) -> ProblemError:
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


def _too_many(what: str, slug: str, wait: float) -> ProblemError:
    seconds = max(1, math.ceil(wait))
    headers: dict[str, Any] = {"Retry-After": str(seconds)}
    return ProblemError(429, slug, f"too many {what}; try again in {seconds} s", headers=headers)


def _unreadable() -> ProblemError:
    return ProblemError(503, "keys-unreadable", "the keys in the store cannot be read")

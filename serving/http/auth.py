"""Who may call: the guard checks host name, key and limits of each request.

Without keys the server is for this machine only: it listens on the loopback address, and a request
must name this machine as its host. Otherwise a foreign web page could point a host name of its own
at 127.0.0.1 (DNS rebinding) and read the scores through the browser of a user of this machine.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.features.errors import UsageError
from stagecast.serving.http.access import OPEN_PATHS, Access, access_of, is_public
from stagecast.serving.http.callers import Callers, key_needed, keys_unreadable
from stagecast.serving.http.cookies import (
    SAFE_METHODS,
    SIGN_IN,
    check_same_origin,
    session_token,
)
from stagecast.serving.http.door import Door
from stagecast.serving.http.hosts import LOCAL_NAMES, host_name, is_loopback, requested_host
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.keys.ring import LOCAL, Caller
from stagecast.serving.keys.weak import LENGTH_MIN


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
        self._door, self.callers = door, Callers(door)
        self._extra_hosts = frozenset(
            name for name in map(host_name, allowed_hosts) if name is not None
        )

    @property
    def needs_key(self) -> bool:
        """Whether a request needs a key."""
        return self._door.needs_key

    async def check(self, scope: Scope, access: Access) -> None:
        """Refuse a request, or note who calls.

        Raises
        ------
        ProblemError
            The request is refused.
        SignInNeededError
            A browser asks for a page, and nobody has signed in.
        """
        headers = Headers(scope=scope)
        if scope["path"] not in OPEN_PATHS:
            scope["scheme"] = self._door.proxies.scheme(scope)
            host = requested_host(scope["headers"])
            if host is None:
                raise ProblemError(
                    400,
                    "host-malformed",
                    "the request must have one header 'Host' with a name, and at most a port",
                )
            await self._door.refresh(request_key(headers))
            self._check_host(host, headers)
            access.caller = await self._caller(scope, headers, access)

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

    async def caller_of(self, key: str, scope: Scope) -> Caller:
        """Return who has a key that somebody signs in with, within the limits of wrong keys.

        Raises
        ------
        ProblemError
            See :meth:`Callers.by_key`.
        """
        await self._door.refresh(key)
        return await self.callers.by_key(key, scope)

    async def _caller(self, scope: Scope, headers: Headers, access: Access) -> Caller | None:
        door, key = self._door, request_key(headers)
        if not door.needs_key:
            return LOCAL
        if is_public(scope):
            return None
        if key is not None:
            return await self.callers.by_key(key, scope)
        if (token := session_token(scope)) is not None:
            caller = await self.callers.by_session(token)
            if caller is not None:
                if scope["method"] not in SAFE_METHODS:
                    check_same_origin(scope)
                access.is_signed_in = True
                return caller
        if door.ring.is_unreadable and not door.ring.has_plain:
            raise keys_unreadable()
        if door.can_sign_in and _asks_for_a_page(scope, headers):
            raise SignInNeededError(_address(scope))
        raise key_needed(scope["path"])


class SignInNeededError(Exception):
    """A browser asks for a page, and nobody has signed in.

    Parameters
    ----------
    address
        Path and query of the page.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address

    def response(self) -> Response:
        """Return the way to the sign-in, and from there to the page."""
        query = urlencode({"next": self.address}) if self.address != "/" else ""
        headers = {"Vary": "Cookie, Accept"}
        return RedirectResponse(f"{SIGN_IN}{'?' if query else ''}{query}", 303, headers)


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
        except SignInNeededError as needed:
            await needed.response()(scope, receive, send)
            return
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


def _asks_for_a_page(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser, or who reads HTML, asks for a page of people."""
    return (
        scope["method"] in ("GET", "HEAD")
        and not scope["path"].startswith("/v1/")
        and "text/html" in headers.get("accept", "")
    )


def _address(scope: Scope) -> str:
    """Return path and query of a request, as they were sent."""
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    address = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return bytes(address).decode("latin-1")

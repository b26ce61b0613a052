"""Who may talk to the server: API keys, where it may listen, and which host names a request may
name.

Without keys the server is for this machine alone: it listens on the loopback address only, and a
request must name this machine as its host. Else a web page elsewhere could point a name of its own
at 127.0.0.1 (DNS rebinding) and read the scores through the browser of somebody who works here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stagecast.features.errors import UsageError
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.settings import KEY_LENGTH_MIN

OPEN_PATHS = frozenset({"/livez", "/readyz"})
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods of which a page of another site could send one that a form can send; a browser asks
before any DELETE.
"""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "0.0.0.0", "shop.example")]
    [True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(host: str, keys: Sequence[str]) -> None:
    """Refuse to listen where others can connect, unless there are API keys.

    Raises
    ------
    UsageError
        The address is not the loopback address and there is no key.
    """
    if keys or is_loopback(host):
        return
    raise UsageError(
        f"--host {host} lets other machines read your customers' scores, and no API keys are set. "
        f"Set STAGECAST_API_KEYS to one or more keys of at least {KEY_LENGTH_MIN} "
        "characters, comma-separated, like "
        'STAGECAST_API_KEYS="$(openssl rand -hex 24)", or listen on 127.0.0.1'
    )


def host_name(header: str) -> str:
    """Return the host name of a ``Host`` header without its port, in lower case.

    >>> host_name("LOCALHOST:8000"), host_name("[::1]:8000"), host_name("shop.example.")
    ('localhost', '::1', 'shop.example')
    """
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def presented_key(headers: Headers) -> str | None:
    """Return the key that a request brings: ``X-API-Key``, Bearer, or Basic with the key as its
    password.
    """
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


class Guard:
    """ASGI middleware: host names, API keys, and JSON as the only type of a writing request.

    Parameters
    ----------
    app
        what it protects.
    keys
        API keys in clear; only their digests are kept. None at all: whoever reaches the server may
        ask.
    allowed_hosts
        host names that a request may name besides this machine's own. With keys and no such list,
        any name will do, since a foreign page cannot know a key.
    """

    def __init__(
        self, app: ASGIApp, keys: Iterable[str] = (), allowed_hosts: Iterable[str] = ()
    ) -> None:
        self.app = app
        self._digests = tuple(_digest(key) for key in keys)
        named = frozenset(host_name(host) for host in allowed_hosts)
        self._hosts = LOCAL_NAMES | named if named or not self._digests else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        problem = self._refusal(scope)
        if problem is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await problem.response()(scope, receive, send)

    def _refusal(self, scope: Scope) -> ProblemError | None:
        headers, path, method = Headers(scope=scope), scope["path"], scope.get("method", "GET")
        host = headers.get("host", "")
        if (
            self._hosts is not None
            and path not in OPEN_PATHS
            and host_name(host) not in self._hosts
        ):
            return ProblemError(
                421,
                "host-refused",
                f"this server does not answer for the host '{host[:100]}'; "
                "call it by localhost, or name the host in STAGECAST_ALLOWED_HOSTS",
            )
        if self._digests and path not in OPEN_PATHS and not self._knows(presented_key(headers)):
            for_people = not path.startswith("/v1/")
            return ProblemError(
                401,
                "key-needed",
                "an API key is needed: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY', "
                "or log in with any user name and the key as the password",
                headers={
                    "WWW-Authenticate": 'Basic realm="stagecast", charset="UTF-8"'
                    if for_people
                    else 'Bearer realm="stagecast"'
                },
            )
        if method in WITH_A_BODY:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return ProblemError(
                    415,
                    "json-only",
                    (
                        f"the content type is '{kind[:100]}'; send JSON, with the header "
                        "'Content-Type: application/json'"
                    ),
                )
        return None

    def _knows(self, key: str | None) -> bool:
        if key is None:
            return False
        digest = _digest(key)
        # every key is compared, so that the time taken does not tell which one is near
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0

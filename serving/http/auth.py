"""Access to the server: API keys, the address it listens at, and the host names of requests.

Without keys the server is for this machine only: it listens on the loopback address, and a request
must name this machine as its host. Otherwise a foreign web page could point a host name of its own
at 127.0.0.1 (DNS rebinding) and read the scores through the browser of a user of this machine.
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
BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
"""Methods that need a JSON content type, so that a form on another site cannot use them.

DELETE is not among them: no form can send it, and a browser asks the server before a script does.
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
    """Check that the server has API keys if other machines can connect to it.

    Parameters
    ----------
    host
        Address at which the server is to listen.
    keys
        API keys.

    Raises
    ------
    UsageError
        The address is not the loopback address and there are no keys.
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


class Guard:
    """ASGI middleware that checks host name, API key and content type of each request.

    Parameters
    ----------
    app
        The application to protect.
    keys
        API keys as plain text; the object keeps only their digests. Without keys, every request
        that passes the other checks is answered.
    allowed_hosts
        Host names that a request may name in addition to those of this machine. With keys and
        without this list, any name is accepted, since a foreign page cannot know a key.
    """

    def __init__(
        self, app: ASGIApp, keys: Iterable[str] = (), allowed_hosts: Iterable[str] = ()
    ) -> None:
        self.app = app
        self._digests = tuple(_digest(key) for key in keys)
        extra_hosts = frozenset(host_name(host) for host in allowed_hosts)
        self._hosts = LOCAL_NAMES | extra_hosts if extra_hosts or not self._digests else None

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
        if (
            self._digests
            and path not in OPEN_PATHS
            and not self._is_valid_key(request_key(headers))
        ):
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
        if method in BODY_METHODS:
            content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            if content_type != "application/json":
                return ProblemError(
                    415,
                    "json-only",
                    (
                        f"the content type is '{content_type[:100]}'; send JSON, with the header "
                        "'Content-Type: application/json'"
                    ),
                )
        return None

    def _is_valid_key(self, key: str | None) -> bool:
        if key is None:
            return False
        digest = _digest(key)
        # compares with every key, so that the time does not depend on which key matches
        return sum(hmac.compare_digest(digest, key_digest) for key_digest in self._digests) > 0

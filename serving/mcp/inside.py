"""Requests to an ASGI application in the same process, without a socket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

ONLY_READS = "only_reads"
"""In the state of a request: what it asks for writes nothing, though its method might."""
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Origin:
    """For whom a request is made: the headers that say it, and the address that it comes from."""

    headers: Headers
    client: tuple[str, int] | None
    scheme: str = "http"

    @classmethod
    def of(cls, scope: dict[str, Any]) -> Origin:
        """Return the origin of a request, so that another is made for the same caller."""
        headers = [(name, value) for name, value in scope["headers"] if name in _OF_THE_CALLER]
        if (request_id := scope.get("state", {}).get("request_id")) is not None:
            headers.append((b"x-request-id", request_id.encode("ascii")))
        client = scope.get("client")
        return cls(headers, None if client is None else (client[0], client[1]))


_OF_THE_CALLER = frozenset(
    {
        *(b"host", b"authorization", b"x-api-key", b"accept-language"),
        *(b"x-forwarded-for", b"x-forwarded-proto"),
    }
)


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    app: ASGIApp, origin: Origin, method: str, path: str, query: str = "", body: bytes = b""
) -> Answer:
    """Return what the application answers.

    Parameters
    ----------
    app
        The application, with all its middleware: keys, limits and logs are those of any request.
    origin
        For whom it is asked.
    method, path, query, body
        The request; the path is not quoted, a body is JSON.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": origin.scheme,
        "path": path,
        "raw_path": path.encode("utf-8"),
        "root_path": "",
        "query_string": query.encode("ascii"),
        "headers": [*origin.headers, (b"content-type", b"application/json")],
        "client": origin.client,
        "server": None,
        "state": {ONLY_READS: True},
    }
    incoming: Iterable[Message] = iter([{"type": "http.request", "body": body}])
    status, headers, pieces = 500, {}, []

    async def receive() -> Message:
        return next(iter(incoming), {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
        else:
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, headers, b"".join(pieces))

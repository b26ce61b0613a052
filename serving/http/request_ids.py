"""An id for each request, by which a caller and the logs speak of the same one.

A caller, or a proxy before the server, may send one as ``X-Request-ID``; it is taken where it has
hexadecimal digits and hyphens alone, as a UUID has, so that nobody writes an id of a customer or a
line of their own into the log. The answer has it in the same header, and an error in ``instance``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextvars import ContextVar

from starlette.types import Message, Send

HEADER = "X-Request-ID"
_NAME = HEADER.lower().encode("ascii")
_USABLE = re.compile(rb"[0-9a-fA-F-]{16,64}")

request_id: ContextVar[str | None] = ContextVar("stagecast_request_id", default=None)
"""Id of the request that is being handled, also in the threads that work for it; None outside."""


def id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id that a request brings, else a new one of 32 hexadecimal digits.

    Parameters
    ----------
    headers
        Raw headers of the request, with names in lower case.

    >>> id_of([(b"x-request-id", b"0b1d7f0a-93c4-4e2e-8a55-0a2f6f3e1c11")])
    '0b1d7f0a-93c4-4e2e-8a55-0a2f6f3e1c11'
    >>> len(id_of([(b"x-request-id", b"anna@shop.example")]))
    32
    """
    for name, value in headers:
        if name == _NAME and _USABLE.fullmatch(value):
            return value.decode("ascii")
    return os.urandom(16).hex()


def with_id(send: Send, text: str) -> Send:
    """Return a ``send`` that adds the id to the answer."""
    header = (_NAME, text.encode("ascii"))

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), header]
        await send(message)

    return send_with_id


def request_instance() -> str | None:
    """Return the URN of the request that is being handled; None outside of one."""
    own_id = request_id.get()
    return None if own_id is None else f"urn:stagecast:request:{own_id}"

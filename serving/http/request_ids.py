"""The id of each request: in the header ``X-Request-ID`` of its answer, in ``instance`` of an
error, and in the access log.

It is made here and never taken from the caller, so that it can be written to a log.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

HEADER = b"x-request-id"
_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def begin_request() -> str:
    """Give the request that is being handled an id of 16 hex digits, and return it."""
    request_id = os.urandom(8).hex()
    _current.set(request_id)
    return request_id


def request_instance() -> str | None:
    """Return the URN of the request that is being handled; None outside of one."""
    request_id = _current.get()
    return None if request_id is None else f"urn:stagecast:request:{request_id}"

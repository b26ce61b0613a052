"""The header ``Idempotency-Key``: a write that is sent again with the same key is done once.

A client whose connection broke does not know whether the write was done. With a key of its own it
can send it again: the answer is that of the first time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stagecast.serving.http.access import access_of
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.store.answered_writes import begin_write, finish_write, undo_write
from stagecast.serving.store.store import Store

HEADER = "Idempotency-Key"
PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "description": "a text of the caller's own for this write, such as a UUID; sent again with it "
    "within a day, the write is not repeated, and the answer is that of the first time",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def done_once(request: Request, store: Store, raw: bytes, work: Callable[[], Response]) -> Response:
    """Return the answer of a write, which is done unless it was done before with the same key.

    A write that fails is not remembered. Without a key it is done.

    Parameters
    ----------
    request
        The request.
    store
        The store.
    raw
        Its body.
    work
        Does the write.

    Raises
    ------
    ProblemError
        422: the key is no key, or was sent with another write; 409: the write is being done.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return work()
    if not _KEY.fullmatch(key):
        problem = "is not 1 to 255 printable ASCII characters without spaces"
        fault = Fault(f"header.{HEADER}", problem)
        raise ProblemError(
            422, "idempotency-key-refused", f"{fault.where} {problem}", faults=[fault]
        )
    caller, method = access_of(request.scope).caller, request.method
    name = _digest(caller.key_id if caller is not None else "", method, key)
    asked = _digest(method, request.url.path, str(sorted(request.query_params.multi_items())), raw)
    known = begin_write(store.engine, name, asked)
    if known is not None:
        return _replayed(known.request_sha256 == asked, known)
    try:
        response = work()
    except BaseException:
        undo_write(store.engine, name)
        raise
    finish_write(
        store.engine,
        name,
        response.status_code,
        bytes(response.body),
        response.headers.get("location"),
    )
    return response


def _replayed(is_same: bool, known: Any) -> Response:
    if not is_same:
        raise ProblemError(
            422,
            "idempotency-key-reused",
            f"the {HEADER} was sent with another write before; make a new one for each write",
        )
    if known.status is None:
        raise ProblemError(
            409,
            "write-in-progress",
            "this write is being done; ask again soon with the same key",
            headers={"Retry-After": "1"},
        )
    headers = {REPLAYED: "true"} | ({} if known.location is None else {"Location": known.location})
    kind = "application/json" if known.content else None
    return Response(known.content, known.status, headers, kind)


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "backslashreplace")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()

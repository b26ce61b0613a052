"""What the OpenAPI document says of keys: the scope of each operation, and how it refuses."""

from __future__ import annotations

from typing import Any

from stagecast.serving.http.access import OPEN_PATHS, ROUTE_SCOPES
from stagecast.serving.http.openapi import problem_responses

_REFUSALS = {
    400: "The header Host is malformed, or the request is no HTTP",
    401: "No API key was sent, or one that is not valid",
    403: "The key does not have the scope of this operation",
    421: "The server does not answer for the host that the request names",
    429: "Too many wrong keys from this address, or too many requests of this key; the header "
    "Retry-After says in how many seconds to try again",
    503: "No model is loaded, the store cannot be read, or too many requests are being handled",
}
_TOO_LONG = {"description": "The request line and the headers are longer than 64 KB; no body"}
_UNREADABLE = {"schema": {"type": "string", "description": "from the reader of HTTP itself"}}
_RETRY = {
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}
}


def declare_access(document: dict[str, Any]) -> dict[str, Any]:
    """Add scopes and refusals to each operation of a document, and return it.

    Parameters
    ----------
    document
        The OpenAPI document; its paths are the templates of routes without convertors.
    """
    scopes = {
        (method, path.replace(":path}", "}")): names
        for (method, path), names in ROUTE_SCOPES.items()
    }
    content = problem_responses(404)[404]["content"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in OPEN_PATHS:
                operation["security"] = []
                continue
            names = list(scopes.get((method.upper(), path), ()))
            # without any key, a server answers its own machine alone
            operation["security"] = [{}, {"bearer": names}, {"key": names}]
            operation["x-scopes"] = names
            for status, meaning in _REFUSALS.items():
                response: dict[str, Any] = {"description": meaning, "content": content}
                if status in (429, 503):
                    response["headers"] = _RETRY
                operation["responses"].setdefault(str(status), response)
            responses = operation["responses"]
            responses.setdefault("431", _TOO_LONG)
            responses["400"] = responses["400"] | {
                "content": responses["400"]["content"] | {"text/plain": _UNREADABLE}
            }
    return document

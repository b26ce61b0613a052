"""What a request with a body must be: JSON, so that no form of another site can write here."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from stagecast.serving.http.cookies import SIGN_IN, SIGN_OUT
from stagecast.serving.http.problems import ProblemError

BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
"""Methods that need a JSON content type, so that a form on another site cannot use them.

DELETE is not among them: no form can send it, and a browser asks the server before a script does.
"""


def check_content_type(scope: Scope) -> None:
    """Refuse a request that could be the form of another site.

    Only a script can send JSON to another site, and a browser asks the server before it lets it. A
    program need not name the type of a body that it does not send: every browser tells the origin
    of what it posts (Fetch standard, 3.2), and a program does not.

    Raises
    ------
    ProblemError
        415: the content type is not that of JSON.
    """
    # forms of these two say where they come from
    if scope["method"] not in BODY_METHODS or scope["path"] in (SIGN_IN, SIGN_OUT):
        return
    headers = Headers(scope=scope)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json" or (not content_type and _is_bare(headers)):
        return
    raise ProblemError(
        415,
        "json-only",
        (
            "the content type is not that of JSON; send JSON, with the header "
            "'Content-Type: application/json'"
        ),
    )


def _is_bare(headers: Headers) -> bool:
    """Return whether a request has no body and does not come from a browser."""
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return not has_body and "origin" not in headers and "sec-fetch-site" not in headers

"""Error responses as problem details of RFC 9457; all errors have the same fields.

Values of callers are quoted as text of at most 100 characters, so that an error is never as large
as the body that caused it, and can always be encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from stagecast.serving.quoting import quote

FAULTS_LISTED_MAX = 20
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Fault:
    """One fault of a request.

    Parameters
    ----------
    where
        Place in the request, such as ``customers[0].events[3].amount``.
    problem
        Why the value cannot be used.
    value
        The value; None: there is none, or it is not a plain value.
    """

    where: str
    problem: str
    value: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fault as an item of ``errors`` in the response."""
        value = {} if self.value is None else {"value": quote(self.value)}
        return {"where": quote(self.where), **value, "problem": self.problem}


class ProblemError(Exception):
    """An error that a handler turns into a response; routes and what they call raise it.

    Parameters
    ----------
    status
        HTTP status.
    slug
        Stable name of the kind of problem, for programs.
    detail
        What is wrong and what to try next, for people.
    faults
        Faults of the request; the response lists at most 20.
    headers
        Headers to add to the response.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.detail = status, slug, detail
        self.faults, self.headers = tuple(faults), dict(headers or {})

    @property
    def title(self) -> str:
        """The reason phrase of the status, such as ``Not Found``."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """Return the response of type ``application/problem+json``."""
        body: dict[str, Any] = {
            "type": f"urn:stagecast:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail.encode("utf-8", "backslashreplace").decode("utf-8"),
        }
        if self.faults:
            body["errors"] = [fault.to_json() for fault in self.faults[:FAULTS_LISTED_MAX]]
            if len(self.faults) > FAULTS_LISTED_MAX:
                body["errors_left_out"] = len(self.faults) - FAULTS_LISTED_MAX
        return Response(msgspec.json.encode(body), self.status, self.headers, MEDIA_TYPE)

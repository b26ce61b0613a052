"""Errors over HTTP: problem details of RFC 9457, one shape for all of them.

What a caller sent is quoted to at most 100 characters, and only as text, so that no error is as
large as the body that caused it and none can fail while it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from stagecast.serving.quoting import quote

LISTED = 20
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request: where it stands, what stands there, why it will
    not do.
    """

    where: str
    problem: str
    value: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``errors``."""
        shown = {} if self.value is None else {"value": quote(self.value)}
        return {"where": quote(self.where), **shown, "problem": self.problem}


class ProblemError(Exception):
    """An answer that says what went wrong and what to do; raised anywhere below a route.

    Parameters
    ----------
    status
        HTTP status.
    slug
        name of the kind of problem, stable, for programs.
    detail
        what is wrong here and what to try next, for people.
    faults
        the places in the request; at most 20 are shown.
    headers
        added to the answer.
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
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """Return the answer as ``application/problem+json``."""
        body: dict[str, Any] = {
            "type": f"urn:stagecast:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail.encode("utf-8", "backslashreplace").decode("utf-8"),
        }
        if self.faults:
            body["errors"] = [fault.to_json() for fault in self.faults[:LISTED]]
            if len(self.faults) > LISTED:
                body["errors_left_out"] = len(self.faults) - LISTED
        return Response(msgspec.json.encode(body), self.status, self.headers, MEDIA_TYPE)

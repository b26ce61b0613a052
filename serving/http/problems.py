"""Error responses as problem details of RFC 9457; all errors have the same fields.

An error says where a value stands and why it cannot be used, and does not repeat it: values are of
customers, and what is echoed can be made to say anything. It has at most 2 KiB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from stagecast.serving.http.request_ids import request_instance
from stagecast.serving.quoting import quote

FAULTS_LISTED_MAX, BYTES_MAX, DETAIL_MAX, PROBLEM_MAX = 20, 2048, 800, 400
_PHRASES_OF_TODAY = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Those that Python before 3.13 has from earlier documents."""
_QUOTED = re.compile("'.*'", re.DOTALL)
_OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")
_PHRASES = (
    (re.compile("--effects assumed"), "effects.learned false"),
    (re.compile(r"stagecast plan readout (\S+) EVENTS"), r"POST /v1/plans/\1/outcomes"),
    (re.compile(r"stagecast plan freeze (\S+)"), r"POST /v1/plans/\1/freeze"),
)
"""What errors that the command line shares say -> what a request says."""
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
        The value, for pages; None: there is none, or it is not a plain value. No answer to a
        program has it.
    """

    where: str
    problem: str
    value: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fault as an item of ``errors`` in the response."""
        return {"where": quote(self.where), "problem": _cut(self.problem, PROBLEM_MAX)}


def phrase(status: int) -> str:
    """Return the reason phrase of a status as RFC 9110 has it, whatever the version of Python.

    >>> phrase(422), phrase(404)
    ('Unprocessable Content', 'Not Found')
    """
    return _PHRASES_OF_TODAY.get(status) or HTTPStatus(status).phrase


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
        return phrase(self.status)

    def response(self) -> Response:
        """Return the response of type ``application/problem+json``."""
        body: dict[str, Any] = {
            "type": f"urn:stagecast:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": _cut(self.detail, DETAIL_MAX),
        }
        if (instance := request_instance()) is not None:
            body["instance"] = instance
        content = msgspec.json.encode(body)
        listed: list[dict[str, Any]] = []
        for number, fault in enumerate(self.faults[:FAULTS_LISTED_MAX], 1):
            left_out = len(self.faults) - number
            longer_list = [*listed, fault.to_json()]
            more = {"errors_left_out": left_out} if left_out else {}
            longer = msgspec.json.encode(body | {"errors": longer_list} | more)
            if len(longer) > BYTES_MAX:
                break
            listed, content = longer_list, longer
        return Response(content, self.status, self.headers, MEDIA_TYPE)


def without_values(text: str) -> str:
    """Return the text of an error without what stands in it between quotes.

    From the first quote to the last one, since a value can hold quotes itself.

    >>> without_values("customer 'a' has no purchase")
    "customer '…' has no purchase"
    """
    return _QUOTED.sub("'…'", text)


def in_request_words(text: str) -> str:
    """Return the text of an error that names options of the command line, with the names of fields.

    >>> in_request_words("make it again from these (--replace)")
    'make it again from these (replace)'
    >>> in_request_words("assume the effects (--effects assumed: 5% and 2%)")
    'assume the effects (effects.learned false: 5% and 2%)'
    """
    for phrase, of_request in _PHRASES:
        text = phrase.sub(of_request, text)
    return _OPTION.sub(lambda match: match[1].replace("-", "_"), text)


def _cut(text: str, length: int) -> str:
    """Return a text that can be encoded, at most so long."""
    encoded = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return encoded if len(encoded) <= length else encoded[: length - 1] + "…"

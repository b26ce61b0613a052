"""``POST /v1/score`` as an ASGI application of its own, before FastAPI and its middleware.

A request costs FastAPI, a dozen layers and a search through the routes more time than scoring one
customer of a batch. What the layers do for this path is done here in the same order, with the same
objects: admission, the checks of the guard, the scope of the key, problems as answers, headers. The
route stands in the application all the same, for the OpenAPI document and the walk over all routes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from stagecast.serving.http.access import access_of, check_route
from stagecast.serving.http.admission import Places, overloaded
from stagecast.serving.http.auth import Entrance
from stagecast.serving.http.bodies import receive_body
from stagecast.serving.http.content_types import check_content_type
from stagecast.serving.http.failures import problem_of
from stagecast.serving.http.headers import HEADERS
from stagecast.serving.http.plain import flag
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.query_once import check_once
from stagecast.serving.http.scoring import answer_score
from stagecast.serving.http.state import State

PATH = "/v1/score"
_HEADERS = [
    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
    (b"cache-control", b"no-store"),
    (b"vary", b"Accept-Language"),
]
_JSON = (b"content-type", b"application/json")


class ScoreOptions(NamedTuple):
    """Options of a request for scores."""

    reasons: bool
    strict: bool


def is_score(scope: Scope) -> bool:
    """Return whether a request is one for scores."""
    return (scope["method"], scope["path"]) == ("POST", PATH)


class ScoreApp:
    """Answers requests for scores.

    Parameters
    ----------
    state
        State of the server.
    entrance
        The checks of every request.
    places
        How many requests are handled at once, those of the rest of the server among them.
    """

    def __init__(self, state: State, entrance: Entrance, places: Places) -> None:
        self._state, self._entrance, self._places = state, entrance, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if not self._places.enter():
            access_of(scope).shed = "overloaded"
            await self._refuse(overloaded(), send)
            return
        try:
            content = await self._answer(scope, receive)
        except ClientDisconnect:
            raise
        except Exception as error:
            problem = problem_of(error, "POST")
            if problem.status == 429:
                access_of(scope).shed = "limited"
            await self._refuse(problem, send)
            if problem.status == 500:
                raise  # the log of requests says where it came from
        else:
            await self._send(send, 200, [_JSON], content)
        finally:
            self._places.leave()

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        access = access_of(scope)
        await self._entrance.check(scope, access)
        check_content_type(scope)
        check_route(scope, "POST", PATH)
        options = score_options(scope["query_string"])
        settings = self._state.settings
        raw = await receive_body(
            Headers(scope=scope), receive, settings.max_body_bytes, settings.body_seconds
        )
        return await answer_score(
            self._state,
            raw,
            with_reasons=options.reasons,
            strict=options.strict,
            client=scope.get("client"),
        )

    async def _refuse(self, problem: ProblemError, send: Send) -> None:
        response = problem.response()
        headers = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
        await self._send(send, problem.status, headers, bytes(response.body))

    async def _send(
        self, send: Send, status: int, headers: list[tuple[bytes, bytes]], content: bytes
    ) -> None:
        headers = [(b"content-length", b"%d" % len(content)), *headers, *_HEADERS]
        if self._state.is_draining:
            headers = [pair for pair in headers if pair[0] != b"connection"]
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


@lru_cache(maxsize=64)
def score_options(query: bytes) -> ScoreOptions:
    """Return the options in a query string.

    Raises
    ------
    ProblemError
        422: one of them is neither true nor false, or is given twice.

    >>> score_options(b"reasons=false")
    ScoreOptions(reasons=False, strict=True)
    """
    parameters = QueryParams(query.decode("latin-1"))
    check_once(parameters)
    return ScoreOptions(
        flag(parameters, "reasons", default=True), flag(parameters, "strict", default=True)
    )

"""Responses to errors: problem details for programs, a page for browsers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stagecast.features.errors import StagecastError, UsageError, did_you_mean
from stagecast.serving.http.page_texts import shop_of
from stagecast.serving.http.problems import Fault, ProblemError, phrase, without_values
from stagecast.serving.http.store_faults import store_problem
from stagecast.serving.reports.rendering import render
from stagecast.serving.store.queries import CursorError

_SLUGS = {404: "not-found", 405: "method-refused"}
_DETAILS = {
    404: "there is nothing at this path",
    405: "this path does not take this method; the header Allow says which it takes",
}


def add_handlers(app: FastAPI) -> None:
    """Register a handler for each kind of error with the application."""

    def answer(request: Request, problem: ProblemError) -> Response:
        for_browser = not request.url.path.startswith(
            "/v1/"
        ) and "text/html" in request.headers.get("accept", "")
        if for_browser:
            return render(
                "error.html",
                status=problem.status,
                headers=problem.headers,
                problem=problem,
                **shop_of(None, request),
            )
        return problem.response()

    @app.exception_handler(ProblemError)
    async def _on_problem(request: Request, error: ProblemError) -> Response:
        return answer(request, error)

    @app.exception_handler(CursorError)
    async def _on_cursor(request: Request, error: CursorError) -> Response:
        status = 410 if error.kind == "expired" else 400
        return answer(request, ProblemError(status, f"cursor-{error.kind}", str(error)))

    @app.exception_handler(StagecastError)
    async def _on_stagecast_error(request: Request, error: StagecastError) -> Response:
        return answer(request, problem_of(error, request.method))

    @app.exception_handler(RequestValidationError)
    async def _on_invalid_query(request: Request, error: RequestValidationError) -> Response:
        return answer(request, _query_problem(error))

    @app.exception_handler(HTTPException)
    async def _on_http_error(request: Request, error: HTTPException) -> Response:
        what = _DETAILS.get(error.status_code, phrase(error.status_code).lower())
        detail = f"{what}; see /docs"
        headers = dict(error.headers or {})
        return answer(
            request,
            ProblemError(
                error.status_code, _SLUGS.get(error.status_code, "http"), detail, headers=headers
            ),
        )

    @app.exception_handler(SQLAlchemyError)
    async def _on_store_error(request: Request, error: SQLAlchemyError) -> Response:
        return answer(request, problem_of(error, request.method))

    @app.exception_handler(Exception)
    async def _on_bug(request: Request, error: Exception) -> Response:
        return answer(request, problem_of(error, request.method))


def problem_of(error: Exception, method: str) -> ProblemError:
    """Return what an error is to the caller; 500 where it is a fault of the server.

    Parameters
    ----------
    error
        The error.
    method
        Method of the request.
    """
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, StagecastError):
        status = 400 if isinstance(error, UsageError) else 422
        return ProblemError(status, "request-refused", without_values(str(error)))
    if isinstance(error, SQLAlchemyError):
        return store_problem(error, method)
    # the traceback goes to the server's log; the response must not reveal internals
    return ProblemError(500, "internal", "this is a fault of the server; its log says more")


def _query_problem(error: RequestValidationError) -> ProblemError:
    faults, slug = [], "query-refused"
    for item in error.errors():
        location = ".".join(str(step) for step in item["loc"])
        problem = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            slug, location = "parameter-unknown", str(item["loc"][0])
            problem = f"no such parameter.{did_you_mean(str(item['loc'][-1])[:100], _PARAMETERS)}"
        faults.append(Fault(location, problem, _text(item.get("input"))))
    first = faults[0]
    return ProblemError(422, slug, f"{first.where}: {first.problem}", faults=faults)


_PARAMETERS = (
    "stage",
    "churn_band",
    "state",
    "play",
    "min_value_at_risk",
    "customer_id_prefix",
    "fields",
    "run",
    "sort",
    "limit",
    "cursor",
    "format",
)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None if value is None else repr(value)

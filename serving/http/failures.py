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
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.http.store_faults import store_problem
from stagecast.serving.quoting import quote
from stagecast.serving.reports.rendering import render

_SLUGS = {404: "not-found", 405: "method-refused"}


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

    @app.exception_handler(StagecastError)
    async def _on_stagecast_error(request: Request, error: StagecastError) -> Response:
        return answer(request, problem_of(error, request.method))

    @app.exception_handler(RequestValidationError)
    async def _on_invalid_query(request: Request, error: RequestValidationError) -> Response:
        return answer(request, _query_problem(error))

    @app.exception_handler(HTTPException)
    async def _on_http_error(request: Request, error: HTTPException) -> Response:
        detail = (
            f"{request.method} {quote(request.url.path)}: {str(error.detail).lower()}; see /docs"
        )
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
        return ProblemError(status, "request-refused", str(error))
    if isinstance(error, SQLAlchemyError):
        return store_problem(error, method)
    # the traceback goes to the server's log; the response must not reveal internals
    return ProblemError(500, "internal", "this is a fault of the server; its log says more")


def _query_problem(error: RequestValidationError) -> ProblemError:
    faults = []
    for item in error.errors():
        location = ".".join(str(step) for step in item["loc"])
        problem = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            problem = f"no such parameter.{did_you_mean(str(item['loc'][-1])[:100], _PARAMETERS)}"
        faults.append(Fault(location, problem, _text(item.get("input"))))
    first = faults[0]
    value = "" if first.value is None else f" '{quote(first.value)}'"
    return ProblemError(
        422, "query-refused", f"{quote(first.where)}{value}: {first.problem}", faults=faults
    )


_PARAMETERS = (
    "stage",
    "band",
    "state",
    "play",
    "min_value",
    "q",
    "sort",
    "limit",
    "cursor",
    "format",
)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None if value is None else repr(value)

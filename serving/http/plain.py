"""Routes that are called with the request alone, for paths where FastAPI's own work counts.

FastAPI resolves the dependencies of a route anew for each request, which takes longer than to score
a customer's stage. A plain route stands in the OpenAPI document like any other; its parameters are
described there by hand, and read with the functions of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from stagecast.serving.http.access import check_scope
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.http.query_once import refuse_repeated

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class PlainRoute(APIRoute):
    """A route whose function takes the request and returns the response."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function of the route itself, called if the key has the scope of the route."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint

        async def handler(request: Request) -> Response:
            # dependencies are not resolved here, so these are called by hand
            await check_scope(request)
            await refuse_repeated(request)
            return await endpoint(request)

        return handler


def flag(parameters: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return a query parameter that is true or false.

    Parameters
    ----------
    parameters
        Parameters of the query.
    name
        Name of the parameter.
    default
        Its value where it is left out.

    Raises
    ------
    ProblemError
        422: the value is neither ``true`` nor ``false``, nor 1 or 0.

    >>> flag({"reasons": "False"}, "reasons", default=True)
    False
    """
    text = parameters.get(name)
    if text is None:
        return default
    value = _FLAGS.get(text.strip().lower())
    if value is None:
        problem = "is neither true nor false; write true or false, or leave it out"
        raise ProblemError(
            422,
            "query-refused",
            f"query.{name}: {problem}",
            faults=[Fault(f"query.{name}", problem, text)],
        )
    return value

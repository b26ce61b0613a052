"""A parameter that is given twice is refused: which of its values counts is not the same for all
programs on the way, and a caller who sends two means something that is not done."""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.requests import Request

from stagecast.serving.http.problems import Fault, ProblemError

REPEATABLE = frozenset({"stage", "column"})
"""Parameters that are lists."""


async def refuse_repeated(request: Request) -> None:
    """Refuse a request of the API that has a parameter twice; a dependency of all routes.

    Raises
    ------
    ProblemError
        422: it has.
    """
    if request.scope["query_string"] and request.scope["path"].startswith("/v1/"):
        check_once(request.query_params)


def check_once(parameters: QueryParams) -> None:
    """Refuse a parameter that is given twice; raises as :func:`refuse_repeated` does."""
    places: dict[str, int] = {}
    for place, (name, _) in enumerate(parameters.multi_items(), 1):
        if name in places and name not in REPEATABLE:
            problem = f"the parameters {places[name]} and {place} have the same name; give it once"
            fault = Fault("query", problem)
            raise ProblemError(422, "parameter-repeated", f"query: {problem}", faults=[fault])
        places[name] = place

"""What the closed plans brought together, and what changed at a date."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import StoreDep
from stagecast.serving.store.comparisons import stored_comparisons
from stagecast.serving.targeting.plan.pooled_results import nothing_compared, pooled_results

router = APIRouter(prefix="/v1", tags=["plans"])


@router.get(
    "/results",
    summary="What all closed plans brought together",
    responses={**json_response("Results"), **problem_responses(404)},
)
def results(store: StoreDep) -> Response:
    """Return extra buyers and money of all closed plans, by play, and the mean of such plans."""
    together = pooled_results(store.engine)
    if together is None and (why := nothing_compared(store.engine)) is not None:
        raise ProblemError(404, "nothing-to-compare", why)
    if together is None:
        raise ProblemError(
            404,
            "not-read-out",
            "no plan was read out at the end of its window; after it send the outcomes: POST "
            "/v1/plans/NAME/outcomes (or run: stagecast plan readout NAME EVENTS)",
        )
    body = msgspec.json.encode(together.to_json())
    return Response(body, media_type="application/json")


@router.get(
    "/results/before-after",
    summary="What changed at a date: sales, repeat orders, cost and stages before and after",
    responses=json_response("BeforeAfterList"),
)
def list_comparisons(store: StoreDep) -> Response:
    """Return the comparisons that `stagecast report --before-after DATE --publish` wrote, the
    latest date first. They compare two periods and are no experiment: whatever else changed at the
    date is in them.
    """
    body = msgspec.json.encode({"comparisons": stored_comparisons(store.engine)})
    return Response(body, media_type="application/json")

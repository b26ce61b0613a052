"""Scores of the raw events in a request."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stagecast.serving.http.bodies import read_body
from stagecast.serving.http.openapi import json_response, problem_responses, request_body
from stagecast.serving.http.plain import PlainRoute
from stagecast.serving.http.score_app import score_options
from stagecast.serving.http.scoring import answer_score
from stagecast.serving.http.state import state_of

router = APIRouter(prefix="/v1", tags=["scores"], route_class=PlainRoute)


REASONS = {
    "name": "reasons",
    "in": "query",
    "description": "whether to compute the reasons; without them, the answer comes sooner",
    "schema": {"type": "boolean", "default": True},
}
STRICT = {
    "name": "strict",
    "in": "query",
    "description": "whether one customer who cannot be scored makes the request fail; if not, "
    "`errors` names them beside the scores of the others",
    "schema": {"type": "boolean", "default": True},
}


@router.post(
    "/score",
    summary="Score raw events of one to 1,000 customers",
    responses={**json_response("ScoreAnswer"), **problem_responses(400, 413, 415, 422, 503)},
    openapi_extra={**request_body("ScoreBody"), "parameters": [REASONS, STRICT]},
)
async def score(request: Request) -> Response:
    """Score customers from their raw events; nothing is stored.

    Events at or after the `as_of` are not seen. A customer with no event before it makes the whole
    request fail, and is named. Of `attributes` those that the training knew from the first contact
    on are used, for `p_convert` and by features that ask for them; others are accepted. Money is in
    the currency of the training; a `currency` that is another one is refused. With
    `?reasons=false` no reasons are computed, which is faster, and each list of them is empty.

    `warnings` of a score say where the request is not what the model was trained on: an event type
    that it does not know, no amounts, an `as_of` before the training or long after it. A customer
    whose purchases have another name is refused. `GET /v1/model` says in `contract` what it knows.

    With `?strict=false` a customer who cannot be scored does not make the request fail: the others
    have their scores, and `errors` says of each customer without one what is wrong.
    """
    state, options = state_of(request), score_options(request.scope["query_string"])
    raw = await read_body(request, state.settings.max_body_bytes)
    content = await answer_score(state, raw, with_reasons=options.reasons, strict=options.strict)
    return Response(content, media_type="application/json")

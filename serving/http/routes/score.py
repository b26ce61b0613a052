"""Scores of the raw events in a request."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio.to_thread
import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stagecast.features.errors import StagecastError
from stagecast.features.shop.clock import clock_named
from stagecast.serving.http.bodies import read_body
from stagecast.serving.http.clean_bodies import read_score
from stagecast.serving.http.openapi import json_response, problem_responses, request_body
from stagecast.serving.http.plain import PlainRoute, flag
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import scorer_of, state_of
from stagecast.serving.store.protocols import ScorerLike
from stagecast.training.card import EqualEvents
from stagecast.training.value.currency import LogMoney

router = APIRouter(prefix="/v1", tags=["scores"], route_class=PlainRoute)


REASONS = {
    "name": "reasons",
    "in": "query",
    "description": "whether to compute the reasons; without them, the answer comes sooner",
    "schema": {"type": "boolean", "default": True},
}


@router.post(
    "/score",
    summary="Score raw events of one to 1,000 customers",
    responses={**json_response("ScoreAnswer"), **problem_responses(400, 413, 415, 422, 503)},
    openapi_extra={**request_body("ScoreBody"), "parameters": [REASONS]},
)
async def score(request: Request) -> Response:
    """Score customers from their raw events; nothing is stored.

    Events at or after the `as_of` are not seen. A customer with no event before it makes the whole
    request fail, and is named. Of `attributes` those that the training knew from the first contact
    on are used, for `p_convert` and by features that ask for them; others are accepted. Money is in
    the currency of the training; a `currency` that is another one is refused. With
    `?reasons=false` no reasons are computed, which is faster, and each list of them is empty.
    """
    state = state_of(request)
    scorer = scorer_of(state)
    with_reasons = flag(request.query_params, "reasons", default=True)
    raw = await read_body(request, state.settings.max_body_bytes)
    # decoding a long body takes time too: both run in a thread, so that the event loop stays free
    content = await anyio.to_thread.run_sync(
        _score_json, scorer, raw, datetime.now(UTC), with_reasons
    )
    return Response(content, media_type="application/json")


def _score_json(
    scorer: ScorerLike, raw: bytes, default_as_of: datetime, with_reasons: bool
) -> bytes:
    clock = clock_named(str(scorer.card.get("zone", "UTC")))
    equal_events: EqualEvents = "each" if scorer.card.get("equal_events") == "each" else "one"
    score_request = read_score(raw, default_as_of, clock, equal_events=equal_events)
    try:
        money = LogMoney.from_json(scorer.card)
        money.check(score_request.currency, f"send amounts in {money.currency}")
        scores = scorer.score_objects(
            score_request.customers, score_request.as_of, with_reasons=with_reasons
        )
    except StagecastError as error:
        raise ProblemError(422, "scoring-refused", str(error)) from None
    as_of = score_request.as_of.isoformat().replace("+00:00", "Z")
    answer = {
        "model_version": scorer.model_version,
        "as_of": as_of,
        "scores": scores,
    }
    return msgspec.json.encode(answer)

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
from stagecast.serving.http.bodies import decode_score, read_body
from stagecast.serving.http.incoming import read_request
from stagecast.serving.http.openapi import json_response, problem_responses, request_body
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import ScorerDep, StateDep
from stagecast.serving.scoring import score_schema
from stagecast.serving.store.protocols import ScorerLike
from stagecast.training.value.currency import LogMoney

router = APIRouter(prefix="/v1", tags=["scores"])


@router.post(
    "/score",
    summary="Score raw events of one to 1,000 customers",
    responses={**json_response("ScoreAnswer"), **problem_responses(400, 413, 415, 422, 503)},
    openapi_extra=request_body("ScoreBody"),
)
async def score(request: Request, state: StateDep, scorer: ScorerDep) -> Response:
    """Score customers from their raw events; nothing is stored.

    Events at or after the `as_of` are not seen. A customer with no event before it makes the whole
    request fail, and is named. Of `attributes` those that the training knew from the first contact
    on are used, for `p_convert` and by features that ask for them; others are accepted. Money is in
    the currency of the training; a `currency` that is another one is refused.
    """
    raw = await read_body(request, state.settings.max_body_bytes)
    # decoding a long body takes time too: both run in a thread, so that the event loop stays free
    content = await anyio.to_thread.run_sync(_score_json, scorer, raw, datetime.now(UTC))
    return Response(content, media_type="application/json")


def _score_json(scorer: ScorerLike, raw: bytes, default_as_of: datetime) -> bytes:
    body = decode_score(raw)
    clock = clock_named(str(scorer.card.get("zone", "UTC")))
    score_request = read_request(body, default_as_of, clock)
    try:
        money = LogMoney.from_json(scorer.card)
        money.check(body.currency, f"send amounts in {money.currency}")
        table = scorer.score_customers(score_request.customers, score_request.as_of)
    except StagecastError as error:
        raise ProblemError(422, "scoring-refused", str(error)) from None
    as_of = score_request.as_of.isoformat().replace("+00:00", "Z")
    answer = {
        "model_version": scorer.model_version,
        "as_of": as_of,
        "scores": list(score_schema.json_rows(table)),
    }
    return msgspec.json.encode(answer)

"""Scores of the raw events in a request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import anyio.to_thread
import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stagecast.features.errors import StagecastError
from stagecast.serving.http.bodies import read_body
from stagecast.serving.http.clean_bodies import read_score
from stagecast.serving.http.contract_checks import add_warnings, refuse_meant_otherwise
from stagecast.serving.http.incoming import ScoreRequest
from stagecast.serving.http.micro_batches import Asked
from stagecast.serving.http.openapi import json_response, problem_responses, request_body
from stagecast.serving.http.partial import (
    PartialScores,
    clock_of,
    equal_events_of,
    partial_scores,
    refuse_other_currency,
)
from stagecast.serving.http.plain import PlainRoute, flag
from stagecast.serving.http.problems import ProblemError, without_values
from stagecast.serving.http.state import scorer_of, state_of
from stagecast.serving.store.protocols import ScorerLike

router = APIRouter(prefix="/v1", tags=["scores"], route_class=PlainRoute)


SHORT_BODY = 16_384
"""Length of a body in bytes up to which the request of one customer may be scored with others."""
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
    state = state_of(request)
    scorer = scorer_of(state)
    options = _Options(
        flag(request.query_params, "reasons", default=True),
        flag(request.query_params, "strict", default=True),
    )
    raw = await read_body(request, state.settings.max_body_bytes)
    if options.strict and len(raw) <= SHORT_BODY and raw.count(b"customer_id") == 1:
        reader = _Reader(scorer, raw)
        answered = await state.micro_batches.score(Asked(scorer, reader, options.reasons))
        add_warnings(scorer, reader.request, answered.scores)
        content = _answer(scorer, PartialScores(answered.as_of, answered.scores, []))
    else:
        # decoding a long body takes time too: both run in a thread, so that the loop stays free
        content = await anyio.to_thread.run_sync(
            _score_json, scorer, raw, datetime.now(UTC), options
        )
    return Response(content, media_type="application/json")


class _Options(NamedTuple):
    reasons: bool
    strict: bool


class _Reader:
    """Reads a body when it is its turn to be scored, and keeps what it read for the warnings."""

    def __init__(self, scorer: ScorerLike, raw: bytes) -> None:
        self._scorer, self._raw = scorer, raw
        self.request: ScoreRequest | None = None

    def __call__(self, default_as_of: datetime) -> ScoreRequest:
        self.request = _read(self._scorer, self._raw, default_as_of)
        return self.request


def _score_json(
    scorer: ScorerLike, raw: bytes, default_as_of: datetime, options: _Options
) -> bytes:
    if options.strict:
        result = _all_scores(scorer, raw, default_as_of, with_reasons=options.reasons)
    else:
        result = partial_scores(
            scorer,
            raw,
            default_as_of,
            equal_events=equal_events_of(scorer),
            with_reasons=options.reasons,
        )
    return _answer(scorer, result)


def _answer(scorer: ScorerLike, result: PartialScores) -> bytes:
    answer = {
        "model_version": scorer.model_version,
        "as_of": result.as_of.isoformat().replace("+00:00", "Z"),
        "scores": result.scores,
        "errors": result.errors,
    }
    return msgspec.json.encode(answer)


def _read(scorer: ScorerLike, raw: bytes, default_as_of: datetime) -> ScoreRequest:
    """Return the customers of a body; raises a ProblemError where one of them cannot be read."""
    request = read_score(raw, default_as_of, clock_of(scorer), equal_events=equal_events_of(scorer))
    refuse_other_currency(scorer, request.currency)
    refuse_meant_otherwise(scorer, request.customers)
    return request


def _all_scores(
    scorer: ScorerLike, raw: bytes, default_as_of: datetime, *, with_reasons: bool
) -> PartialScores:
    """Return the scores of all customers; raises a ProblemError where one cannot be scored."""
    request = _read(scorer, raw, default_as_of)
    try:
        scores = scorer.score_objects(request.customers, request.as_of, with_reasons=with_reasons)
    except StagecastError as error:
        raise ProblemError(422, "scoring-refused", without_values(str(error))) from None
    add_warnings(scorer, request, scores)
    return PartialScores(request.as_of, scores, [])

"""The model that the server has loaded."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.rollout import canary_of
from stagecast.serving.http.state import ScorerDep, StateDep

router = APIRouter(prefix="/v1", tags=["model"])


@router.get(
    "/model",
    summary="The card of the loaded model",
    responses={
        **json_response("ModelCard"),
        **problem_responses(503),
    },
)
def model_card(state: StateDep, scorer: ScorerDep) -> Response:
    """Return what the bundle says of itself: data, training, metrics, stage scheme, and in
    `contract` what the model can be asked. A server that follows its model tells in `model_doubt`
    since when and why an old one stays, and in `canary` which one answers a share of the customers.
    """
    card = dict(scorer.card)
    if state.doubt is not None:
        doubt = state.doubt()
        card["model_doubt"] = None if doubt is None else doubt.to_json()
        card["canary"] = canary_of(state)
    return Response(msgspec.json.encode(card), media_type="application/json")


@router.get(
    "/model/shadow",
    summary="A challenger beside the model that answers",
    responses={
        **json_response("ShadowReport"),
        **problem_responses(404),
    },
)
def model_shadow(state: StateDep) -> Response:
    """Return how the scores of the challenger differ from those that were answered, on the same
    customers. It never answers. With several workers the figures are those of all.
    """
    if state.shadow is None:
        raise ProblemError(
            404, "no-shadow", "no challenger is scored; start the server with --shadow MODEL"
        )
    version = None if state.scorer is None else state.scorer.model_version
    report = state.shadow.report(version)
    return Response(msgspec.json.encode(report), media_type="application/json")

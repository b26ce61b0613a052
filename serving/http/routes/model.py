"""The model that the server has loaded."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.state import ScorerDep

router = APIRouter(prefix="/v1", tags=["model"])


@router.get(
    "/model",
    summary="The card of the loaded model",
    responses={
        **json_response("ModelCard"),
        **problem_responses(503),
    },
)
def model_card(scorer: ScorerDep) -> Response:
    """Return what the bundle says of itself: data, training, metrics, stage scheme, and in
    `contract` what the model can be asked."""
    return Response(msgspec.json.encode(scorer.card), media_type="application/json")

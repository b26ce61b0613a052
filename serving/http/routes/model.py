"""The model that the server has loaded."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from stagecast.serving.http.openapi import problem_responses
from stagecast.serving.http.state import ScorerDep

router = APIRouter(prefix="/v1", tags=["model"])


@router.get(
    "/model",
    summary="The card of the loaded model",
    responses={
        200: {"description": "What it was trained on, and how good it is"},
        **problem_responses(503),
    },
)
def model_card(scorer: ScorerDep) -> Response:
    """Return what the bundle says of itself: data, training, metrics, stage scheme."""
    return Response(msgspec.json.encode(scorer.card), media_type="application/json")

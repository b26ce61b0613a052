"""Saved views: filters, columns and order of the list of customers under a name."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from stagecast.features.errors import UsageError
from stagecast.serving.http.bodies import read_body
from stagecast.serving.http.idempotency import PARAMETER, done_once
from stagecast.serving.http.openapi import json_response, problem_responses, request_body
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.http.view_bodies import decode_view
from stagecast.serving.reports.rendering import link
from stagecast.serving.store.saved_views import (
    SavedView,
    ViewNameTakenError,
    delete_view,
    list_views,
    save_view,
)
from stagecast.serving.store.store import Store

router = APIRouter(prefix="/v1", tags=["customers"])


@router.get(
    "/saved-views",
    summary="The views that were saved under names",
    responses=json_response("SavedViewList"),
)
def list_saved_views(store: StoreDep) -> Response:
    """List the saved views by name, each with the parameters and the page of its list."""
    return _answer({"views": [view_to_json(view) for view in list_views(store.engine)]})


@router.post(
    "/saved-views",
    summary="Save filters, columns and order of the list under a name",
    status_code=201,
    response_class=Response,
    responses={
        201: json_response("SavedView")[200] | {"description": "Saved"},
        **problem_responses(400, 409, 413, 415, 422),
    },
    openapi_extra={**request_body("SavedViewBody"), "parameters": [PARAMETER]},
)
async def add_saved_view(request: Request, state: StateDep, store: StoreDep) -> Response:
    """Save a view for all who may see the pages. The beginning of an id is not saved, since it may
    name a customer who is erased later. A name that is taken is a 409.
    """
    raw = await read_body(request, state.settings.max_body_bytes)
    work = partial(_save, store, raw)
    return await anyio.to_thread.run_sync(done_once, request, store, raw, work)


@router.delete(
    "/saved-views/{number}",
    summary="Delete a saved view",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Deleted"}, **problem_responses(404, 422)},
)
def drop_saved_view(number: Annotated[int, Path(ge=1, le=2**31 - 1)], store: StoreDep) -> Response:
    """Delete a view; the customers of its list stay."""
    if not delete_view(store.engine, number):
        problem = "there is no saved view of this number; GET /v1/saved-views lists them"
        raise ProblemError(404, "view-unknown", problem)
    return Response(status_code=204)


def view_to_json(view: SavedView) -> dict[str, Any]:
    """Return a view as the API answers it."""
    return {**vars(view), "link": link("/customers", list(view.parameters))}


def _save(store: Store, raw: bytes) -> Response:
    name, parameters = decode_view(raw, store.current_run())
    try:
        view = save_view(store.engine, name, parameters)
    except ViewNameTakenError as error:
        raise ProblemError(409, "view-name-taken", str(error)) from None
    except UsageError as error:
        raise ProblemError(422, "view-refused", str(error)) from None
    return _answer(view_to_json(view), 201)


def _answer(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")

"""The published runs, and what changed from one to another."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.state import StoreDep, get_run, run_of
from stagecast.serving.store.feed import changes_between, decode_place, encode_place
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.queries import LIMIT_DEFAULT, LIMIT_MAX, CursorError

router = APIRouter(prefix="/v1", tags=["runs"])

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="most entries of an answer")]
Number = Annotated[int, Query(ge=1, le=2**31 - 1)]


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


@router.get(
    "/runs",
    summary="The published runs, the newest first",
    responses={**json_response("RunList"), **problem_responses(422)},
)
def list_runs(
    store: StoreDep,
    limit: Limit = LIMIT_DEFAULT,
    before: Annotated[
        int | None,
        Query(ge=1, le=2**31 - 1, description="next_before of the answer before"),
    ] = None,
) -> Response:
    """List the runs whose scores are stored. The `id` of one is what `run` and `since` take."""
    runs = store.runs(limit=limit + 1, before=before)
    current = store.current_run()
    return _json(
        {
            "current": None if current is None else current.id,
            "runs": [_run(run) for run in runs[:limit]],
            "next_before": runs[limit - 1].id if len(runs) > limit else None,
        }
    )


def _run(run: Run) -> dict[str, Any]:
    """Return what the API says of a run; where its model lies is of the server."""
    names = (
        "id", "as_of", "horizon_days", "data_cutoff", "model_version", "scheme_id", "published_at",
        "customers", "zone", "currency",
    )  # fmt: skip
    stored = {name: getattr(run, name) for name in names}
    stored["scheme"] = stored.pop("scheme_id")
    return stored


@router.get(
    "/changes",
    summary="Whose score changed since a run",
    responses={**json_response("ChangeList"), **problem_responses(400, 404, 410, 422)},
)
def list_changes(
    store: StoreDep,
    since: Annotated[Number, Query(description="number of the run that the caller knows already")],
    limit: Limit = LIMIT_DEFAULT,
    cursor: Annotated[
        str | None, Query(max_length=4096, description="next_cursor of the answer before")
    ] = None,
) -> Response:
    """List the customers whose state, stage, churn band or play differ between the run `since` and
    the current one, in the order of their ids, with those who are in one of the two alone.

    Follow `next_cursor` to the end; its pages stay with the run of the first one, whatever is
    published meanwhile. Then ask with the `run` of the answer as the next `since`. Customers who
    were erased are in no run any more, and are not named.
    """
    earlier, place = run_of(store, since), None
    if cursor is None:
        run = get_run(store)
    else:
        of_since, number, place = decode_place(cursor)
        if of_since != since:
            raise CursorError("of-another-query", "the cursor belongs to another since")
        later = store.run(number)
        if later is None:
            raise CursorError("expired", "the run of the cursor is not stored any more")
        run = later
    changes = changes_between(store.engine, since, run.id, limit=limit + 1, after=place or "")
    listed = changes[:limit]
    return _json(
        {
            "since": since,
            "run": run.id,
            "from_as_of": earlier.as_of,
            "to_as_of": run.as_of,
            "changes": [asdict(change) for change in listed],
            "next_cursor": encode_place(since, run.id, listed[-1].customer_id)
            if len(changes) > limit
            else None,
        }
    )

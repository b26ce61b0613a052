"""Jobs: batches of raw events beyond those of one request, scored in the background."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Literal

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from stagecast.serving.http.accept import accepted
from stagecast.serving.http.access import access_of
from stagecast.serving.http.bodies import decode_job, read_body
from stagecast.serving.http.idempotency import PARAMETER, done_once
from stagecast.serving.http.incoming import as_of_of
from stagecast.serving.http.job_queue import Batch, JobQueue
from stagecast.serving.http.openapi import json_response, problem_responses, request_body
from stagecast.serving.http.partial import clock_of, equal_events_of, refuse_other_currency
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import ScorerDep, State, StateDep, StoreDep
from stagecast.serving.store import jobs
from stagecast.serving.store.jobs import Job
from stagecast.serving.store.protocols import ScorerLike
from stagecast.serving.store.score_table import write_scores
from stagecast.serving.store.store import Store

router = APIRouter(prefix="/v1", tags=["jobs"])

JobId = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$", description="id of the job")]
NDJSON, PARQUET = "application/x-ndjson", "application/vnd.apache.parquet"
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: json_response("Job")[200] | {"description": "Stored; it is scored when it is its turn"}
}


@router.post(
    "/jobs",
    summary="Score raw events of up to 100,000 customers in the background",
    status_code=202,
    responses={**ACCEPTED, **problem_responses(400, 409, 413, 415, 422)},
    openapi_extra={**request_body("JobBody"), "parameters": [PARAMETER]},
)
async def create_job(
    request: Request, state: StateDep, store: StoreDep, scorer: ScorerDep, reasons: bool = True
) -> Response:
    """Store a batch, and answer 202 with its job; `Location` is where to ask how far it is.

    The body is that of `POST /v1/score`, of up to 100,000 customers. A customer who cannot be
    scored does not make the job fail. The scores are kept for a day after it is done. What was
    sent is in the memory of the server alone: a job that is not done when the server stops is
    `lost`, and has to be sent again.
    """
    queue = _queue(state)
    queue.check_room()
    raw = await read_body(request, state.settings.max_job_bytes)
    work = partial(_create, request, store, queue, scorer, raw, reasons)
    return await anyio.to_thread.run_sync(done_once, request, store, raw, work)


def _queue(state: State) -> JobQueue:
    if state.jobs is None:
        raise ProblemError(
            503, "no-jobs", "this server does no jobs, since it only reads its store"
        )
    return state.jobs


def _create(
    request: Request, store: Store, queue: JobQueue, scorer: ScorerLike, raw: bytes, reasons: bool
) -> Response:
    body = decode_job(raw)
    as_of = as_of_of(body.as_of, datetime.now(UTC), clock_of(scorer))
    refuse_other_currency(scorer, body.currency)
    job_id, key_id = os.urandom(16).hex(), _key_of(request)
    equal = equal_events_of(scorer)
    queue.add(Batch(job_id, scorer, body, as_of, reasons, equal, len(raw)), key_id)
    headers = {"Location": f"/v1/jobs/{job_id}"}
    return _json(_shown(_job(store, job_id, key_id)), 202, headers)


@router.get(
    "/jobs", summary="The jobs of this key, the newest first", responses=json_response("JobList")
)
def list_jobs(request: Request, store: StoreDep) -> Response:
    """List the jobs that were sent with the same key and are not older than a day."""
    return _json({"jobs": [_shown(job) for job in jobs.jobs_of(store.engine, _key_of(request))]})


@router.get(
    "/jobs/{job_id}",
    summary="How far a job is",
    responses={**json_response("Job"), **problem_responses(404, 422)},
)
def get_job(job_id: JobId, request: Request, store: StoreDep) -> Response:
    """Return the state of a job: `waiting`, `running`, `done`, `failed`, `cancelled`, or `lost`,
    when the server was stopped before it was done."""
    job = _job(store, job_id, _key_of(request))
    headers = {"Retry-After": "1"} if job.state in jobs.UNFINISHED else None
    return _json(_shown(job), headers=headers)


@router.get(
    "/jobs/{job_id}/scores",
    summary="The scores of a job that is done",
    responses={
        200: {
            "description": "In the order in which the customers were sent",
            "content": {
                NDJSON: {"schema": {"type": "string", "description": "one score on each line"}},
                PARQUET: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **problem_responses(404, 406, 409, 422),
    },
)
def get_job_scores(
    job_id: JobId,
    request: Request,
    store: StoreDep,
    format: Annotated[
        Literal["ndjson", "parquet"] | None,
        Query(description="instead of the Accept header; Parquet has the columns of the files"),
    ] = None,
    part: Annotated[
        Literal["scores", "errors"],
        Query(description="errors: why there is no score, for each customer without one"),
    ] = "scores",
) -> Response:
    """Return the scores as NDJSON or Parquet, or the errors as NDJSON."""
    if format is None:
        offered = [NDJSON] if part == "errors" else [NDJSON, PARQUET]
        kind = accepted(request.headers.get("accept", ""), offered)
    else:
        kind = NDJSON if format == "ndjson" or part == "errors" else PARQUET
    job = _job(store, job_id, _key_of(request))
    if job.state != "done":
        raise ProblemError(409, "job-not-done", f"the job is {job.state}, and has no scores")
    rows = jobs.rows_of(store.engine, job_id, "score" if part == "scores" else "error")
    if kind == NDJSON:
        return StreamingResponse((f"{row}\n" for row in rows), media_type=NDJSON)
    with NamedTemporaryFile(suffix=".parquet", delete=False) as file:
        path = Path(file.name)
    try:
        write_scores(path, rows, job.stages)
    except BaseException:
        path.unlink()
        raise
    removed = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type=PARQUET, background=removed)


@router.delete(
    "/jobs/{job_id}",
    summary="Cancel a job, and delete its scores",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Cancelled"}, **problem_responses(404, 422)},
)
def cancel_job(job_id: JobId, request: Request, store: StoreDep) -> Response:
    """Cancel a job that waits or runs, and delete what it has scored; also one that is done."""
    jobs.cancel_job(store.engine, _job(store, job_id, _key_of(request)).id)
    return Response(status_code=204)


def _job(store: Store, job_id: str, key_id: str) -> Job:
    job = jobs.job_of(store.engine, job_id, key_id)
    if job is None:
        raise ProblemError(
            404, "job-unknown", "no job of this id was sent with this key, or it is over a day old"
        )
    return job


def _key_of(request: Request) -> str:
    caller = access_of(request.scope).caller
    return "" if caller is None else caller.key_id


def _shown(job: Job) -> dict[str, Any]:
    names = [name for name in Job.__dataclass_fields__ if name != "stages"]
    return {name: getattr(job, name) for name in names}


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")

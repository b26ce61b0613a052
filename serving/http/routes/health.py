"""Health checks: whether the process responds, and whether the server is ready for requests."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from stagecast.serving.http.openapi import problem_responses
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.rollout import canary_of
from stagecast.serving.http.state import HOW_TO_SERVE, State, StateDep
from stagecast.serving.http.store_faults import cause_of
from stagecast.serving.store.queries import DEFAULT_SORT, Filters, Order

STORE_SECONDS = 5.0
router = APIRouter(tags=["health"])


@router.get("/livez", summary="The process answers", response_description="It does")
async def livez() -> dict[str, str]:
    """Answer 200 as long as the process runs."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="A model is loaded and the store can be read",
    response_description="Ready, with the model and the scoring run that are served",
    responses=problem_responses(503),
)
async def readyz(state: StateDep) -> dict[str, Any]:
    """Answer 200 if events can be scored and published scores be read, else 503 and why."""
    # threads of its own, since those of the lists may all be waiting
    with anyio.move_on_after(STORE_SECONDS):
        return await anyio.to_thread.run_sync(
            _readiness, state, limiter=state.health_limiter(), abandon_on_cancel=True
        )
    raise ProblemError(
        503, "not-ready", f"the store has not answered for {STORE_SECONDS:g} seconds"
    )


def _readiness(state: State) -> dict[str, Any]:
    if state.is_draining:
        raise ProblemError(503, "draining", "the server was told to stop")
    faults = []
    if state.scorer is None:
        faults.append(
            state.scorer_fault or f"no model is loaded; start the server with one: {HOW_TO_SERVE}"
        )
    run = None
    if state.store is None:
        faults.append(state.store_fault or "the store is not open")
    else:
        try:
            run = state.store.current_run()
            if run is not None:  # the lists too
                state.store.customers(run, Filters(), Order.parse(DEFAULT_SORT), limit=1)
        except SQLAlchemyError as error:
            faults.append(f"the store cannot be read: {cause_of(error)}")
    if faults or state.scorer is None:
        raise ProblemError(503, "not-ready", "; ".join(faults))
    published = None if run is None else {"as_of": run.as_of, "model_version": run.model_version}
    answer: dict[str, Any] = {
        "status": "ready",
        "model_version": state.scorer.model_version,
        "published": published,
    }
    if state.doubt is not None:
        doubt = state.doubt()
        answer["model_doubt"] = None if doubt is None else doubt.to_json()
        answer["canary"] = canary_of(state)
    return answer

"""State of a running server, and the dependencies by which routes access it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

import anyio
from fastapi import Depends, Query
from starlette.requests import Request

from stagecast.serving.follow.canary import Canary
from stagecast.serving.follow.follower import Doubt
from stagecast.serving.follow.shadow import Shadow
from stagecast.serving.http.job_queue import JobQueue
from stagecast.serving.http.micro_batches import MicroBatches
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.metrics.meter import Meter
from stagecast.serving.metrics.workers import Worker
from stagecast.serving.settings import Settings
from stagecast.serving.store.protocols import ScorerLike
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.purging import Purger
from stagecast.serving.store.store import Store

HOW_TO_PUBLISH = "stagecast score EVENTS --model MODEL --out scores.parquet --publish"
HOW_TO_SERVE = "stagecast serve --model MODEL"


@dataclass
class State:
    """Settings, store and scorer of a server.

    Parameters
    ----------
    settings
        Settings of the server.
    store
        Published scores; None: not open.
    scorer
        The loaded model; None: no model. It may be replaced while requests run, since each request
        reads this attribute only once.
    store_fault, scorer_fault
        Why the store could not be opened or the model not be loaded; None: no error.
    is_draining
        Whether the server was told to stop: it is not ready any more, and closes each connection
        after its answer.
    purger
        Purges what was erased; None: there is no store, or it is only read.
    jobs
        Scores jobs; None: there is no store, or it is only read.
    micro_batches
        Requests for scores that wait to be scored together.
    meter
        Counts of the requests of this process.
    doubt
        Returns why an old model stays; None: the model is that of the start, and not followed.
    worker
        Which of several workers this is; None: there is no other.
    canary
        A new model that answers a share of the customers; None: there is none.
    shadow
        Has a share of the requests scored by another model; None: there is none.
    """

    settings: Settings
    store: Store | None = None
    scorer: ScorerLike | None = None
    store_fault: str | None = None
    scorer_fault: str | None = None
    purger: Purger | None = None
    jobs: JobQueue | None = None
    is_draining: bool = False
    micro_batches: MicroBatches = field(default_factory=MicroBatches)
    meter: Meter = field(default_factory=Meter)
    doubt: Callable[[], Doubt | None] | None = None
    worker: Worker | None = None
    canary: Canary | None = None
    shadow: Shadow | None = None
    _health_limiter: anyio.CapacityLimiter | None = None

    def health_limiter(self) -> anyio.CapacityLimiter:
        """Return the limiter of the threads that health checks have for themselves."""
        if self._health_limiter is None:
            self._health_limiter = anyio.CapacityLimiter(2)
        return self._health_limiter

    @property
    def works_for_all(self) -> bool:
        """Whether this process purges and sends webhooks, which one of the workers does for all."""
        return self.worker is None or self.worker.number == 0

    def drain(self) -> None:
        """Note that the server was told to stop."""
        self.is_draining = True


def state_of(request: Request) -> State:
    """Return the state of the server that handles a request."""
    return cast(State, request.app.state.stagecast)


# the dependencies are coroutines, since FastAPI calls plain functions in a thread
async def get_state(request: Request) -> State:
    """Return :func:`state_of` a request."""
    return state_of(request)


StateDep = Annotated[State, Depends(get_state)]


async def get_store(state: StateDep) -> Store:
    """Return the store.

    Raises
    ------
    ProblemError
        503: the store is not open.
    """
    if state.store is None:
        raise ProblemError(
            503, "no-store", state.store_fault or "the server has not opened its store"
        )
    return state.store


def scorer_of(state: State) -> ScorerLike:
    """Return the scorer of a server.

    Raises
    ------
    ProblemError
        503: no model is loaded.
    """
    if state.scorer is None:
        fault = state.scorer_fault or "no model is loaded"
        raise ProblemError(
            503, "no-model", f"{fault}; start the server with a model: {HOW_TO_SERVE}"
        )
    return state.scorer


async def get_scorer(state: StateDep) -> ScorerLike:
    """Return :func:`scorer_of` the state."""
    return scorer_of(state)


StoreDep = Annotated[Store, Depends(get_store)]
ScorerDep = Annotated[ScorerLike, Depends(get_scorer)]


def get_run(store: StoreDep) -> Run:
    """Return the current run.

    Raises
    ------
    ProblemError
        404: no run is published.
    """
    run = store.current_run()
    if run is None:
        raise ProblemError(
            404, "nothing-published", f"nothing is published yet; run: {HOW_TO_PUBLISH}"
        )
    return run


def run_of(store: Store, number: int | None) -> Run:
    """Return the published run of a number, the current one for None.

    Raises
    ------
    ProblemError
        404: there is none.
    """
    if number is None:
        return get_run(store)
    run = store.run(number)
    if run is None:
        raise ProblemError(
            404, "run-unknown", "no published run has this number; GET /v1/runs lists them"
        )
    return run


RunNumber = Annotated[
    int | None,
    Query(alias="run", ge=1, le=2**31 - 1, description="number of a run; left out: the current"),
]


def get_pinned_run(store: StoreDep, run: RunNumber = None) -> Run:
    """Return :func:`run_of` the number in the query."""
    return run_of(store, run)


RunDep = Annotated[Run, Depends(get_run)]
PinnedRunDep = Annotated[Run, Depends(get_pinned_run)]

"""The ASGI application: its state, routes, error handlers and middleware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stagecast.features.errors import StagecastError
from stagecast.serving.http.access import STATIC, DeclaredApp, check_scope, undeclared
from stagecast.serving.http.admission import Admission, Places
from stagecast.serving.http.auth import Entrance, Guard, check_bind
from stagecast.serving.http.contract_checks import contract_for
from stagecast.serving.http.door import Clock, Door, has_stored_key, utc_now
from stagecast.serving.http.failures import add_handlers
from stagecast.serving.http.headers import SecureHeaders
from stagecast.serving.http.hosts import is_loopback
from stagecast.serving.http.job_queue import JobQueue
from stagecast.serving.http.languages import ChooseLanguage
from stagecast.serving.http.methods import Methods
from stagecast.serving.http.openapi import complete_document, operation_id, set_example_as_of
from stagecast.serving.http.openapi_access import declare_access
from stagecast.serving.http.query_once import refuse_repeated
from stagecast.serving.http.read_only import ReadOnly
from stagecast.serving.http.request_log import RequestLog
from stagecast.serving.http.routes import (
    channel_page,
    channels,
    customers,
    health,
    home,
    jobs,
    metrics,
    model,
    pages,
    plan_pages,
    plans,
    results,
    runs,
    saved_views,
    score,
    sign_in,
    stages,
    totals,
    trust,
    trust_page,
)
from stagecast.serving.http.routes.metrics import keep_written
from stagecast.serving.http.score_app import ScoreApp, is_score
from stagecast.serving.http.spans import Spans, spans_of
from stagecast.serving.http.state import State
from stagecast.serving.http.tools import PATH as TOOLS_PATH
from stagecast.serving.http.tools import ToolsEndpoint
from stagecast.serving.metrics.workers import Worker
from stagecast.serving.reports.rendering import static_files
from stagecast.serving.settings import Settings
from stagecast.serving.store.protocols import ScorerLoader
from stagecast.serving.store.purging import Purger
from stagecast.serving.store.store import Store
from stagecast.serving.webhooks.courier import Courier
from stagecast.serving.webhooks.receiver import receiver_of

JOB_SECONDS = 10.0
"""How long a server that stops waits for the portion of a job that is being scored."""
PURGE_SECONDS = 5.0
"""How long a server that stops waits for a purge; what is left is purged by the next one."""


class StagecastAPI(FastAPI):
    """FastAPI whose OpenAPI document describes the bodies that msgspec decodes and the scopes of
    keys, and whose requests are logged without ids.

    Parameters
    ----------
    log
        Writes what came of each request.
    score_app
        Answers requests for scores.
    spans
        Makes a span of each request; None: nothing does.
    **settings
        Those of FastAPI.
    """

    def __init__(
        self, log: RequestLog, score_app: ScoreApp, spans: Spans | None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._log, self._spans, self._score_app = log, spans, score_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or the start and stop of the server."""
        if scope["type"] == "http":
            app: ASGIApp = self._score_app if is_score(scope) else super().__call__
            if self._spans is not None:
                app = partial(self._spans.run, app)
            await self._log.run(app, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, which is built on the first call."""
        if self.openapi_schema is None:
            document = declare_access(complete_document(super().openapi()))
            scorer = self.state.stagecast.scorer
            contract = None if scorer is None else contract_for(scorer)
            if contract is not None:
                set_example_as_of(document, contract.first_as_of)
            self.openapi_schema = document
        return self.openapi_schema


def create_app(
    settings: Settings,
    *,
    scorer_loader: ScorerLoader,
    store: Store | None = None,
    clock: Clock = utc_now,
    worker: Worker | None = None,
    spans: Spans | None = None,
) -> FastAPI:
    """Return the server as an ASGI application.

    Parameters
    ----------
    settings
        Address, API keys, model and store of the server.
    scorer_loader
        Reads the bundle at ``settings.model`` when the server starts. If it fails, the server
        starts without a model, shows published scores, and gives the reason at ``/readyz``. A
        caller that must fail immediately loads the bundle first and passes a loader that returns
        it.
    store
        Published scores. None: the server opens and closes the store at ``settings.store``.
    clock
        Returns the present, UTC, by which keys expire and limits refill.
    worker
        Which of several workers this is; the first purges and sends webhooks for all.
    spans
        Makes a span of each request; None: what the settings say.

    Raises
    ------
    UsageError
        The address can be reached from other machines and there are no API keys, or the audit log
        cannot be written.
    RuntimeError
        A route has no scope in :data:`stagecast.serving.http.access.ROUTE_SCOPES`.
    """
    receiver_of(settings)  # an address that cannot be used is refused before the server starts
    if not settings.keys and not is_loopback(settings.host):
        check_bind(settings.host, (), has_stored_key=has_stored_key(settings, store))
    spans = spans if spans is not None else spans_of(settings)
    state, door = State(settings, store=store, worker=worker), Door(settings, clock)
    if store is not None:
        door.attach(store.engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if store is None:
            try:
                state.store = Store.open(settings.store, read_only=settings.read_only)
                door.attach(state.store.engine)
            except StagecastError as error:
                state.store_fault = str(error)
        if settings.model is not None:
            try:
                state.scorer = scorer_loader(settings.model)
            except StagecastError as error:
                state.scorer_fault = f"the model '{settings.model}' was not loaded: {error}"
        courier = _courier(state)
        if state.store is not None and not settings.read_only:
            # each worker scores what was sent to it; one purges for all
            state.jobs = JobQueue(state.store.engine)
            state.jobs.start()
            if state.works_for_all:
                state.purger = Purger(state.store.engine)
                state.purger.start()
        written = None if worker is None else asyncio.create_task(keep_written(state, worker))
        async with tools.running():
            yield
        if written is not None:
            written.cancel()
        if state.jobs is not None:
            state.jobs.stop(JOB_SECONDS)
        if state.purger is not None:
            state.purger.stop(PURGE_SECONDS)
        if courier is not None:
            courier.stop()
        if spans is not None:
            spans.stop()
        if store is None and state.store is not None:
            state.store.close()

    places = Places(settings.requests_at_once)
    entrance = Entrance(door, settings.allowed_hosts)
    app = StagecastAPI(
        RequestLog(door, state.meter, with_access=settings.access_log),
        ScoreApp(state, entrance, places),
        spans,
        title="stagecast",
        version=version("stagecast"),
        summary="Churn, lifecycle stage and value of each customer",
        lifespan=lifespan,
        dependencies=[Depends(check_scope), Depends(refuse_repeated)],
        generate_unique_id_function=operation_id,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # a trailing slash can be part of a customer's id, so paths must not be redirected
        redirect_slashes=False,
    )
    app.state.stagecast, app.state.entrance = state, entrance
    for module in (
        score,
        jobs,
        customers,
        stages,
        runs,
        channels,
        totals,
        saved_views,
        trust,
        plans,
        results,
        model,
        health,
        metrics,
        sign_in,
        home,
        plan_pages,
        channel_page,
        trust_page,
        pages,
    ):
        app.include_router(module.router)
    app.add_api_route("/openapi.json", openapi_document, include_in_schema=False)
    tools = ToolsEndpoint(app, is_on=settings.mcp, max_body_bytes=settings.max_body_bytes)
    app.router.routes.append(Route(TOOLS_PATH, tools, methods=["POST"]))
    app.mount(STATIC, DeclaredApp(static_files(), STATIC), name="static")
    add_handlers(app)
    app.add_middleware(ChooseLanguage)
    app.add_middleware(Methods, routes=app.routes)
    app.add_middleware(Guard, entrance=entrance)
    if settings.read_only:
        app.add_middleware(ReadOnly)
    app.add_middleware(Admission, places=places)
    app.add_middleware(SecureHeaders, is_draining=lambda: state.is_draining)
    if missing := undeclared(app):
        raise RuntimeError(f"routes without a scope: {', '.join(missing)}; see http/access.py")
    return app


def _courier(state: State) -> Courier | None:
    """Start to send webhooks; None where no address is set, or there is no store."""
    receiver = receiver_of(state.settings)
    if receiver is None or state.store is None or not state.works_for_all:
        return None
    if state.settings.read_only:
        return None
    courier = Courier(state.store.engine, receiver)
    courier.start()
    return courier


async def openapi_document(request: Request) -> JSONResponse:
    """Return the OpenAPI document."""
    return JSONResponse(request.app.openapi())

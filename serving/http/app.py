"""The ASGI application: its state, routes, error handlers and middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from stagecast.features.errors import StagecastError
from stagecast.serving.http.auth import Guard, check_bind
from stagecast.serving.http.failures import add_handlers
from stagecast.serving.http.headers import SecureHeaders
from stagecast.serving.http.openapi import complete_document
from stagecast.serving.http.routes import (
    channels,
    customers,
    health,
    home,
    model,
    pages,
    plan_pages,
    plans,
    score,
    stages,
)
from stagecast.serving.http.state import State
from stagecast.serving.reports.rendering import static_files
from stagecast.serving.settings import Settings
from stagecast.serving.store.protocols import ScorerLoader
from stagecast.serving.store.store import Store
from stagecast.serving.webhooks.courier import Courier
from stagecast.serving.webhooks.receiver import receiver_of


class StagecastAPI(FastAPI):
    """FastAPI whose OpenAPI document describes the bodies that msgspec decodes."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, which is built on the first call."""
        if self.openapi_schema is None:
            self.openapi_schema = complete_document(super().openapi())
        return self.openapi_schema


def create_app(
    settings: Settings, *, scorer_loader: ScorerLoader, store: Store | None = None
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

    Raises
    ------
    UsageError
        The address can be reached from other machines and there are no API keys.
    """
    check_bind(settings.host, settings.keys)
    receiver_of(settings)  # an address that cannot be used is refused before the server starts
    state = State(settings, store=store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if store is None:
            try:
                state.store = Store.open(settings.store)
            except StagecastError as error:
                state.store_fault = str(error)
        if settings.model is not None:
            try:
                state.scorer = scorer_loader(settings.model)
            except StagecastError as error:
                state.scorer_fault = f"the model '{settings.model}' was not loaded: {error}"
        courier = _courier(state)
        yield
        if courier is not None:
            courier.stop()
        if store is None and state.store is not None:
            state.store.close()

    app = StagecastAPI(
        title="stagecast",
        version=version("stagecast"),
        summary="Churn, lifecycle stage and value of each customer",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # a trailing slash can be part of a customer's id, so paths must not be redirected
        redirect_slashes=False,
    )
    app.state.stagecast = state
    for module in (
        score,
        customers,
        stages,
        channels,
        plans,
        model,
        health,
        home,
        plan_pages,
        pages,
    ):
        app.include_router(module.router)
    app.mount("/static", static_files(), name="static")
    add_handlers(app)
    app.add_middleware(Guard, keys=settings.keys, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(SecureHeaders)
    return app


def _courier(state: State) -> Courier | None:
    """Start to send webhooks; None where no address is set, or there is no store."""
    receiver = receiver_of(state.settings)
    if receiver is None or state.store is None:
        return None
    courier = Courier(state.store.engine, receiver)
    courier.start()
    return courier

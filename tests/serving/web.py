"""A client that speaks to an application in this process, its start and stop included.

Starlette's own asks for httpx2; this one needs httpx alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pyarrow as pa
from fastapi import FastAPI

from stagecast.features.stages.scheme import Scheme
from stagecast.serving.http.app import create_app
from stagecast.serving.scoring.score_schema import json_rows
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store
from tests.serving import published

KEY = "9d3f7b1c-e04a82b6f5-test"


class Client:
    """Sends requests; an error inside the application is an answer here, as it is for a browser."""

    def __init__(self, portal: Any, http: httpx.AsyncClient) -> None:
        self._portal, self._http = portal, http

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            return await self._http.request(method, path, **options)

        return self._portal.call(send)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def post_text(self, path: str, text: str | bytes) -> httpx.Response:
        return self.post(path, content=text, headers={"content-type": "application/json"})


@contextmanager
def client(app: FastAPI, host: str = "localhost") -> Iterator[Client]:
    """Start the application, and stop it at the end."""
    with anyio.from_thread.start_blocking_portal() as portal:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=transport, base_url=f"http://{host}")
        with (
            portal.wrap_async_context_manager(app.router.lifespan_context(app)),
            portal.wrap_async_context_manager(http),
        ):
            yield Client(portal, http)


class FakeScorer:
    """A scorer that is right in shape only: what the routes need of one, and nothing else."""

    model_version = "fake-1"
    horizon_days = 90
    card = {"model_version": "fake-1", "stages": "retail"}  # noqa: RUF012

    def __init__(self, error: Exception | None = None) -> None:
        self.scheme: Scheme = published.retail()
        self.error = error
        self.asked: list[Any] = []

    def score_customers(self, customers: Any, as_of: Any) -> pa.Table:
        self.asked.append((customers, as_of))
        if self.error is not None:
            raise self.error
        return published.scores(
            0, as_of=as_of, extra=[customer.customer_id for customer in customers]
        )

    def score_objects(
        self, customers: Any, as_of: Any, *, with_reasons: bool = True
    ) -> list[dict[str, Any]]:
        return list(json_rows(self.score_customers(customers, as_of)))


def app_with(
    folder: Path, *, scorer: FakeScorer | None = None, store: Store | None = None, **settings: Any
) -> FastAPI:
    """Return a server with its store in the folder, and with a scorer if one is given."""
    arguments = {
        "store": f"sqlite:///{folder / 'stagecast.db'}",
        "model": folder if scorer else None,
    } | settings
    return create_app(
        Settings(**arguments), scorer_loader=lambda _: scorer or FakeScorer(), store=store
    )


def chunked(*pieces: bytes) -> AsyncIterator[bytes]:
    """Return a body whose length is not announced."""

    async def send() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return send()

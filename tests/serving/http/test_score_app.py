"""POST /v1/score before FastAPI: what it answers is what the route would answer."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from stagecast.features.errors import UsageError
from stagecast.serving.http.score_app import PATH
from tests.serving import web

EVENT = {"timestamp": "1997-06-01T00:00:00Z", "amount": 10.0}
BODY = {"as_of": "1998-01-01T00:00:00Z", "customers": [{"customer_id": "a", "events": [EVENT]}]}
JSON = {"content-type": "application/json"}
KEY = {"x-api-key": web.KEY}


def both(app: FastAPI, headers: dict[str, str], content: bytes, query: str = "") -> httpx.Response:
    """Return the answer, once it is the same on both ways."""

    async def by_route(scope: Any, receive: Any, send: Any) -> None:
        await app._log.run(partial(FastAPI.__call__, app), scope, receive, send)  # type: ignore[attr-defined]

    by_route.router = app.router  # type: ignore[attr-defined]
    answers, headers = [], {**headers, "x-request-id": "0" * 32}
    for way in (app, by_route):
        with web.client(way) as api:  # type: ignore[arg-type]  # it has what is asked of it
            answers.append(api.post(PATH + query, content=content, headers=headers))
    direct, expected = answers
    assert (direct.status_code, direct.content) == (expected.status_code, expected.content)
    fields = [dict(answer.headers) for answer in answers]
    for own in fields:
        own.pop("vary", None)  # the guard stands before the choice of a language
    # Starlette answers a fault of the server outside of all layers
    assert fields[0] == fields[1] or direct.status_code == 500
    return direct


@pytest.mark.parametrize(
    ("headers", "content", "query", "status"),
    [
        (JSON | KEY, json.dumps(BODY), "", 200),
        (JSON | KEY, json.dumps(BODY), "?reasons=false&strict=0", 200),
        (JSON | KEY, json.dumps(BODY), "?reasons=maybe", 422),
        (JSON | KEY, json.dumps(BODY | {"customer": 1}), "", 422),
        (JSON | KEY, "{", "", 400),
        (JSON | KEY, " " * 2_001, "", 413),
        (KEY | {"content-type": "text/plain"}, "{}", "", 415),
        (JSON, "{}", "", 401),
        (JSON | {"x-api-key": "wrong"}, "{}", "", 401),
        (JSON | KEY | {"host": "a b"}, "{}", "", 400),
    ],
)
def test_answers_are_those_of_the_route(tmp_path, headers, content, query, status) -> None:
    app = web.app_with(tmp_path, scorer=web.FakeScorer(), api_keys=web.KEY, max_body_bytes=2_000)
    assert both(app, headers, content.encode(), query).status_code == status


def test_problems_of_the_server_are_those_of_the_route(tmp_path) -> None:
    content = json.dumps(BODY).encode()
    assert both(web.app_with(tmp_path), JSON, content).status_code == 503
    for error, status in ((UsageError("no"), 422), (RuntimeError("a bug"), 500)):
        app = web.app_with(tmp_path, scorer=web.FakeScorer(error))
        assert both(app, JSON, content).status_code == status


def test_a_server_that_drains_closes_the_connection(tmp_path) -> None:
    app = web.app_with(tmp_path, scorer=web.FakeScorer())
    app.state.stagecast.drain()
    assert both(app, JSON, json.dumps(BODY).encode()).headers["connection"] == "close"

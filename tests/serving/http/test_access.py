"""Scopes of every route, limits of wrong keys, and keys that end while the server runs."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stagecast.features.errors import UsageError
from stagecast.serving.http.access import (
    OPEN_PATHS,
    PUBLIC_ROUTES,
    ROUTE_SCOPES,
    routes_of,
    undeclared,
)
from stagecast.serving.http.app import create_app
from stagecast.serving.keys.book import KeyBook
from stagecast.serving.keys.limits import FAILURES
from stagecast.serving.keys.scopes import SCOPES
from stagecast.serving.keys.secret import new_key_text
from stagecast.serving.settings import Settings
from tests.serving import published, web

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROUTES = sorted(ROUTE_SCOPES)
ADDRESSES = (f"203.0.{number // 256}.{number % 256}" for number in itertools.count())


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = published.open_store(tmp_path_factory.mktemp("access"), published.scores(5))
    yield opened
    opened.close()


def server(store, clock=None, **settings):
    """Return a server of a store, with a scorer."""
    arguments = {"store": "sqlite:///unused.db", "model": "bundle", **settings}
    return create_app(
        Settings(**arguments),
        scorer_loader=lambda _: web.FakeScorer(),
        store=store,
        clock=clock or Clock(),
    )


@pytest.fixture(scope="module")
def matrix(store):
    """A server, and a key with each scope alone."""
    book = KeyBook(store.engine)
    keys = {
        scope: str(book.create(f"only-{scope}", (scope,), NOW, timedelta(days=1)).text)
        for scope in SCOPES
    }
    # a wrong key counts against its address, so that each request may have another one
    with web.client(server(store, trusted_proxies="127.0.0.1")) as client:
        yield client, keys


def call(client, method, template, key, **more):
    """Send a request to a route; what its parameters name is not there."""
    path = re.sub(r"\{[^}]*\}", "nobody", template)
    content = {"content": b"{}"} if method == "POST" else {}
    headers = {"x-api-key": key, "content-type": "application/json"} | more
    return client.request(method, path, headers=headers, **content)


def test_every_route_of_the_application_is_declared_and_none_else(store):
    app = server(store)
    assert undeclared(app) == []
    routes = {(method, path) for method, path in routes_of(app) if path not in OPEN_PATHS}
    assert routes == set(ROUTE_SCOPES) | PUBLIC_ROUTES
    assert len(routes) > 20


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_key_opens_the_routes_of_its_scope_and_no_other(matrix, route):
    client, keys = matrix
    for scope, key in keys.items():
        answer = call(client, *route, key)
        if scope in ROUTE_SCOPES[route] and (scope, route) != ("export", ("GET", "/v1/customers")):
            assert answer.status_code not in (401, 403, 429), (scope, answer.text)
        else:
            assert answer.status_code == 403, scope
            problem = answer.json()
            assert problem["type"] == "urn:stagecast:problem:scope-needed"
            assert f"its scopes are {scope}" in problem["detail"]


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_no_route_answers_without_a_key(matrix, route):
    client, keys = matrix
    for key in ("", str(new_key_text())[:-1], keys["read"][:12]):
        answer = call(client, *route, key, **{"x-forwarded-for": next(ADDRESSES)})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("query", "accept", "scope"),
    [
        ("", "", "read"),
        ("?format=json", "text/csv", "read"),
        ("?format=csv", "", "export"),
        ("?format=ndjson", "", "export"),
        ("?format=csv&limit=all", "", "export"),
        ("?format=", "text/csv", "export"),
        ("", "text/csv", "export"),
        ("", "application/json, application/x-ndjson;q=0.1", "read"),
        ("", "application/json;q=0.1, application/x-ndjson", "export"),
    ],
)
def test_a_list_as_a_file_needs_export_and_as_json_read(matrix, query, accept, scope):
    client, keys = matrix
    for name in ("read", "export"):
        headers = {"x-api-key": keys[name], "accept": accept}
        answer = client.get(f"/v1/customers{query}", headers=headers)
        assert (answer.status_code == 200) == (name == scope), (name, answer.status_code)


def test_a_route_without_a_scope_is_refused_to_every_key(store):
    app = server(store, api_keys=(web.KEY,))
    called = []

    @app.get("/v1/forgotten")
    def forgotten():
        called.append("api")
        return {"secret": "c0001"}

    async def raw(_):
        return PlainTextResponse("c0001")

    app.router.routes.append(Route("/raw", raw))
    assert undeclared(app) == ["GET /v1/forgotten", "GET /raw", "HEAD /raw"]
    with web.client(app) as client:
        for path in ("/v1/forgotten", "/raw"):
            answer = client.get(path, headers={"x-api-key": web.KEY})
            assert answer.status_code == 403
            assert "c0001" not in answer.text
    assert called == []


def test_the_application_does_not_start_with_a_route_without_a_scope(store, monkeypatch):
    monkeypatch.delitem(ROUTE_SCOPES, ("GET", "/v1/model"))
    with pytest.raises(RuntimeError, match="GET /v1/model"):
        server(store)


@pytest.mark.slow
def test_a_thousand_guesses_are_refused_after_the_first_few(tmp_path):
    clock, opened = Clock(), published.open_store(tmp_path)
    KeyBook(opened.engine).create("shop", ("read",), NOW, None)
    guesses = [secrets.token_hex(12) if k % 2 else str(new_key_text()) for k in range(1_000)]
    with web.client(server(opened, clock, api_keys=(web.KEY,))) as client:

        async def guess_all():
            statuses = []
            for begin in range(0, len(guesses), 100):
                batch = guesses[begin : begin + 100]
                answers = await asyncio.gather(
                    *(client._http.get("/v1/model", headers={"x-api-key": key}) for key in batch)
                )
                statuses += [answer.status_code for answer in answers]
            return statuses

        statuses = client._portal.call(guess_all)
        assert statuses.count(401) == FAILURES.capacity
        assert set(statuses[100:]) == {429}
        # the right key is not told from a wrong one while the address is refused
        refused = client.get("/v1/model", headers={"x-api-key": web.KEY})
        assert refused.status_code == 429
        assert refused.json()["type"] == "urn:stagecast:problem:keys-tried"
        assert int(refused.headers["retry-after"]) == 6  # ten a minute
        clock.pass_seconds(6)
        assert client.get("/v1/model", headers={"x-api-key": web.KEY}).status_code == 200
    opened.close()


def test_a_right_key_uses_up_no_guesses(store):
    with web.client(server(store, api_keys=(web.KEY,), trusted_proxies="127.0.0.1")) as client:
        headers = {"x-api-key": web.KEY, "x-forwarded-for": "203.0.113.77"}
        for _ in range(100):
            assert client.get("/v1/model", headers=headers).status_code == 200


def test_another_address_is_not_refused_and_a_forged_header_is_no_address(store):
    wrong = {"x-api-key": "wrong-0"}
    with web.client(server(store, api_keys=(web.KEY,), trusted_proxies="127.0.0.1")) as client:
        for _ in range(11):
            answer = client.get("/", headers=wrong | {"x-forwarded-for": "203.0.113.50"})
        assert answer.status_code == 429
        # what the sender wrote stands left of what the proxy added
        forged = client.get("/", headers=wrong | {"x-forwarded-for": "198.51.100.1, 203.0.113.50"})
        assert forged.status_code == 429
        other = client.get("/", headers=wrong | {"x-forwarded-for": "203.0.113.51"})
        assert other.status_code == 401


def test_requests_of_a_key_are_limited_where_the_setting_says_so(tmp_path):
    clock, opened = Clock(), published.open_store(tmp_path)
    app = server(opened, clock, api_keys=(web.KEY,), requests_per_minute=30)
    with web.client(app) as client:
        answers = [client.get("/v1/model", headers={"x-api-key": web.KEY}) for _ in range(31)]
        assert [answer.status_code for answer in answers] == [200] * 30 + [429]
        assert answers[-1].headers["retry-after"] == "2"
        clock.pass_seconds(2)
        answer = client.get("/v1/model", headers={"x-api-key": web.KEY})
        assert answer.status_code == 200
    opened.close()


def test_keys_expire_are_revoked_and_rotated_while_the_server_runs(tmp_path):
    clock, opened = Clock(), published.open_store(tmp_path)
    book = KeyBook(opened.engine)
    old = book.create("shop", ("read",), NOW, timedelta(seconds=600))
    with web.client(server(opened, clock)) as client:

        def status(made):
            return client.get("/v1/model", headers={"x-api-key": str(made.text)}).status_code

        assert status(old) == 200
        assert client.get("/v1/model").status_code == 401  # it was open without any key
        new = book.rotate(old.key.id, clock.now, timedelta(seconds=60))
        clock.pass_seconds(2)
        assert (status(old), status(new)) == (200, 200)
        clock.pass_seconds(58)
        assert (status(old), status(new)) == (401, 200)
        book.revoke(new.key.id, clock.now)
        clock.pass_seconds(5)
        assert status(new) == 401
        # all keys have ended: the server does not become open
        assert client.get("/v1/model").status_code == 401
        assert book.all_keys()[0].last_used_at is not None
    opened.close()


def test_a_public_address_needs_a_key_that_is_valid_now(tmp_path):
    opened = published.open_store(tmp_path)
    book = KeyBook(opened.engine)
    made = book.create("ended", ("read",), NOW, timedelta(seconds=1))
    with pytest.raises(UsageError, match="stagecast keys create"):
        server(opened, host="0.0.0.0")
    present = datetime.now(UTC)
    live = book.create("shop", ("read",), present, timedelta(days=1))
    app = server(opened, lambda: present, host="0.0.0.0")
    with web.client(app, host="shop.example") as client:
        assert client.get("/v1/model").status_code == 401
        assert client.get("/", headers={"x-api-key": str(made.text)}).status_code == 401
        assert client.get("/", headers={"x-api-key": str(live.text)}).status_code == 200
    opened.close()
    url = f"sqlite:///{tmp_path / 'stagecast.db'}"
    create_app(
        Settings(host="0.0.0.0", store=url), scorer_loader=lambda _: web.FakeScorer()
    )  # the store is opened to look


def test_web_sockets_are_closed(store):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/model", "headers": [], "query_string": b""}
    with web.client(server(store)) as client:
        client._portal.call(server(store), scope, None, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_another_origin_is_allowed_nothing(matrix):
    client, keys = matrix
    foreign = {"origin": "https://evil.example", "access-control-request-method": "DELETE"}
    for headers in (foreign, foreign | {"x-api-key": keys["read"]}):
        for method in ("OPTIONS", "GET"):
            answer = client.request(method, "/v1/customers", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_document_names_the_scopes_and_refusals_of_each_operation(matrix):
    client, keys = matrix
    document = client.get("/openapi.json", headers={"x-api-key": keys["score"]}).json()
    declared = {(m, p.replace(":path}", "}")): s for (m, p), s in ROUTE_SCOPES.items()}
    operations = 0
    for path, by_method in document["paths"].items():
        for method, operation in by_method.items():
            if path in OPEN_PATHS:
                assert operation["security"] == []
                continue
            operations += 1
            assert operation["x-scopes"] == list(declared[method.upper(), path])
            for status in ("401", "403", "429"):
                content = operation["responses"][status]["content"]
                assert "application/problem+json" in content
            assert "Retry-After" in operation["responses"]["429"]["headers"]
    assert operations > 12
    assert json.dumps(document).count(web.KEY) == 0

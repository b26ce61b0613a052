"""The service around the scores: health, model card, description, headers, errors."""

from __future__ import annotations

import json
import re

import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.http.app import create_app
from stagecast.serving.settings import Settings
from tests.serving import published, web


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    store = published.open_store(folder, published.scores(5))
    with web.client(web.app_with(folder, store=store, scorer=web.FakeScorer())) as client:
        yield client
    store.close()


def test_alive_and_ready(api):
    assert api.get("/livez").json() == {"status": "alive"}
    assert api.get("/readyz").json() == {
        "status": "ready",
        "model_version": "fake-1",
        "published": {"as_of": "1998-01-01T00:00:00Z", "model_version": "retail-19980101"},
    }


def test_not_ready_without_a_model_and_says_why(tmp_path):
    with web.client(web.app_with(tmp_path)) as api:
        assert api.get("/livez").status_code == 200
        answer = api.get("/readyz")
        assert answer.status_code == 503
        assert "stagecast serve --model" in answer.json()["detail"]
        assert api.get("/v1/model").status_code == 503


def test_a_model_that_cannot_be_loaded_leaves_the_published_list(tmp_path):
    def refuse(path):
        raise UsageError("sha256 of model.txt differs")

    store = published.open_store(tmp_path, published.scores(5))
    settings = Settings(store=f"sqlite:///{tmp_path / 'stagecast.db'}", model=tmp_path)
    with web.client(create_app(settings, scorer_loader=refuse)) as api:
        assert "sha256 of model.txt differs" in api.get("/readyz").json()["detail"]
        assert api.get("/v1/customers").json()["total"] == 5
    store.close()


def test_a_store_that_cannot_be_opened_leaves_the_scorer(tmp_path):
    settings = Settings(store="sqlite:////nowhere/at/all.db", model=tmp_path)
    app = create_app(settings, scorer_loader=lambda _: web.FakeScorer())
    with web.client(app) as api:
        assert "cannot be opened" in api.get("/readyz").json()["detail"]
        assert api.get("/v1/customers").status_code == 503
        body = {"customers": [{"customer_id": "a", "events": [{"timestamp": "1997-06-01"}]}]}
        assert api.post("/v1/score", json=body).status_code == 200


def test_a_store_that_breaks_while_serving_is_a_503(tmp_path):
    store = published.open_store(tmp_path, published.scores(5))
    with web.client(web.app_with(tmp_path, store=store, scorer=web.FakeScorer())) as api:
        with store._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE documents")
            connection.exec_driver_sql("DROP TABLE scores")
            connection.exec_driver_sql("DROP TABLE segments")
        assert api.get("/v1/customers").status_code == 503
        for page in ("/", "/customers"):
            assert api.get(page, headers={"accept": "text/html"}).status_code == 503
    store.close()


def test_the_model_card_is_shown(api):
    assert api.get("/v1/model").json() == web.FakeScorer.card


@pytest.mark.parametrize(
    "path", ["/nope", "/v1/nope", "/v1/customers/", "/static/nope.css", "/static/../app.py"]
)
def test_an_unknown_path_is_a_problem(api, path):
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_method_is_a_problem_and_says_which_would_do(api):
    answer = api.get("/v1/score")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    "path", ["/", "/v1/customers", "/docs", "/nope", "/static/stagecast.css", "/v1/model"]
)
def test_every_answer_is_guarded(api, path):
    headers = api.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


def references(value) -> set[str]:
    return set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(value)))


def test_the_description_is_whole_and_tells_of_every_field(api):
    document = api.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert references(document) <= set(schemas)
    scored = api.get("/v1/customers?limit=1").json()["customers"][0]
    assert {*scored, "warnings"} == set(schemas["Score"]["properties"])
    assert (
        "declared as known at the start"
        in schemas["CustomerBody"]["properties"]["attributes"]["description"]
    )
    for path in ("/v1/score", "/v1/customers/lookup"):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert api.post(path, json=content["example"]).status_code == 200


def test_the_docs_show_every_operation_and_fetch_nothing(api):
    text = api.get("/docs").text
    for path in api.get("/openapi.json").json()["paths"]:
        assert path in text
    assert "curl http://localhost/v1/score" in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)

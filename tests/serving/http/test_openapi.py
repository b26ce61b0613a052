"""The OpenAPI document is a promise: it is whole, true of each answer, and only grows."""

from __future__ import annotations

import copy
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from stagecast.features.clock import parse_instant
from tests.serving import published, web
from tests.serving.http.surface import FILE, broken, surface
from tests.serving.http.walking_client import WalkingClient
from tests.waiting import LIMIT_SECONDS

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
CONTRACT = {
    "event_types": ["purchase", "visit"],
    "event_types_read": ["purchase", "refund"],
    "currency": "EUR",
    "amounts": True,
    "zone": "UTC",
    "equal_events": "one",
    "first_as_of": "2026-03-01T00:00:00Z",
    "last_as_of": "2026-05-30T00:00:00Z",
    "horizon_days": 90,
    "scheme": "retail",
    "attributes": [],
    "event_columns": ["timestamp"],
    "columns": ["customer_id"],
}


class Contracted(web.FakeScorer):
    """A scorer whose card has a contract."""

    card = {"model_version": "fake-1", "stages": ["new"], "contract": CONTRACT}  # noqa: RUF012


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("openapi")
    store = published.open_store(folder, published.scores(40))
    later = published.AS_OF + timedelta(days=30)
    published.publish(store, published.scores(40, seed=8, as_of=later))
    yield web.app_with(folder, store=store, scorer=Contracted())
    store.close()


@pytest.fixture(scope="module")
def api(app: Any) -> Iterator[web.Client]:
    with web.client(app) as opened:
        yield opened


@pytest.fixture(scope="module")
def document(api: web.Client) -> dict[str, Any]:
    answer: dict[str, Any] = api.get("/openapi.json").json()
    return answer


def test_nothing_that_was_promised_is_broken_and_what_is_new_is_written_down(
    document: dict[str, Any],
) -> None:
    stored, now = json.loads(FILE.read_text("utf-8")), surface(document)
    assert broken(stored, now) == []
    new = {name: sorted(set(lines) - set(stored.get(name, ()))) for name, lines in now.items()}
    assert not any(new.values()), (
        f"new in the API: {new}; write it down: python -m tests.serving.http.surface"
    )


def _operation(document: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = document["paths"]["/v1/customers"]["get"]
    return operation


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a route is gone": lambda d: d["paths"].pop("/v1/stages"),
    "a method is gone": lambda d: d["paths"]["/v1/plans"].pop("post"),
    "a parameter is gone": lambda d: _operation(d)["parameters"].pop(0),
    "a parameter is needed": lambda d: _operation(d)["parameters"][0].update(required=True),
    "a value is gone": lambda d: next(
        p for p in _operation(d)["parameters"] if p["name"] == "sort"
    )["schema"]["enum"].pop(),
    "an operation has another name": lambda d: _operation(d).update(operationId="list"),
    "an answer has another form": lambda d: _operation(d)["responses"]["200"]["content"].pop(
        "text/csv"
    ),
    "a scope is another": lambda d: _operation(d).update({"x-scopes": ["admin"]}),
    "a field of an answer is gone": lambda d: d["components"]["schemas"]["Score"]["properties"].pop(
        "clv"
    ),
    "a field may be missing": lambda d: d["components"]["schemas"]["Score"]["required"].remove(
        "clv"
    ),
    "a field must be sent": lambda d: (
        d["components"]["schemas"]["EventBody"].setdefault("required", []).append("amount")
    ),
    "a field cannot be sent": lambda d: d["components"]["schemas"]["PlanBody"]["properties"].pop(
        "budget"
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_of_the_promise_is_seen(document: dict[str, Any], name: str) -> None:
    stored, changed = surface(document), copy.deepcopy(document)
    BREAKS[name](changed)
    assert broken(stored, surface(changed)) != []


def test_to_add_is_no_break(document: dict[str, Any]) -> None:
    stored, changed = surface(document), copy.deepcopy(document)
    changed["paths"]["/v1/more"] = {"get": {"operationId": "more", "responses": {"200": {}}}}
    added = {"name": "more", "in": "query", "schema": {"type": "string"}}
    _operation(changed)["parameters"].append(added)
    changed["components"]["schemas"]["Score"]["properties"]["more"] = {"type": "string"}
    changed["components"]["schemas"]["EventBody"]["properties"]["more"] = {
        "type": "object",
        "properties": {"unit": {"type": "string"}},
        "required": ["unit"],
    }
    assert broken(stored, surface(changed)) == []


def test_every_operation_has_a_name_and_says_how_it_refuses(document: dict[str, Any]) -> None:
    names = []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            names.append(operation["operationId"])
            if path.startswith("/v1/"):
                assert {"401", "403", "421", "429", "503"} <= operation["responses"].keys()
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)+", name) for name in names)


def test_the_examples_are_of_their_schemas_and_stand_after_the_training(
    api: web.Client, document: dict[str, Any]
) -> None:
    client, checked = WalkingClient(api, document), 0
    for _, _, operation in client.operations.values():
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in part.get("content", {}).values():
                if "example" in content:
                    client.check(content["example"], content["schema"])
                    checked += 1
    assert checked > 30
    as_of = parse_instant(client.example("score_customers")["as_of"], "as_of")
    assert as_of > parse_instant(CONTRACT["first_as_of"], "first_as_of")
    score = client.call("score_customers").json()["scores"][0]
    assert score["warnings"] == []


def test_a_client_that_is_made_from_the_document_can_call_every_operation(
    api: web.Client, document: dict[str, Any]
) -> None:
    client = WalkingClient(api, document)
    called: set[str] = set()

    def call(name: str, status: int = 200, body: Any = None, /, **parameters: Any) -> Any:
        called.add(name)
        answer = client.call(name, body, **parameters)
        assert answer.status_code == status, (name, answer.text[:300])
        return answer

    for name in ("get_livez", "get_readyz", "get_model", "score_customers", "list_customers",
                 "lookup_customers", "list_stages", "list_stage_flows", "list_runs", "get_totals",
                 "list_views", "get_value_grid", "list_saved_views", "get_trust", "list_plans",
                 "list_jobs", "get_metrics"):  # fmt: skip
        call(name)
    call("list_customers", churn_band="high", sort="-clv", limit=5, run=1, fields="customer_id,clv",
         format="csv")  # fmt: skip
    call("get_customer", customer_id="c0001", history_limit=1)
    call("get_customer_by_id", id="c0002")
    call("get_customer", 404, customer_id="../x")
    call("list_changes", since=1, limit=5)
    call("list_channels", 404)
    call("get_results", 404)
    call("list_comparisons")
    call("model_shadow", 404)
    view = {"name": "the dear", "parameters": {"sort": "-clv"}}
    view_id = call("create_saved_view", 201, view).json()["id"]
    call("delete_saved_view", 204, number=view_id)
    plan = {"name": "walk", "contacts": 5, "holdout": 0.4, "costs": {"contact": 0.1}}
    call("create_plan", 201, plan, **{"Idempotency-Key": "walk-1"})
    call("get_plan", name="walk")
    call("freeze_plan", name="walk")
    rows = call("list_plan_customers", name="walk").json()["customers"]
    call("confirm_plan_sent", 200, {"at": "1998-02-02T00:00:00Z"}, name="walk")
    outcomes = [{"customer_id": row["customer_id"], "orders": 1} for row in rows]
    call("send_plan_outcomes", 200, {"outcomes": outcomes}, name="walk")
    call("get_plan_readout", name="walk")
    call("cancel_plan", 409, name="walk")
    call("create_plan", 201, {**plan, "name": "draft"})
    call("delete_plan", 204, name="draft")
    job = call("create_job", 202).json()["id"]
    until = time.monotonic() + LIMIT_SECONDS
    while call("get_job", job_id=job).json()["state"] != "done":
        assert time.monotonic() < until
        time.sleep(0.02)
    for form in ("ndjson", "parquet"):
        call("get_job_scores", job_id=job, format=form)
    call("cancel_job", 204, job_id=job)
    erased = call("erase_customer", 204, customer_id="c0003").headers["location"]
    call("get_erasure", number=int(erased.rpartition("/")[2]))
    call("erase_customer_by_id", 204, id="c0004")
    assert called == client.operations.keys()


@pytest.fixture
def address(app: Any, api: web.Client) -> Iterator[str]:
    """The application at a port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + LIMIT_SECONDS
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(LIMIT_SECONDS)


def test_the_client_of_the_docs_does_what_the_docs_say(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text("utf-8"), re.M | re.S)
    assert len([line for line in text.splitlines() if line.strip()]) <= 20
    assert text.count("http://127.0.0.1:8000") == 1
    exec(compile(text.replace("http://127.0.0.1:8000", address), "api.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("17850 ")
    assert len(printed) == 4
    assert all(re.fullmatch(r"c\d{4} \w+ [\d.]+", line) for line in printed[1:])

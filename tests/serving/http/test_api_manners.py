"""What an app's developer expects of an HTTP API: one name for a thing, methods, forms, errors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from stagecast.serving.http.compressed import Inflater
from stagecast.serving.http.problems import BYTES_MAX
from tests.serving import published, web

MARK = "xQz7marker"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[web.Client]:
    folder = tmp_path_factory.mktemp("manners")
    store = published.open_store(folder, published.scores(6))
    later = published.AS_OF + timedelta(days=30)
    published.publish(store, published.scores(7, seed=8, as_of=later))
    app = web.app_with(folder, store=store, scorer=web.FakeScorer(), max_body_bytes=200_000)
    with web.client(app) as client:
        yield client
    store.close()


@pytest.mark.parametrize(
    ("name", "earlier", "value"),
    [
        ("churn_band", "band", "low"),
        ("customer_id_prefix", "q", "c000"),
        ("min_value_at_risk", "min_value", "5"),
    ],
)
def test_a_filter_has_the_name_of_the_field_and_its_earlier_name_works(
    api: web.Client, name: str, earlier: str, value: str
) -> None:
    by_name = api.get(f"/v1/customers?{name}={value}").json()
    by_earlier = api.get(f"/v1/customers?{earlier}={value}").json()
    assert by_name["customers"] == by_earlier["customers"]
    assert by_name["total"] < api.get("/v1/customers").json()["total"] or name.startswith("cust")
    assert api.get(f"/v1/customers?{name}={value}&{earlier}={value}").status_code == 200
    other = {"low": "high", "c000": "x", "5": "6"}[value]
    refused = api.get(f"/v1/customers?{name}={value}&{earlier}={other}")
    assert refused.status_code == 422
    assert f"give {name} alone" in refused.json()["detail"]
    parameters = api.get("/openapi.json").json()["paths"]["/v1/customers"]["get"]["parameters"]
    deprecated = {parameter["name"]: parameter.get("deprecated") for parameter in parameters}
    assert (deprecated[earlier], deprecated[name]) == (True, None)


def test_an_answer_and_its_error_name_the_request(api: web.Client) -> None:
    answers = [api.get("/v1/customers/nobody") for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    for answer in answers:
        assert answer.json()["instance"].rpartition(":")[2] == answer.headers["x-request-id"]
    assert api.get("/livez").headers["x-request-id"] not in ids


HOSTILE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "path": ("GET", f"/v1/{MARK}", {}),
    "customer": ("GET", f"/v1/customers/{MARK}", {}),
    "customer by id": ("GET", f"/v1/customer?id={MARK}", {}),
    "parameter": ("GET", f"/v1/customers?{MARK}=1", {}),
    "twice": ("GET", f"/v1/customers?{MARK}=1&{MARK}=2", {}),
    "limit": ("GET", f"/v1/customers?limit={MARK}", {}),
    "sort": ("GET", f"/v1/customers?sort={MARK}", {}),
    "stage": ("GET", f"/v1/customers?stage={MARK}", {}),
    "band": ("GET", f"/v1/customers?churn_band={MARK}", {}),
    "fields": ("GET", f"/v1/customers?fields={MARK}", {}),
    "cursor": ("GET", f"/v1/customers?cursor={MARK}", {}),
    "column": ("GET", f"/v1/customers?format=csv&column={MARK}", {}),
    "changes": ("GET", f"/v1/changes?since={MARK}", {}),
    "channels": ("GET", f"/v1/channels?by={MARK}", {}),
    "plan": ("GET", f"/v1/plans/{MARK}", {}),
    "flag": ("POST", f"/v1/score?reasons={MARK}", {"json": {}}),
    "content type": ("POST", "/v1/score", {"headers": {"content-type": MARK}}),
    "method": (MARK, "/v1/score", {}),
    "accept": ("GET", "/v1/customers", {"headers": {"accept": MARK}}),
    "host": ("GET", "/v1/customers", {"headers": {"host": MARK}}),
    "no json": ("POST", "/v1/score", {"content": MARK}),
    "field": ("POST", "/v1/score", {"json": {MARK: 1}}),
    "as_of": ("POST", "/v1/score", {"json": {"as_of": MARK, "customers": []}}),
    "lookup": ("POST", "/v1/customers/lookup", {"json": {"customer_ids": [MARK, 7]}}),
    "plan body": ("POST", "/v1/plans", {"json": {"starts_at": MARK, "contacts": 1}}),
    "plan stage": ("POST", "/v1/plans", {"json": {"audience": {"stages": [MARK]}}}),
    "plan name": ("POST", "/v1/plans", {"json": {"name": f"{MARK} x", "contacts": 1}}),
}
for _field in ("timestamp", "event", "amount", "recorded_at", "discount", MARK):
    _event = {"timestamp": "1997-01-01", _field: MARK}
    _customer = {"customer_id": f"{MARK}\x00", "events": [_event]}
    HOSTILE[f"event {_field}"] = ("POST", "/v1/score", {"json": {"customers": [_customer]}})
    HOSTILE[f"many {_field}"] = (
        "POST",
        "/v1/score?strict=false",
        {"json": {"customers": [_customer] * 300}},
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_an_error_repeats_nothing_and_is_short(api: web.Client, name: str) -> None:
    method, path, more = HOSTILE[name]
    headers = {"content-type": "application/json"} | more.pop("headers", {})
    answer = api.request(method, path, **{**more, "headers": headers})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert MARK not in answer.text
    assert len(answer.content) <= BYTES_MAX
    problem = answer.json()
    schema = api.get("/openapi.json").json()["components"]["schemas"]["Problem"]
    jsonschema.validate(problem, schema)


def test_a_kind_of_fault_has_a_type_of_its_own(api: web.Client) -> None:
    def kind(path: str) -> tuple[int, str]:
        answer = api.get(path)
        return answer.status_code, answer.json()["type"].rpartition(":")[2]

    first = api.get("/v1/customers?limit=2&run=1").json()
    cursor = first["next_cursor"]
    assert kind("/v1/customers?cursor=abc") == (400, "cursor-damaged")
    assert kind(f"/v1/customers?cursor={cursor}") == (410, "cursor-expired")
    assert kind(f"/v1/customers?run=1&sort=clv&cursor={cursor}") == (400, "cursor-of-another-query")
    assert kind("/v1/customers?colour=red") == (422, "parameter-unknown")
    assert kind("/v1/customers?limit=1&limit=1") == (422, "parameter-repeated")
    assert kind("/v1/customers?limit=0") == (422, "query-refused")
    assert kind("/v1/customers?run=99") == (404, "run-unknown")
    assert api.get("/v1/customers?stage=new&stage=loyal&column=clv&column=stage&format=csv")


def test_a_parameter_of_the_score_may_stand_once(api: web.Client) -> None:
    answer = api.post("/v1/score?reasons=true&reasons=false", json={})
    assert answer.json()["type"].endswith(":parameter-repeated")


@pytest.mark.parametrize("path", ["/", "/livez", "/v1/customers", "/v1/model", "/docs"])
def test_head_is_get_without_the_body(api: web.Client, path: str) -> None:
    head, whole = api.request("HEAD", path), api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length"):
        assert head.headers.get(name) == whole.headers.get(name)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/score", "OPTIONS, POST"),
        ("/v1/plans", "GET, HEAD, OPTIONS, POST"),
        ("/v1/plans/x", "DELETE, GET, HEAD, OPTIONS"),
        ("/v1/customers/a/b", "DELETE, GET, HEAD, OPTIONS"),
    ],
)
def test_options_and_a_wrong_method_say_which_methods_there_are(
    api: web.Client, path: str, allow: str
) -> None:
    options = api.request("OPTIONS", path)
    assert (options.status_code, options.headers["allow"], options.content) == (204, allow, b"")
    assert "access-control-allow-origin" not in options.headers
    wrong = api.request("PATCH", path, json={})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, allow)
    assert api.request("OPTIONS", "/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0.1, application/json", "application/json"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("application/json;q=0, */*;q=0.1", "application/x-ndjson"),
        ("TEXT/*", "text/csv"),
    ],
)
def test_the_form_is_the_one_that_is_preferred(api: web.Client, accept: str, kind: str) -> None:
    answer = api.get("/v1/customers", headers={"accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == kind


def test_a_form_that_is_not_there_is_a_406(api: web.Client) -> None:
    for accept in ("image/png", "text/csv;q=0", "application/json;q=2"):
        assert api.get("/v1/customers", headers={"accept": accept}).status_code == 406


def compressed(text: bytes, encoding: str = "gzip") -> dict[str, Any]:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    return {"content": text, "headers": headers}


def test_a_body_may_be_compressed_and_is_not_taken_further_than_the_limit(api: web.Client) -> None:
    path, body = "/v1/customers/lookup", json.dumps({"customer_ids": ["c0001"]}).encode()
    whole = gzip.compress(body)
    plain = api.post_text(path, body).json()
    assert len(plain["scores"]) == 1
    assert api.post(path, **compressed(whole)).json() == plain
    assert api.post(path, **compressed(body, "identity")).json() == plain
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    assert api.post(path, **compressed(bomb)).status_code == 413
    for broken in (whole[:-4], body, b"", whole + b"more"):
        answer = api.post(path, **compressed(broken))
        assert answer.json()["type"].endswith(":gzip-damaged"), broken
    refused = api.post(path, **compressed(body, "br"))
    assert (refused.status_code, refused.headers["accept-encoding"]) == (415, "gzip")


def test_a_compressed_body_is_opened_no_further_than_asked() -> None:
    inflate = Inflater()
    assert len(inflate(gzip.compress(b" " * 10_000_000), 1000)) == 1000


def test_a_run_can_be_pinned_while_another_one_is_current(api: web.Client) -> None:
    runs = api.get("/v1/runs").json()
    assert ([run["id"] for run in runs["runs"]], runs["current"]) == ([2, 1], 2)
    assert "model_path" not in runs["runs"][0]
    page = api.get("/v1/runs?limit=1").json()
    assert (page["next_before"], len(page["runs"])) == (2, 1)
    assert [r["id"] for r in api.get("/v1/runs?before=2").json()["runs"]] == [1]
    assert (api.get("/v1/customers").json()["run"], api.get("/v1/customers").json()["total"]) == (
        2,
        7,
    )
    ids, cursor = [], ""
    for _ in range(3):
        answer = api.get(f"/v1/customers?run=1&limit=2{cursor}").json()
        assert (answer["run"], answer["total"]) == (1, 6)
        ids += [score["customer_id"] for score in answer["customers"]]
        cursor = f"&cursor={answer['next_cursor']}"
    assert (sorted(ids), answer["next_cursor"]) == ([f"c{k:04d}" for k in range(6)], None)
    exported = api.get("/v1/customers?run=1&format=ndjson&limit=all").text.splitlines()
    assert sorted(json.loads(line)["customer_id"] for line in exported) == sorted(ids)
    for path in ("/v1/stages", "/v1/stages/flows", "/v1/totals", "/v1/views"):
        assert api.get(f"{path}?run=1").json() != api.get(path).json()
    body = {"customer_ids": ["c0006", "c0001"]}
    assert api.post("/v1/customers/lookup?run=1", json=body).json()["missing"] == ["c0006"]


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/stages", "/v1/totals", "/v1/views"])
def test_an_answer_that_is_known_is_a_304(api: web.Client, path: str) -> None:
    first = api.get(path)
    tag = first.headers["etag"]
    for header in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        known = api.get(path, headers={"if-none-match": header})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert api.get(path, headers={"if-none-match": '"x"'}).content == first.content
    assert api.get(f"{path}?run=1").headers["etag"] != tag
    assert api.get(path, headers={"accept-language": "fa"}).headers["etag"] != tag
    assert api.get(f"{path}?run=2").status_code == 200


def test_after_an_erasure_nothing_is_known_any_more(tmp_path: Any) -> None:
    store = published.open_store(tmp_path, published.scores(3))
    with web.client(web.app_with(tmp_path, store=store)) as api:
        tag = api.get("/v1/customers").headers["etag"]
        assert api.request("DELETE", "/v1/customers/c0001").status_code == 204
        assert api.get("/v1/customers", headers={"if-none-match": tag}).status_code == 200
    store.close()


def test_the_fields_that_are_asked_for_have_the_same_names_in_each_form(api: web.Client) -> None:
    names = "clv,customer_id,p_stage_loyal,stage"
    score = api.get(f"/v1/customers?limit=1&fields={names}").json()["customers"][0]
    assert ",".join(score) == names
    full = api.get("/v1/customers?limit=1").json()["customers"][0]
    assert score["p_stage_loyal"] == full["next_stage"]["loyal"]
    csv = api.get(f"/v1/customers?limit=1&format=csv&fields={names}").text.splitlines()
    assert csv[0] == names
    assert csv[1].split(",")[1] == full["customer_id"]
    line = api.get(f"/v1/customers?limit=1&format=ndjson&fields={names}").text
    assert json.loads(line) == score
    response = api.post(
        f"/v1/customers/lookup?fields={names}", json={"customer_ids": [full["customer_id"]]}
    )
    assert response.json()["scores"] == [score]
    refused = api.get("/v1/customers?fields=customer_id,chrun_band")
    assert "Did you mean 'churn_band'?" in refused.json()["detail"]


def test_the_history_of_a_customer_is_paged(api: web.Client) -> None:
    whole = api.get("/v1/customers/c0001").json()
    assert ([past["run"] for past in whole["history"]], whole["history_next"]) == ([2, 1], None)
    first = api.get("/v1/customers/c0001?history_limit=1").json()
    assert (len(first["history"]), first["history_next"]) == (1, 2)
    second = api.get("/v1/customer?id=c0001&history_limit=1&history_before=2").json()
    assert (second["history"], second["history_next"]) == (whole["history"][1:], None)
    assert api.get("/v1/customers/c0001?history_before=77").status_code == 422


def test_the_changes_since_a_run_are_those_of_the_lists(api: web.Client) -> None:
    def listed(run: int) -> dict[str, dict[str, Any]]:
        scores = api.get(f"/v1/customers?run={run}&limit=100").json()["customers"]
        return {score["customer_id"]: score for score in scores}

    before, now = listed(1), listed(2)
    compared = ("state", "stage", "churn_band", "play")
    expected = {
        name
        for name in before.keys() | now.keys()
        if any(before.get(name, {}).get(f) != now.get(name, {}).get(f) for f in compared)
    }
    changes, cursor = [], ""
    while True:
        answer = api.get(f"/v1/changes?since=1&limit=2{cursor}").json()
        assert (answer["since"], answer["run"]) == (1, 2)
        changes += answer["changes"]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert [change["customer_id"] for change in changes] == sorted(expected)
    assert len(changes) > 3
    by_id = {change["customer_id"]: change for change in changes}
    assert (by_id["c0006"]["kind"], by_id["c0006"]["before"]) == ("added", None)
    for change in changes:
        if change["kind"] == "changed":
            assert change["now"]["stage"] == now[change["customer_id"]]["stage"]
            assert change["before"]["stage"] == before[change["customer_id"]]["stage"]
    assert api.get("/v1/changes?since=2").json()["changes"] == []
    assert api.get("/v1/changes?since=9").status_code == 404
    assert api.get("/v1/changes").status_code == 422
    cursor = api.get("/v1/changes?since=1&limit=1").json()["next_cursor"]
    assert api.get(f"/v1/changes?since=2&cursor={cursor}").status_code == 400

"""Plans over HTTP: every answer is as described, every error has a body, nothing is lost."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import sqlalchemy as sa

from stagecast.serving.store.plan_tables import contacts
from tests.serving import published, web

pytestmark = pytest.mark.slow

BODY = {"name": "autumn", "costs": {"contact": 0.2}, "contacts": 60, "holdout": 0.25}


@pytest.fixture
def store(tmp_path, tmp_path_factory):
    store = published.published_store(tmp_path_factory, tmp_path)
    yield store
    store.close()


@pytest.fixture
def api(tmp_path, store):
    with web.client(web.app_with(tmp_path, store=store)) as client:
        yield client


@pytest.fixture(scope="module")
def store_of_refusals(tmp_path_factory):
    """A store that no test changes."""
    folder = tmp_path_factory.mktemp("refusals")
    store = published.published_store(tmp_path_factory, folder)
    yield store
    store.close()


@pytest.fixture(scope="module")
def empty_api(tmp_path_factory, store_of_refusals):
    """A server without plans, of which nothing is asked that it does."""
    app = web.app_with(tmp_path_factory.mktemp("server"), store=store_of_refusals)
    with web.client(app) as client:
        yield client


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A server with a frozen plan and a draft, of which nothing is asked that it does; and the
    customers of the frozen one.
    """
    folder = tmp_path_factory.mktemp("planned")
    store = published.published_store(tmp_path_factory, folder)
    with web.client(web.app_with(folder, store=store)) as client:
        customers = frozen(client)
        client.post("/v1/plans", json={**BODY, "name": "draft"})
        yield client, customers
    store.close()


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@cache
def openapi_document() -> Any:
    """Return what a server says of its answers: it takes long to write, and is always the same."""
    with TemporaryDirectory() as folder, web.client(web.app_with(Path(folder))) as any_api:
        return any_api.get("/openapi.json").json()


def checked(answer: Any, path: str, method: str = "get") -> Any:
    """Return the body of an answer, which must be as the document describes it."""
    document = openapi_document()
    responses = document["paths"][path][method]["responses"]
    described = responses[str(answer.status_code)]
    body = json.loads(answer.text, parse_constant=no_constant)
    kind = answer.headers["content-type"].split(";")[0]
    schema = {**described["content"][kind]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)
    return body


def frozen(api: web.Client, **changes: Any) -> list[dict]:
    body = BODY | changes
    assert api.post("/v1/plans", json=body).status_code == 201
    assert api.post_text(f"/v1/plans/{body['name']}/freeze", "").status_code == 200
    return api.get(f"/v1/plans/{body['name']}/customers").json()["customers"]


def test_a_plan_goes_all_its_way_and_each_answer_is_as_described(api):
    path = "/v1/plans"
    tried = api.post(path, json={**BODY, "name": None})
    assert tried.status_code == 200
    assert checked(tried, path, "post")["plan"] is None
    assert checked(api.get(path), path)["plans"] == []
    made = api.post(path, json=BODY)
    assert made.status_code == 201
    assert checked(made, path, "post")["plan"]["state"] == "draft"
    plan_path = path + "/{name}"
    assert checked(api.get("/v1/plans/autumn"), plan_path)["request"]["contacts"] == 60
    done = checked(api.post_text("/v1/plans/autumn/freeze", ""), plan_path + "/freeze", "post")
    assert done["state"] == "frozen"
    listed = api.get("/v1/plans/autumn/customers")
    customers = checked(listed, plan_path + "/customers")["customers"]
    assert [row["rank"] for row in customers] == list(range(1, len(customers) + 1))
    sent = api.post("/v1/plans/autumn/sent", json={"at": "1998-01-02T09:00:00Z"})
    assert checked(sent, plan_path + "/sent", "post")["sent_at"] == "1998-01-02T09:00:00Z"
    outcomes = [
        {"customer_id": row["customer_id"], "orders": k % 2, "spend": 10.0 * (k % 2)}
        for k, row in enumerate(customers)
    ]
    read = api.post("/v1/plans/autumn/outcomes", json={"outcomes": outcomes})
    result = checked(read, plan_path + "/outcomes", "post")
    assert (result["closed"], result["erased"]) == (True, 0)
    again = checked(api.get("/v1/plans/autumn/readout"), plan_path + "/readout")
    assert again == result
    assert checked(api.get("/v1/plans/autumn"), plan_path)["state"] == "closed"
    together = checked(api.get("/v1/results"), "/v1/results")
    assert together["plans"] == ["autumn"]
    total = result["money"]["comparison"]["adjusted"]["total"]["estimate"]
    assert together["money"]["estimate"] == pytest.approx(total)
    assert "All closed plans together" in api.get("/results").text
    assert [plan["name"] for plan in checked(api.get(path), path)["plans"]] == ["autumn"]


@pytest.mark.parametrize(
    ("method", "path", "description", "status"),
    [
        ("get", "/v1/plans/nobody", "/v1/plans/{name}", 404),
        ("delete", "/v1/plans/nobody", "/v1/plans/{name}", 404),
        ("post", "/v1/plans/nobody/freeze", "/v1/plans/{name}/freeze", 404),
        ("post", "/v1/plans/nobody/cancel", "/v1/plans/{name}/cancel", 404),
        ("get", "/v1/plans/nobody/customers", "/v1/plans/{name}/customers", 404),
        ("get", "/v1/plans/nobody/readout", "/v1/plans/{name}/readout", 404),
        ("post", "/v1/plans/nobody/sent", "/v1/plans/{name}/sent", 404),
        ("get", "/v1/plans/%00", "/v1/plans/{name}", 404),
        ("get", "/v1/plans/'%20OR%201=1", "/v1/plans/{name}", 404),
        ("delete", "/v1/plans/autumn", "/v1/plans/{name}", 409),
        ("post", "/v1/plans/autumn/freeze", "/v1/plans/{name}/freeze", 409),
        ("post", "/v1/plans/draft/cancel", "/v1/plans/{name}/cancel", 409),
        ("post", "/v1/plans/draft/sent", "/v1/plans/{name}/sent", 409),
        ("get", "/v1/plans/draft/customers", "/v1/plans/{name}/customers", 409),
        ("get", "/v1/plans/autumn/readout", "/v1/plans/{name}/readout", 404),
        ("get", "/v1/plans/autumn/customers?arm=all", "/v1/plans/{name}/customers", 422),
    ],
)
def test_what_is_not_possible_is_a_problem_that_is_described(
    planned, method, path, description, status
):
    api, _ = planned
    before = api.get("/v1/plans").json()
    headers = {"content-type": "application/json"}
    answer = api.request(method.upper(), path, headers=headers)
    assert answer.status_code == status, answer.text
    problem = checked(answer, description, method)
    assert problem["status"] == status
    assert len(problem["detail"]) < 400
    assert api.get("/v1/plans").json() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"costt": 1}, "not known"),
        ({"costs": {"contakt": 1}}, "not known"),
        ({"costs": {"contact": -1}}, ">= 0"),
        ({"effects": {"keep": 1.1}}, "<= 1"),
        ({"holdout": 1}, "< 1"),
        ({"holdout": -0.1}, ">= 0"),
        ({"contacts": 0}, ">= 1"),
        ({"contacts": "many"}, "Expected"),
        ({"window_days": 91}, "longer than the horizon"),
        ({"budget": 0.01}, "does not pay one contact"),
        ({"name": "a b"}, "is no name of a plan"),
        ({"owner": "a\nb"}, "not printed"),
        ({"starts_at": "soon"}, "starts_at: is not an ISO 8601 date"),
        ({"starts_at": "2030-01-01"}, "1998-04-01"),
        ({"starts_at": "1997-12-31"}, "1998-01-01"),
        ({"audience": {"stages": ["loyl"]}}, "Did you mean 'loyal'"),
        ({"audience": {"plays": ["x"]}}, "there is no such play"),
        ({"audience": {"bands": ["huge"]}}, "low, medium, high"),
        ({"audience": {"states": ["dead"]}}, "prospect, active, lapsed"),
        ({"rules": {"most_contacts": 0}}, ">= 1"),
        ({"seed": 2**60}, "<="),
    ],
)
def test_a_body_that_cannot_be_used_is_a_422_and_stores_nothing(empty_api, change, says):
    answer = empty_api.post("/v1/plans", json={**BODY, **change})
    assert answer.status_code == 422, answer.text
    assert says in checked(answer, "/v1/plans", "post")["detail"]
    assert empty_api.get("/v1/plans").json() == {"plans": []}


@pytest.mark.parametrize("text", ["", "{", '{"budget": NaN}', '{"name": "\\ud800"}'])
def test_what_is_no_json_is_a_400(empty_api, text):
    answer = empty_api.post_text("/v1/plans", text)
    assert answer.status_code == 400
    checked(answer, "/v1/plans", "post")


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_that_is_too_large_is_refused(empty_api, number):
    answer = empty_api.post_text("/v1/plans", f'{{"budget": {number}}}')
    assert answer.status_code in (400, 422)


def test_a_name_that_is_taken_is_a_409_and_a_draft_is_replaced(api):
    assert api.post("/v1/plans", json=BODY).status_code == 201
    taken = api.post("/v1/plans", json=BODY)
    assert taken.status_code == 409
    assert "already" in checked(taken, "/v1/plans", "post")["detail"]
    assert api.post("/v1/plans", json={**BODY, "contacts": 30, "replace": True}).status_code == 201
    assert api.get("/v1/plans/autumn").json()["request"]["contacts"] == 30
    assert api.request("DELETE", "/v1/plans/autumn").status_code == 204


def test_without_scores_there_is_no_plan(tmp_path):
    with web.client(web.app_with(tmp_path)) as client:
        answer = client.post("/v1/plans", json=BODY)
        assert answer.status_code == 404
        checked(answer, "/v1/plans", "post")


def test_the_list_as_csv_has_no_formula_of_a_customers_id(api):
    ids = list(published.HOSTILE_IDS)
    costs: dict[str, Any] = {}
    customers = frozen(api, audience={"customer_ids": ids}, contacts=None, holdout=0, costs=costs)
    answer = api.get("/v1/plans/autumn/customers?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="autumn.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["customer_id"].removeprefix("'") for row in rows] == [
        row["customer_id"] for row in customers
    ]
    assert not any(row["customer_id"].startswith(("=", "+", "-", "@")) for row in rows)


def test_one_arm_is_listed_alone(api):
    customers = frozen(api)
    for arm in ("contact", "holdout"):
        listed = api.get(f"/v1/plans/autumn/customers?arm={arm}").json()["customers"]
        assert listed == [row for row in customers if row["arm"] == arm]
        assert listed


def test_who_is_held_out_or_unknown_cannot_have_been_contacted(api):
    customers = frozen(api)
    out = next(row["customer_id"] for row in customers if row["arm"] == "holdout")
    for id_, says in ((out, "is held out"), ("nobody", "is not on the list")):
        body = {"at": "1998-01-02", "customer_ids": [id_]}
        answer = api.post("/v1/plans/autumn/sent", json=body)
        assert answer.status_code == 422
        assert says in checked(answer, "/v1/plans/{name}/sent", "post")["detail"]
    assert api.get("/v1/plans/autumn").json()["state"] == "frozen"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: [*rows, rows[0]], "more than once"),
        (lambda rows: [*rows, {"customer_id": "nobody", "orders": 1}], "is not on the list"),
        (lambda rows: [{**rows[0], "orders": -1}], ">= 0"),
        (lambda rows: [], "if nobody ordered, give one of its customers with 0 orders"),
        (lambda rows: [{**rows[0], "spend": 5.0}, {**rows[1], "orders": 1}], "no spend"),
        (lambda rows: [{**rows[0], "income": 5.0}], "not known"),
    ],
)
def test_outcomes_that_cannot_be_used_are_refused_and_leave_the_plan(planned, change, says):
    api, customers = planned
    rows = [{"customer_id": row["customer_id"], "orders": 0} for row in customers]
    answer = api.post("/v1/plans/autumn/outcomes", json={"outcomes": change(rows)})
    assert answer.status_code == 422, answer.text
    assert says in checked(answer, "/v1/plans/{name}/outcomes", "post")["detail"]
    assert api.get("/v1/plans/autumn").json()["state"] == "frozen"
    assert api.get("/v1/plans/autumn/readout").status_code == 404


def test_a_customer_erased_after_freezing_is_counted_and_the_rest_is_read_out(api, store):
    customers = frozen(api)
    gone = next(row["customer_id"] for row in customers if row["arm"] == "contact")
    store.erase(gone)
    rows = [
        {"customer_id": row["customer_id"], "orders": k % 2}
        for k, row in enumerate(customers)
        if row["customer_id"] != gone
    ]
    answer = api.post("/v1/plans/autumn/outcomes", json={"outcomes": rows})
    result = checked(answer, "/v1/plans/{name}/outcomes", "post")
    assert result["erased"] == 1
    assert result["customers"] == len(customers) - 1
    assert gone not in answer.text
    unknown = api.post(
        "/v1/plans/autumn/outcomes", json={"outcomes": [{"customer_id": gone, "orders": 1}]}
    )
    assert unknown.status_code == 422


def test_a_plan_without_a_holdout_cannot_be_read_out(api):
    customers = frozen(api, holdout=0)
    rows = [{"customer_id": customers[0]["customer_id"], "orders": 0}]
    answer = api.post("/v1/plans/autumn/outcomes", json={"outcomes": rows})
    assert answer.status_code == 422
    assert "was held out" in answer.json()["detail"]


def test_a_plan_in_which_all_outcomes_are_equal_is_closed_and_has_nothing_to_compare(api):
    customers = frozen(api)
    none = checked(api.get("/v1/results"), "/v1/results")
    assert none["type"].endswith(":not-read-out")
    rows = [{"customer_id": customers[0]["customer_id"], "orders": 0}]
    assert api.post("/v1/plans/autumn/outcomes", json={"outcomes": rows}).status_code == 200
    answer = api.get("/v1/results")
    said = checked(answer, "/v1/results")
    assert (answer.status_code, said["type"].split(":")[-1]) == (404, "nothing-to-compare")
    assert said["detail"].startswith("1 plan is closed, with nothing to compare")


def test_ids_without_a_score_are_told_by_their_places(api):
    known = [row["customer_id"] for row in api.get("/v1/customers?limit=2").json()["customers"]]
    body = {"audience": {"customer_ids": [*known, *(f"nobody{k}" for k in range(7))]}}
    answer = checked(api.post("/v1/plans", json={**body, "holdout": 0}), "/v1/plans", "post")
    assert answer["considered"] == 2
    assert answer["warnings"] == [
        "7 of 9 customers of audience.customer_ids have no score and are left out: [2], [3], [4], "
        "[5], [6], ..."
    ]
    assert checked(api.post("/v1/plans", json=BODY), "/v1/plans", "post")["warnings"] == []


def test_no_ids_are_no_audience(api):
    answer = api.post("/v1/plans", json={"audience": {"customer_ids": []}, "holdout": 0})
    assert answer.status_code == 422
    assert "audience.customer_ids" in answer.json()["detail"]


def test_what_is_refused_is_said_in_the_words_of_a_request(api):
    assert api.post("/v1/plans", json=BODY).status_code == 201
    said = [
        api.post("/v1/plans", json=BODY),
        api.get("/v1/plans/autumn/customers"),
        api.post("/v1/plans", json={"window_days": 900}),
        api.post("/v1/plans", json={"effects": {"learned": True}}),
        api.get("/v1/results"),
    ]
    assert api.post_text("/v1/plans/autumn/freeze", "").status_code == 200
    said += [api.post("/v1/plans/autumn/sent", json={}), api.get("/v1/plans/autumn/readout")]
    details = [answer.json()["detail"] for answer in said]
    assert not any("--" in detail for detail in details), details
    assert details[0].endswith("or replace its draft (replace)")
    assert details[1].endswith("freeze it: POST /v1/plans/autumn/freeze")
    assert "(effects.learned false: 5% and 2%)" in details[3]
    assert "POST /v1/plans/NAME/outcomes" in details[3]
    assert details[5].endswith("say when it was sent (at)")


def test_a_start_without_a_zone_is_what_the_clock_of_the_shop_shows(tmp_path):
    zone = ZoneInfo("America/Los_Angeles")
    as_of = datetime(2024, 8, 16, tzinfo=zone)
    store = published.open_store(tmp_path)
    scheme = published.retail()
    store.publish(
        published.scores(60, as_of=as_of), model_path="model", scheme=scheme, zone=zone.key
    )
    with web.client(web.app_with(tmp_path, store=store)) as client:
        for start, instant in (
            ("2024-08-16", "2024-08-16T07:00:00Z"),  # the day of the scores themselves
            ("2024-08-20", "2024-08-20T07:00:00Z"),
            ("2024-08-20T12:00", "2024-08-20T19:00:00Z"),
            ("2024-08-20T12:00:00Z", "2024-08-20T12:00:00Z"),
        ):
            body = {**BODY, "name": f"from-{start}".replace(":", "-"), "starts_at": start}
            answer = client.post("/v1/plans", json=body)
            assert answer.status_code == 201, answer.text
            assert answer.json()["plan"]["starts_at"] == instant
        name = "from-2024-08-16"
        assert client.post(f"/v1/plans/{name}/freeze").status_code == 200
        sent = client.post(f"/v1/plans/{name}/sent", json={"at": "2024-08-21"})
        assert sent.status_code == 200, sent.text
    with store.engine.connect() as connection:
        instants = set(connection.scalars(sa.select(contacts.c.contacted_at)))
    assert instants == {datetime(2024, 8, 21, 7, tzinfo=UTC)}
    store.close()

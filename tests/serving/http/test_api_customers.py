"""The published lists over HTTP: pages, formats, filters; one customer; many by id; stages."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import quote

import pytest

from stagecast.serving.scoring import score_schema
from tests.serving import published, web


@pytest.fixture(scope="module")
def scored():
    return published.scores(130, extra=published.HOSTILE_IDS)


@pytest.fixture(scope="module")
def api(tmp_path_factory, scored):
    folder = tmp_path_factory.mktemp("customers")
    store = published.open_store(
        folder, published.scores(30, seed=9, as_of=published.AS_OF.replace(year=1997)), scored
    )
    with web.client(web.app_with(folder, store=store)) as client:
        yield client
    store.close()


def everybody(api, **query) -> list[dict]:
    """Follow next_cursor to the end."""
    actual, cursor = [], None
    while True:
        answer = api.get("/v1/customers", params=query | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        actual += answer.json()["customers"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return actual


def test_the_list_is_ranked_by_value_at_risk_and_says_what_it_is(api, scored):
    result = api.get("/v1/customers").json()
    assert (result["as_of"], result["model_version"]) == ("1998-01-01T00:00:00Z", "retail-19980101")
    assert result["total"] == scored.num_rows
    assert len(result["customers"]) == 50
    values = [score["value_at_risk"] for score in result["customers"]]
    assert values == sorted(values, reverse=True)


def test_following_the_cursor_gives_everybody_once_as_published(api, scored):
    actual = everybody(api, limit=7)
    by_id = {row["customer_id"]: row for row in score_schema.json_rows(scored)}
    assert len(actual) == len(by_id)
    assert {score["customer_id"]: score for score in actual} == by_id


def test_the_link_header_leads_on(api):
    link = api.get("/v1/customers?limit=100&state=active&sort=clv&q=").headers["link"]
    target, rel = link.split("; ")
    assert rel == 'rel="next"'
    onward = api.get(target.strip("<>"))
    assert onward.status_code == 200
    assert "link" not in onward.headers


def test_filters_filter_and_empty_ones_do_not(api, scored):
    rows = scored.to_pylist()
    wanted = {
        r["customer_id"]
        for r in rows
        if r["stage"] in ("loyal", "at_risk") and (r["value_at_risk"] or 0) >= 10
    }
    actual = everybody(
        api, stage=["loyal", "at_risk"], min_value="10", band="", state="", q="", limit="", sort=""
    )
    assert {score["customer_id"] for score in actual} == wanted
    assert wanted


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("stage=loyl", "Did you mean 'loyal'?"),
        ("band=huge", "'low', 'medium' or 'high'"),
        ("state=dead", "'prospect', 'active' or 'lapsed'"),
        ("min_value=nan", "finite number"),
        ("min_value=1e400", "finite number"),
        ("min_value=ten", "valid number"),
        ("sort=-value", "is no column to sort by. Did you mean"),
        ("sort='; drop table scores; --", "is no column to sort by"),
        ("limit=0", "limit is 1 to 1000"),
        ("limit=1001", "limit is 1 to 1000"),
        ("limit=many", "'all'"),
        ("limit=all", "format=csv"),
        ("format=xml", "'json', 'ndjson', 'csv' or 'xlsx'"),
        ("stages=loyal", "Did you mean 'stage'?"),
        ("q=" + "x" * 300, "at most 256"),
    ],
)
def test_a_parameter_that_will_not_do_is_refused(api, query, says):
    answer = api.get(f"/v1/customers?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 3000
    assert says in answer.text.replace('\\"', '"')


@pytest.mark.parametrize(
    "cursor", ["x", "' OR 1=1 --", "%F0%9F%A6%8A", "W10", "%00", "WzEsIiIsMCwiXHVkODAwIiwiYSJd"]
)
def test_a_cursor_that_will_not_do_is_a_400(api, cursor):
    answer = api.get(f"/v1/customers?cursor={cursor}")
    assert answer.status_code == 400
    assert "without" in answer.json()["detail"]


@pytest.mark.parametrize("prefix", ["' OR '1'='1", "%", "_", "\x00", '";--', "\\"])
def test_sql_in_a_prefix_is_only_text(api, prefix):
    assert api.get("/v1/customers", params={"q": prefix}).json()["total"] == 0


def test_ndjson_is_one_score_a_line(api):
    answer = api.get("/v1/customers?limit=all", headers={"accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["customer_id"] for line in lines] == [
        score["customer_id"] for score in everybody(api)
    ]


def test_csv_is_the_contract_and_safe_in_a_spreadsheet(api, scored):
    for answer in (
        api.get("/v1/customers?limit=all", headers={"accept": "text/csv"}),
        api.get("/v1/customers?limit=all&format=csv"),
    ):
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert list(rows[0]) == scored.column_names
        assert len(rows) == scored.num_rows
        assert "'=HYPERLINK(1)" in [row["customer_id"] for row in rows]


def test_a_cursor_of_before_the_last_publication_is_refused(tmp_path):
    store = published.open_store(tmp_path, published.scores(20))
    with web.client(web.app_with(tmp_path, store=store)) as api:
        cursor = api.get("/v1/customers?limit=5").json()["next_cursor"]
        published.publish(store, published.scores(20, seed=8))
        answer = api.get(f"/v1/customers?limit=5&cursor={cursor}")
        assert answer.status_code == 410
        assert "new scores were published" in answer.json()["detail"]
    store.close()


@pytest.mark.parametrize("name", ["c0001", *published.HOSTILE_IDS])
def test_one_customer_has_a_score_and_a_history(api, name):
    answer = api.get(f"/v1/customers/{quote(name, safe='')}")
    assert answer.status_code == 200
    result = answer.json()
    assert result["score"]["customer_id"] == name
    assert result["score"]["reasons"][0]["sentence"]
    assert [past["as_of"][:4] for past in result["history"]] == (
        ["1998", "1997"] if name == "c0001" else ["1998"]
    )
    expected = {
        "as_of",
        "stage",
        "scheme",
        "churn_probability",
        "value_at_risk",
        "clv",
        "model_version",
        "zone",
        "currency",
        "run",
    }
    assert set(result["history"][0]) == expected
    # only who was scored before can have changed
    assert bool(result["changes"]) == (name == "c0001")
    assert all(
        set(change) == {"field", "before", "now", "sentence"} for change in result["changes"]
    )


@pytest.mark.parametrize("name", ["nobody", "C0001", "%00", "%FF", "x" * 5000])
def test_an_unknown_customer_is_a_short_404(api, name):
    answer = api.get(f"/v1/customers/{name}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:stagecast:problem:customer-unknown"
    assert len(answer.content) < 500


def test_lookup_keeps_the_order_and_tells_who_is_missing(api):
    ids = ["c0009", "nobody", "c0001", *published.HOSTILE_IDS, "c0009"]
    result = api.post("/v1/customers/lookup", json={"customer_ids": ids}).json()
    assert [score["customer_id"] for score in result["scores"]] == [
        "c0009",
        "c0001",
        *published.HOSTILE_IDS,
    ]
    assert result["missing"] == ["nobody"]


@pytest.mark.parametrize("ids", [[], ["x"] * 1001, [1], [None], "abc", [""]])
def test_lookup_refuses_other_than_one_to_a_thousand_texts(api, ids):
    assert api.post("/v1/customers/lookup", json={"customer_ids": ids}).status_code == 422


def test_stages_come_in_order_with_titles_and_totals(api, scored):
    result = api.get("/v1/stages").json()
    assert [stage["id"] for stage in result["stages"]] == list(published.STAGES)
    assert sum(stage["customers"] for stage in result["stages"]) == scored.num_rows
    assert result["stages"][4]["title"] == {"en": "Overdue", "ru": "Просрочен", "fa": "دیرکرده"}
    assert result["stages"][0]["value_at_risk"] is None


def test_flows_between_the_last_two_runs_have_shares_of_their_origin(own):
    result = own.get("/v1/stages/flows").json()
    assert (result["from_as_of"][:4], result["to_as_of"][:4], result["scheme"]) == (
        "1997",
        "1998",
        "retail",
    )
    assert sum(flow["customers"] for flow in result["flows"]) == 60 + len(published.HOSTILE_IDS)
    origins = {flow["from_stage"] for flow in result["flows"]}
    assert None in origins
    for origin in origins:
        assert sum(
            flow["share"] for flow in result["flows"] if flow["from_stage"] == origin
        ) == pytest.approx(1)


def test_without_an_earlier_run_there_are_no_flows(tmp_path):
    store = published.open_store(tmp_path, published.scores(5))
    with web.client(web.app_with(tmp_path, store=store)) as api:
        result = api.get("/v1/stages/flows").json()
    assert (result["from_as_of"], result["flows"]) == (None, [])
    store.close()


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/stages", "/v1/stages/flows"])
def test_before_the_first_publication_it_says_what_to_run(tmp_path, path):
    with web.client(web.app_with(tmp_path)) as api:
        answer = api.get(path)
        assert answer.status_code == 404
        assert (
            "stagecast score EVENTS --model MODEL --out scores.parquet --publish"
            in answer.json()["detail"]
        )
        assert api.post("/v1/customers/lookup", json={"customer_ids": ["a"]}).status_code == 404
        assert api.get("/v1/customers/a").status_code == 404


@pytest.fixture
def own(tmp_path):
    """A server of its own, whose store may lose customers."""
    store = published.open_store(
        tmp_path,
        published.scores(30, seed=9, as_of=published.AS_OF.replace(year=1997)),
        published.scores(60, extra=published.HOSTILE_IDS),
    )
    with web.client(web.app_with(tmp_path, store=store)) as client:
        yield client
    store.close()


def delete(api, name: str, **headers: str):
    return api.request("DELETE", f"/v1/customers/{quote(name, safe='')}", headers=headers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c0001", *published.HOSTILE_IDS])
def test_an_erased_customer_is_nowhere(own, name):
    answer = delete(own, name)
    assert (answer.status_code, answer.content) == (204, b"")
    path = f"/v1/customers/{quote(name, safe='')}"
    assert own.get(path).status_code == 404
    assert name not in {score["customer_id"] for score in everybody(own, limit=9)}
    assert own.post("/v1/customers/lookup", json={"customer_ids": [name, "c0002"]}).json()[
        "missing"
    ] == [name]
    again = delete(own, name)
    assert again.status_code == 404
    assert again.json()["type"] == "urn:stagecast:problem:customer-unknown"


@pytest.mark.slow
def test_a_cursor_holds_when_the_customer_it_stands_on_is_erased(own):
    whole = [score["customer_id"] for score in everybody(own, limit=1000)]
    first = own.get("/v1/customers?limit=10").json()
    erased = first["customers"][-1]["customer_id"]
    assert delete(own, erased).status_code == 204
    following = own.get("/v1/customers", params={"limit": 1000, "cursor": first["next_cursor"]})
    assert following.status_code == 200
    assert [score["customer_id"] for score in following.json()["customers"]] == whole[10:]
    assert own.get("/v1/customers").json()["total"] == len(whole) - 1


@pytest.mark.parametrize("name", ["nobody", "C0001", "%00", "%FF", "x" * 5000])
def test_erasing_an_unknown_customer_is_a_short_404(own, name):
    answer = own.request(
        "DELETE", f"/v1/customers/{name}", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 404
    assert len(answer.content) < 500


def test_erasing_needs_a_key_where_there_are_keys(tmp_path):
    store = published.open_store(tmp_path, published.scores(3))
    with web.client(web.app_with(tmp_path, store=store, api_keys=web.KEY)) as api:
        assert delete(api, "c0001").status_code == 401
        assert delete(api, "c0001", authorization=f"Bearer {web.KEY}").status_code == 204
    store.close()

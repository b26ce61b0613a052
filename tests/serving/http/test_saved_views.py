"""Views that a team saves: over the API, beside the plays on the page, and without customers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from stagecast.serving.keys.book import KeyBook
from stagecast.serving.store import saved_views
from stagecast.serving.store.store import Store
from tests.serving import published, web

HOSTILE = "\"><script>alert(1)</script> {{ 7*7 }} 'x"
LOYAL = {"stage": ["loyal"], "sort": "-clv", "column": ["clv", "stage"]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = published.open_store(tmp_path, published.scores(60))
    yield opened
    opened.close()


@pytest.fixture
def api(store: Store, tmp_path: Path) -> Iterator[web.Client]:
    with web.client(web.app_with(tmp_path, store=store)) as client:
        yield client


def save(api: web.Client, name: str, parameters: dict[str, Any], **headers: str) -> Any:
    body = json.dumps({"name": name, "parameters": parameters})
    own = {"content-type": "application/json", **headers}
    return api.post("/v1/saved-views", content=body, headers=own)


def views_of(api: web.Client) -> list[dict[str, Any]]:
    views: list[dict[str, Any]] = api.get("/v1/saved-views").json()["views"]
    return views


def test_a_view_is_saved_listed_opened_and_deleted(api: web.Client) -> None:
    answer = save(api, " Loyal by value ", LOYAL)
    assert answer.status_code == 201, answer.text
    assert [view["name"] for view in views_of(api)] == ["Loyal by value"]
    view = views_of(api)[0]
    assert view == answer.json()
    link = view["link"]
    assert link == "/customers?stage=loyal&column=clv&column=stage&sort=-clv"
    listed = api.get(f"/v1{link.replace('column=clv&column=stage&', '')}").json()["customers"]
    assert listed == sorted(listed, key=lambda score: -score["clv"])
    assert {score["stage"] for score in listed} == {"loyal"}
    home = api.get("/customers").text
    assert f'href="{link.replace("&", "&amp;")}"><span class="name"><bdi>Loyal by value' in home
    page = api.get(link).text
    assert f'data-api="/v1/saved-views/{view["id"]}" data-method="DELETE"' in page
    assert "Save this view" not in page
    assert api.request("DELETE", f"/v1/saved-views/{view['id']}").status_code == 204
    assert api.request("DELETE", f"/v1/saved-views/{view['id']}").status_code == 404
    assert views_of(api) == []


def test_what_the_page_would_save_is_the_list_that_it_shows(api: web.Client) -> None:
    asked = "/customers?stage=loyal&stage=at_risk&band=high&clv_above=20.5&column=play&sort=-orders"
    page = api.get(asked).text
    form = re.search(r'data-api="/v1/saved-views" data-next="([^"]*)" data-body="([^"]*)"', page)
    assert form is not None
    body = json.loads(unescape(form[2]))
    answer = save(api, "as shown", body["parameters"])
    assert answer.status_code == 201, answer.text
    assert answer.json()["link"] == unescape(form[1]) == asked


def test_a_name_is_shown_as_text_and_is_taken_once(api: web.Client) -> None:
    assert save(api, HOSTILE, LOYAL).status_code == 201
    page = api.get("/customers").text
    assert "<script>alert" not in page
    assert f"<bdi>{HOSTILE}" in unescape(page)
    taken = save(api, HOSTILE, {"band": "high"})
    assert (taken.status_code, taken.json()["type"]) == (
        409,
        "urn:stagecast:problem:view-name-taken",
    )
    assert len(views_of(api)) == 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("a", {"q": "anna"}),
        ("a", {"customer_id_prefix": "anna"}),
        ("a", {"cursor": "xyz"}),
        ("a", {"stage": ["royal"]}),
        ("a", {"band": "huge"}),
        ("a", {"colour": "red"}),
        ("a", {"sort": "-shoe_size"}),
        ("a", {"clv_above": "nan"}),
        (" ", LOYAL),
        ("a\nb", LOYAL),
        ("a" * 81, LOYAL),
    ],
)
def test_what_no_list_takes_or_names_a_customer_is_refused(
    api: web.Client, name: str, parameters: dict[str, Any]
) -> None:
    answer = save(api, name, parameters)
    assert answer.status_code == 422, answer.text
    assert "anna" not in answer.text
    assert views_of(api) == []


def test_a_page_of_an_id_offers_no_view(api: web.Client) -> None:
    for asked in ("/customers?q=c00&band=high", "/customers"):
        assert "/v1/saved-views" not in api.get(asked).text


def test_the_same_write_is_done_once(api: web.Client) -> None:
    first = save(api, "once", LOYAL, **{"idempotency-key": "k1"})
    again = save(api, "once", LOYAL, **{"idempotency-key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


def test_a_store_holds_so_many_views_and_no_more(
    api: web.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_views, "VIEWS_MAX", 2)
    assert [save(api, name, LOYAL).status_code for name in "abc"] == [201, 201, 422]


def test_a_key_that_reads_saves_nothing(store: Store, tmp_path: Path) -> None:
    book = KeyBook(store.engine)
    keys = {
        scope: {"x-api-key": str(book.create(scope, (scope,), datetime.now(UTC), None).text)}
        for scope in ("read", "plan", "score")
    }
    with web.client(web.app_with(tmp_path, store=store)) as api:
        assert save(api, "a", LOYAL, **keys["read"]).status_code == 403
        made = save(api, "a", LOYAL, **keys["plan"])
        assert made.status_code == 201
        path = f"/v1/saved-views/{made.json()['id']}"
        assert api.request("DELETE", path, headers=keys["read"]).status_code == 403
        assert api.get("/v1/saved-views", headers=keys["score"]).status_code == 403
        assert api.get("/v1/saved-views", headers=keys["read"]).status_code == 200
        assert api.request("DELETE", path, headers=keys["plan"]).status_code == 204

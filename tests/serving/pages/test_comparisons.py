"""Comparisons before and after a date on the page of results, and in the API."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import numpy as np
import pytest

from stagecast.features.describe.effectiveness import before_after
from stagecast.serving.store.comparisons import store_comparison, stored_comparisons
from tests.features.describe.effectiveness.made import DAY, simulated
from tests.serving import published
from tests.serving.pages.test_languages import Said
from tests.serving.pages.test_new_places import text

DAYS = 168


@pytest.fixture(scope="module")
def compared() -> list[dict[str, Any]]:
    """Return comparisons at two dates of a shop that sells half as much after day 84."""
    rates = np.where(np.arange(DAYS) < 84, 0.04, 0.02)
    drawn = simulated(np.random.default_rng(3), 400, rates, np.full(DAYS, 20.0))
    days, journeys, first_events = drawn
    return [
        before_after(journeys, days, 400, first_events, None, date * DAY, DAYS * DAY).to_json()
        for date in (84, 112)
    ]


def test_the_page_shows_what_the_comparison_says(web, store, compared) -> None:
    published.put(store, published.scores(5))
    assert "--before-after DATE --publish" in text(web, "/results")
    assert web.get("/v1/results/before-after").json() == {"comparisons": []}
    for body in compared:
        store_comparison(store.engine, "retail", body)
    page = text(web, "/results")
    assert "--publish" not in page
    for body in compared:
        assert body["headline"] in page
        assert all(measure["sentence"] in page for measure in body["measures"])
        assert all(caveat in page for caveat in body["caveats"])
    sales = next(m for m in compared[0]["measures"] if m["id"] == "sales")
    assert sales["beyond_chance"]
    assert sales["difference"] < 0
    # the latest date stands open, the one before is folded
    whole = web.get("/results").text
    assert 0 < whole.index('id="compared-1970-04-23"') < whole.index("<details>")
    assert whole.index("<details>") < whole.index('id="compared-1970-03-26"')
    assert len(re.findall(r'id="(compared-[\d-]*)"', whole)) == 2


def test_a_comparison_of_the_same_date_replaces_the_earlier_one(store, compared) -> None:
    first, second = compared
    store_comparison(store.engine, "retail", first)
    store_comparison(store.engine, "retail", second)
    store_comparison(store.engine, "crm5", {**first, "headline": "Anew."})
    stored = stored_comparisons(store.engine)
    assert [each["date"] for each in stored] == [second["date"], first["date"]]
    assert (stored[1]["headline"], stored[1]["scheme"]) == ("Anew.", "crm5")


def test_the_api_answers_as_it_is_described(web, store, compared) -> None:
    store_comparison(store.engine, "retail", compared[0])
    answer = web.get("/v1/results/before-after").json()
    document = web.get("/openapi.json").json()
    described = document["components"]["schemas"]["BeforeAfterList"]
    jsonschema.Draft202012Validator({**described, "components": document["components"]}).validate(
        answer
    )
    (listed,) = answer["comparisons"]
    assert listed.pop("made_at")
    assert listed == {**compared[0], "scheme": "retail"}
    properties = described["properties"]["comparisons"]["items"]["properties"]
    assert set(properties) == {*listed, "made_at"}


@pytest.mark.parametrize("language", ["ru", "fa"])
def test_a_comparison_is_said_in_the_language_of_the_page(web, store, compared, language) -> None:
    published.put(store, published.scores(5))
    for body in compared:
        store_comparison(store.engine, "retail", body)
    page = web.get("/results", headers={"accept-language": language, "accept": "text/html"}).text
    assert '<bdi lang="en"' not in page
    assert Said(page).english({"retail-19980101", "Holm"}) == set()

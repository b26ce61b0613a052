"""A log with amounts but too few customers or repeat orders: pages do not know what leaving costs,
say so, and show neither dashes nor zeros in its place.
"""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pyarrow as pa

from stagecast.serving.scoring import score_schema
from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.web import Client

NOT_KNOWN = "What leaving would cost is not known"
STAKE = ("value_at_risk", "value_gone", "value_if_kept")


def scores(customers: int = 40) -> list[dict[str, Any]]:
    """Return scores of active customers as the simplest methods make them."""
    made = [row for row in published.scores(customers).to_pylist() if row["state"] == "active"]
    for row in made:
        row["play"] = "repeat_going_quiet"
        row.update({name: None for name in STAKE if name in row})
    return made


def publish(store: Store, made: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(made, schema=score_schema.schema(published.STAGES))
    published.put(store, table)


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_home_has_no_tile_without_a_number(web: Client, store: Store) -> None:
    made = scores()
    publish(store, made)
    page = web.get("/").text
    tiles = re.findall(r"<dd>(.*?)</dd>", page, re.DOTALL)
    numbers = [text(tile).split(" ")[0] for tile in tiles]
    leavers = sum(row["churn_probability"] for row in made)
    assert numbers == [str(len(made)), f"{leavers:.0f}", "0"]
    assert "customers have left: nobody has been silent for long enough" in text(page)
    assert NOT_KNOWN in text(page)
    under_stages = re.findall(r'<span class="worth">([^<]*)</span>', page)
    assert set(under_stages) == {""}
    heads = re.findall(r"<thead>(.*?)</thead>", page, re.DOTALL)
    assert "At stake" not in text(heads[0])


def test_once_the_cost_is_known_home_shows_it(web: Client, store: Store) -> None:
    published.put(store, published.scores(40))
    page = text(web.get("/").text)
    assert NOT_KNOWN not in page
    assert "is expected to be lost as active customers leave" in page


def test_the_list_begins_with_the_riskiest(web: Client, store: Store) -> None:
    made = scores()
    publish(store, made)
    page = web.get("/customers").text
    listed = re.findall(r'class="who"><a [^>]*><bdi>([^<]*)</bdi>', page)
    riskiest = sorted(made, key=lambda row: (-row["churn_probability"], row["customer_id"]))
    assert listed[0] == riskiest[0]["customer_id"]
    assert NOT_KNOWN in text(page)
    assert 'name="min_value"' not in page
    head = page.split("<thead>")[1].split("</thead>")[0]
    assert "Value at risk" not in head
    assert "Value in a year" in head, "what a customer brings is known"


def test_a_plan_asks_for_what_a_customer_is_worth(web: Client, store: Store) -> None:
    publish(store, scores())
    page = text(web.get("/plans/new").text)
    assert "What leaving would cost is not known here" in page
    assert "The log has no amounts" not in page
    assert "customers are contacted" not in page, "zeros would say that nobody pays"
    planned = web.get("/plans/new?worth=50&contacts=10&contact_cost=1")
    assert "10 customers are contacted" in text(planned.text)
    body = json.loads(unescape(re.search(r'data-body="([^"]*)"', planned.text)[1]))  # type: ignore[index]
    assert body["worth"] == 50

"""Every number of Home, the list, a customer and a plan, recomputed from the scores."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from stagecast.serving.store.store import Store
from tests.serving import published
from tests.serving.pages import recomputed
from tests.serving.pages.test_home_page import rows
from tests.serving.web import Client

MONEY = ("value_at_risk", "value_gone", "clv", "clv_low", "clv_high", "spend", "monetary")
MONEY += ("expected_spend", "expected_spend_low", "expected_spend_high")


def with_amounts() -> list[dict[str, Any]]:
    return rows(1)


def without_amounts() -> list[dict[str, Any]]:
    return [{**row, **dict.fromkeys(MONEY)} for row in rows(2)]


@pytest.fixture(params=[with_amounts, without_amounts], ids=["amounts", "no amounts"])
def scores(request: pytest.FixtureRequest, store: Store) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = request.param()
    published.put(store, published.table(made))
    return made


def main_of(web: Client, path: str) -> str:
    answer = web.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text.split("<main")[1]


def test_a_wrong_number_is_seen() -> None:
    page = "<p>as of 2024-01-02: <bdi>c17</bdi> 1,234 at risk, 56% and −0.3 points</p>"
    assert recomputed.numbers_of(page) == ["1,234", "56%", "−0.3"]
    assert recomputed.unexplained(page, {"1,234", "−0.3"}) == ["56%"]


def test_home_and_lists_show_numbers_of_the_scores_alone(web: Client, scores: Any) -> None:
    assert recomputed.unexplained(main_of(web, "/"), recomputed.home(scores)) == []
    for asked, passing in (
        ("", scores),
        ("?state=active", [s for s in scores if s["state"] == "active"]),
        ("?play=let_go&band=high", [
            s for s in scores if s["play"] == "let_go" and s["churn_band"] == "high"
        ]),
    ):  # fmt: skip
        page = main_of(web, f"/customers{asked}")
        assert recomputed.unexplained(page, recomputed.customers(scores, passing)) == [], asked


def test_customers_show_numbers_of_their_scores_alone(web: Client, scores: Any) -> None:
    for score in scores[:25]:
        page = main_of(web, f"/customers/{score['customer_id']}")
        assert recomputed.unexplained(page, recomputed.customer(score)) == [], score


def test_a_plan_expects_what_the_scores_of_the_contacted_say(web: Client, store: Store) -> None:
    scores = {row["customer_id"]: row for row in with_amounts()}
    published.publish(store, published.table(list(scores.values())))
    body = {"name": "spring", "contacts": 30, "costs": {"contact": 1.5}, "holdout": 0.2}
    assert web.post_text("/v1/plans", json.dumps(body)).status_code == 201
    assert web.post_text("/v1/plans/spring/freeze", "{}").status_code == 200
    listed = web.get("/v1/plans/spring/customers?arm=contact&format=csv").text
    members = [scores[row["customer_id"]] for row in csv.DictReader(io.StringIO(listed))]
    known = recomputed.plan(members, 90, 1.5)
    page = main_of(web, "/plans/spring").replace("</svg>", "")
    tiles = page.split('class="tiles"')[1].split("</dl>")[0]
    held_out = web.get("/v1/plans/spring").json()["proposal"]["held_out"]
    assert recomputed.unexplained(tiles, known | {str(held_out)}) == []
    this_plan = page.split("this plan")[1].split("</div>")[0]
    gain = recomputed.numbers_of(tiles)[2:3]
    assert recomputed.numbers_of(f"<p>{this_plan}") == gain, "the same wherever it stands"


def test_without_amounts_no_page_speaks_of_money(web: Client, store: Store) -> None:
    made = without_amounts()
    published.put(store, published.table(made))
    home, listed = main_of(web, "/"), main_of(web, "/customers")
    for page in (re.sub(r"<span popover.*?</span>", "", page) for page in (home, listed)):
        said = re.sub(r"<[^>]*>", " ", page)
        for words in ("at risk", "at stake", "At stake", "Value"):
            assert words not in said, said[said.index(words) - 100 :][:200]
    first = listed.split('name="customer_id" value="')[1].split('"')[0]
    riskiest = max(
        (row for row in made if row["churn_probability"] is not None),
        key=lambda row: row["churn_probability"],
    )
    assert first == riskiest["customer_id"]
    assert "The log has no amounts" in main_of(web, f"/customers/{first}")
    plan = main_of(web, "/plans/new")
    assert "Fill in the field “A kept customer is worth”" in plan
    assert "--worth" not in plan
    worth = main_of(web, "/plans/new?worth=40")
    assert "customers are contacted" in worth

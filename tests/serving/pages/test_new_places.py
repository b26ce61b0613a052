"""Channels, trust, views and files of the list: what they show is what the API answers."""

from __future__ import annotations

import csv
import io
import math
import re
from html import unescape
from itertools import pairwise
from zipfile import ZipFile

import numpy as np
import pytest

from stagecast.features.intake.reasons import FLAGS, HINTS
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.reports.customer_story import risk_steps, usual_gap
from stagecast.serving.store.channels import store_channels
from stagecast.serving.store.evidence import data_of_report, store_evidence
from tests.serving import published
from tests.serving.http.test_api_channels import body


def text(web, path: str) -> str:
    answer = web.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def rows():
    made = published.scores(80, extra=["=HYPERLINK(1)"]).to_pylist()
    for k, row in enumerate(made):
        row["play"] = ("loyal_going_quiet", "let_go", None)[k % 3]
    return made


def test_the_channels_are_those_of_the_api_and_the_empty_page_says_how_to_store_them(web, store):
    run_id = published.put(store, published.scores(5))
    assert "stagecast channels EVENTS --model MODEL" in text(web, "/channels")
    store_channels(store.engine, run_id, "channel", body())
    page, listed = text(web, "/channels"), web.get("/v1/channels").json()
    mail = next(group for group in listed["groups"] if group["first_seen_in"] == "mail")
    assert "First seen in" in page
    assert f"{mail['cost']:,.0f}" in page
    assert f"the cost of {mail['cac']['value']:.2f}" in page
    # 40 buyers of one order of 12.00 each: what they brought is 12.00 at every age
    assert mail["earned"][0] == {"days": 0.0, "value": 12.0, "low": 12.0, "high": 12.0}
    assert {point["value"] for point in mail["earned"]} == {12.0}


def test_trust_says_what_the_run_holds_and_what_it_does_not(web, store):
    run_id = published.put(store, published.scores(5))
    bare = text(web, "/trust")
    assert "published without the card" in bare
    assert "published without the counts" in bare
    report = {
        "rows_in": 200, "rows_loaded": 150, "rows_rejected": 50, "rows_duplicate": 0,
        "first_event": "1997-01-01", "last_event": "1997-12-31",
        "rejected_by_reason": {"missing_customer": 50}, "flags": {},
        "rejected_examples": {"missing_customer": {"examples": ["Ann"]}},
    }  # fmt: skip
    data = data_of_report(report)
    evaluation = {
        "grade": "B", "grade_sentence": "Better.", "models": [], "calibration": [], "gains": [],
        "as_of": "1997-10-01T00:00:00Z", "until": "1998-01-01T00:00:00Z",
    }  # fmt: skip
    store_evidence(store.engine, run_id, {"card": {"evaluation": evaluation}, "data": data})
    page, answer = text(web, "/trust"), web.get("/v1/trust").json()
    assert answer["data"] == data
    assert "Ann" not in str(answer)
    assert "Grade B." in page
    assert "150 of 200 rows were loaded" in page
    assert "Refused: no customer 50 25%" in page


def test_every_reason_to_refuse_and_every_flag_has_words() -> None:
    words = texts_of()
    assert set(words["refused"]) == set(HINTS)
    assert set(words["flags"]) == set(FLAGS)


def test_views_and_totals_are_sums_of_the_scores(web, store):
    made = rows()
    published.put(store, published.table(made))
    mine = [row for row in made if row["play"] == "loyal_going_quiet"]
    totals = web.get("/v1/totals?play=loyal_going_quiet").json()
    assert totals["customers"] == len(mine)
    for name in ("value_at_risk", "clv", "value_gone"):
        assert totals[name] == pytest.approx(sum(row[name] or 0.0 for row in mine))
    view = next(v for v in web.get("/v1/views").json()["views"] if v["id"] == "loyal_going_quiet")
    stake = sum((row["value_at_risk"] or 0) + (row["value_gone"] or 0) for row in mine)
    assert (view["customers"], view["stake"]) == (len(mine), pytest.approx(stake))
    page = text(web, "/customers?play=loyal_going_quiet&band=high")
    assert f"Loyal, may leave {len(mine)}" in page
    assert "Churn risk: high" in page
    lost = sum(row["value_at_risk"] or 0 for row in mine if row["state"] == "active")
    assert view["value_at_risk"] == pytest.approx(lost)
    back = sum(row["value_gone"] * row["p_return"] for row in mine if row["state"] == "lapsed")
    assert view["win_back"] == pytest.approx(back)


def test_a_list_as_a_file_has_the_columns_of_the_page_in_words(web, store):
    published.put(store, published.table(rows()))
    asked = "column=stage&column=clv&column=churn_probability&sort=customer_id&limit=all"
    listed = list(csv.reader(io.StringIO(web.get(f"/v1/customers?format=csv&{asked}").text)))
    assert listed[0] == ["Customer", "Stage", "Churn risk", "Value in a year"]
    assert listed[1][0] == "'=HYPERLINK(1)"
    assert len(listed) == 82
    book = web.get(f"/v1/customers?format=xlsx&{asked}").content
    with ZipFile(io.BytesIO(book)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 82
    assert "<f>" not in sheet
    page = web.get("/customers?column=clv&column=stage").text
    assert re.findall(r'data-label="([^"]*)"', page)[:2] == ["Stage", "Value in a year"]
    assert web.get("/v1/customers?column=clv").status_code == 422
    assert web.get("/v1/customers?format=csv&column=clvv").status_code == 422


@pytest.mark.slow
def test_chosen_customers_stand_in_the_plan_that_is_made(web, store):
    published.put(store, published.scores(30))
    page = web.get("/plans/new?customer_id=c0001&customer_id=c0002&customer_id=c0001").text
    assert "Only the 2 customers" in page
    assert re.findall(r'name="customer_id" value="(\w+)" checked', page) == ["c0001", "c0002"]


def test_the_steps_of_a_risk_add_up_to_it() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        base, rest, *effects = rng.normal(0, 1.5, 5)
        score = {"risk_base": base, "risk_rest": rest, "reasons": [{"effect": e} for e in effects]}
        steps = risk_steps(score)
        odds = base + rest + sum(effects)
        assert steps[-1]["end"] == pytest.approx(1 / (1 + math.exp(-odds)))
        assert all(a["end"] == b["start"] for a, b in pairwise(steps))
    assert risk_steps({"risk_base": None, "reasons": [{"effect": 1.0}]}) == []


def test_the_usual_gap_is_that_of_the_reasons_and_not_of_a_first_order() -> None:
    own = {"code": "recency_days.own", "usual": 31.0}
    mean = {"code": "gap_mean.stage", "feature": "gap_mean", "value": 31.0, "usual": 50.0}
    assert usual_gap({"reasons": [own]}) == usual_gap({"reasons": [mean]}) == 31.0
    # the score says it, and then the reasons are not asked
    assert usual_gap({"usual_gap_days": 9.0, "reasons": [own]}) == 9.0
    assert usual_gap({"usual_gap_days": None, "reasons": [own]}) is None
    # the rule of the stage leans on the shop's gap, which is not the customer's own
    rule = "overdue_ratio 2.00 is above 1.70 (at_risk_ratio)"
    assert usual_gap({"stage_rule": rule, "recency_days": 100.0, "frequency": 3}) is None


def test_groups_too_small_to_tell_are_folded(web, store):
    run_id = published.put(store, published.scores(5))
    table = body()
    small = {"value": None, "low": None, "high": None, "too_few": True, "customers": 1, "needed": 9}
    unknown = {**table["groups"][0], "people": 1, "customers": 1, "earned": [], "payback": None}
    for name in ("cac", "first_order", "year", "clv", "ltv_to_cac", "lost"):
        unknown[name] = small if unknown[name] is not None else None
    for group in table["groups"]:
        group["first_order"] = {**small, "value": 5.0, "too_few": False}
    table["groups"] += [{**unknown, "first_seen_in": f"tiny {k}"} for k in range(5)]
    store_channels(store.engine, run_id, "channel", table)
    page = web.get("/channels").text
    above, folded = page.split("<details>", 1)
    assert "tiny" not in above
    assert all(f"tiny {k}" in folded for k in range(5))
    assert "5 more groups, too small to tell anything of them" in folded

"""The pages of plans: what a plan would be, the stored plan, the results."""

from __future__ import annotations

import json
import re
from html import unescape

import pyarrow as pa
import pytest
import sqlalchemy as sa

from stagecast.serving.scoring import score_schema
from stagecast.serving.store.plan_tables import plans
from stagecast.serving.store.tables import runs
from tests.serving import published
from tests.serving.web import Client

HOSTILE = published.HOSTILE_IDS


def text(page: str) -> str:
    """Return what a reader sees of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def stored(web: Client, plan: str = "autumn", **body: object) -> None:
    wanted = {"contacts": 20, **body, "name": plan}
    answer = web.post_text("/v1/plans", json.dumps(wanted))
    assert answer.status_code == 201, answer.text


def test_an_empty_store_says_how_to_publish(web: Client) -> None:
    assert web.get("/plans/new").status_code == 200
    assert "No plan was made yet." in text(web.get("/plans").text)
    assert "No plan was read out yet." in text(web.get("/results").text)


def test_the_numbers_of_a_plan_that_is_being_made_are_those_of_the_api(web, store) -> None:
    published.put(store, published.scores(300))
    page = text(
        web.get("/plans/new?contacts=20&contact_cost=1&keep_percent=10&holdout_percent=20").text
    )
    body = {
        "contacts": 20,
        "costs": {"contact": 1},
        "effects": {"keep": 0.1},
        "holdout": 0.2,
    }
    answer = web.post_text("/v1/plans", json.dumps(body)).json()
    assert f"{answer['contacts']['contacts']} customers are contacted" in page
    assert f"{answer['held_out']} are left alone at random" in page
    assert f"{answer['contacts']['gain']:,.0f} expected gain" in page
    assert all(note in page for note in answer["notes"])


def test_the_form_sends_the_same_plan_that_the_page_shows(web, store) -> None:
    published.put(store, published.scores(300))
    page = web.get("/plans/new?contacts=20&contact_cost=1&stage=loyal&stage=at_risk").text
    body = json.loads(unescape(re.search(r'data-api="/v1/plans" data-body="([^"]*)"', page)[1]))
    stored(web, "from-the-page", **body)
    plan = web.get("/v1/plans/from-the-page").json()
    assert plan["request"]["audience"]["stages"] == ["loyal", "at_risk"]
    assert plan["request"]["contacts"] == 20


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("budget=0.1&contact_cost=1", "does not pay one contact"),
        ("window_days=365", "longer than the horizon"),
        ("stage=royal", "There is no stage 'royal'"),
    ],
)
def test_what_cannot_be_planned_is_said_beside_the_form(web, store, query, problem) -> None:
    published.put(store, published.scores(300))
    answer = web.get(f"/plans/new?{query}")
    assert answer.status_code == 200
    assert problem in text(answer.text)
    assert "Store as a draft" not in text(answer.text)


def test_a_wrong_number_in_the_address_is_refused(web, store) -> None:
    published.put(store, published.scores(30))
    assert web.get("/plans/new?contacts=0").status_code == 422
    assert web.get("/plans/new?contact=5").status_code == 422


def test_a_draft_offers_to_freeze_and_a_frozen_plan_to_download(web, store) -> None:
    published.put(store, published.scores(300))
    stored(web)
    draft = text(web.get("/plans/autumn").text)
    assert "Freeze: draw and fix the list" in draft
    assert "Contacts (CSV)" not in draft
    assert web.post_text("/v1/plans/autumn/freeze", "{}").status_code == 200
    frozen = text(web.get("/plans/autumn").text)
    assert "Freeze: draw and fix the list" not in frozen
    assert "Contacts (CSV)" in frozen
    assert "Not read out yet" in frozen
    assert "to be read out after" in text(web.get("/plans").text)


def test_what_a_plan_brought_stands_on_its_page_and_among_the_results(web, store) -> None:
    published.put(store, published.scores(300))
    stored(web, contacts=40, holdout=0.5)
    web.post_text("/v1/plans/autumn/freeze", "{}")
    rows = web.get("/v1/plans/autumn/customers").json()["customers"]
    outcomes = [
        {"customer_id": row["customer_id"], "orders": k % 3, "spend": 10.0 * (k % 3)}
        for k, row in enumerate(rows)
    ]
    answer = web.post_text("/v1/plans/autumn/outcomes", json.dumps({"outcomes": outcomes}))
    assert answer.status_code == 200, answer.text
    verdict = answer.json()["verdict"]
    page = text(web.get("/plans/autumn").text)
    assert verdict["word"] in page
    assert verdict["sentence"] in page
    assert verdict["word"] in text(web.get("/results").text)


def test_a_superseded_draft_cannot_be_frozen_from_its_page(web, store) -> None:
    published.put(store, published.scores(300))
    stored(web)
    published.publish(store, published.scores(300))
    page = text(web.get("/plans/autumn").text)
    assert "Newer scores were published" in page
    assert "Freeze: draw and fix the list" not in page


def test_an_unknown_plan_is_a_404_that_names_those_there_are(web, store) -> None:
    published.put(store, published.scores(300))
    stored(web)
    answer = web.get("/plans/autumm", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "autumn" in text(answer.text)


def test_hostile_ids_and_owners_are_shown_as_text(web, store) -> None:
    published.put(store, published.scores(20, extra=list(HOSTILE)))
    stored(web, owner="<script>alert(1)</script>", audience={"customer_ids": list(HOSTILE)},
           holdout=0, contacts=None)  # fmt: skip
    web.post_text("/v1/plans/autumn/freeze", "{}")
    for path in ("/plans", "/plans/autumn", "/plans/new"):
        page = web.get(path).text
        assert "<script>alert" not in page, path


def test_a_customer_has_the_play_with_its_reasons_and_the_plans_so_far(web, store) -> None:
    rows = published.scores(60).to_pylist()
    for row in rows:
        row["play"] = "worth_winning_back" if row["state"] == "lapsed" else None
    schema = score_schema.schema(published.STAGES)
    published.put(store, pa.Table.from_pylist(rows, schema=schema))
    stored(web, audience={"plays": ["worth_winning_back"]}, contacts=None, holdout=0.3)
    web.post_text("/v1/plans/autumn/freeze", "{}")
    listed = web.get("/v1/plans/autumn/customers").json()["customers"]
    for arm, words in (("contact", "to be contacted"), ("holdout", "to be left alone, by lot")):
        customer = next(row for row in listed if row["arm"] == arm)
        answer = web.get(f"/v1/customers/{customer['customer_id']}").json()
        assert answer["play"]["id"] == "worth_winning_back"
        gone = next(r for r in rows if r["customer_id"] == customer["customer_id"])["value_gone"]
        assert answer["play"]["because"] == [
            "state: Lapsed",
            f"value gone {gone:,.0f} (among the highest 20 % of the buyers)",
        ]
        assert [(plan["name"], plan["arm"]) for plan in answer["plans"]] == [("autumn", arm)]
        page = text(web.get(f"/customers/{customer['customer_id']}").text)
        assert "Worth winning back" in page
        assert f"autumn : {words}, Frozen" in page


def test_a_list_too_short_for_the_usual_hold_out_is_planned_without_one(web, store) -> None:
    published.put(store, published.scores(12))
    page = text(web.get("/plans/new").text)
    assert "customers are contacted" in page
    assert "0 are left alone at random" in page
    assert "Nobody is held out, so that nothing can be shown" in page
    asked = text(web.get("/plans/new?holdout_percent=10").text)
    assert "held-out and the contacted must be at least 2" in asked
    body = json.loads(unescape(re.search(r'data-body="([^"]*)"', web.get("/plans/new").text)[1]))
    assert body["holdout"] == 0.0, "the form stores what the page shows"


@pytest.mark.parametrize(
    ("language", "nothing"),
    [
        ("en", "Everybody who may be contacted is on the list"),
        ("ru", "В список вошли все, с кем можно связаться"),
        ("fa", "همهٔ کسانی که می‌توان با آنها تماس گرفت"),
    ],
)
def test_a_plan_for_everybody_is_compared_with_no_other_choice(
    web, store, language, nothing
) -> None:
    published.put(store, published.scores(60))
    for held_out in (0, 30):
        asked = f"/plans/new?lang={language}&holdout_percent={held_out}"
        everybody = text(web.get(asked).text)
        assert nothing in everybody
        some = text(web.get(f"{asked}&contacts=20").text)
        assert nothing not in some
        if language == "en":
            assert "the highest risk first" in some
            assert "the highest risk first" not in everybody


def test_the_curve_of_a_plan_has_numbers_on_both_axes(web, store) -> None:
    published.put(store, published.scores(300))
    page = web.get("/plans/new?contacts=20&contact_cost=1").text
    scale = page.split('<g class="scale"')[1].split("</g>")[0]
    labels = re.findall(r">([^<]+)</text>", scale)
    curve = web.post_text(
        "/v1/plans", json.dumps({"contacts": 20, "costs": {"contact": 1}, "holdout": 0.1})
    ).json()["curve"]
    assert labels[0] == f"{curve['best']['gain']:,.0f}"
    assert labels[1] == "0"
    assert int(labels[3].replace(",", "")) <= curve["points"][-1]["contacts"]
    assert "contacts" in page.split("<figcaption>")[1]


def test_the_slider_says_of_each_length_of_the_list_what_the_api_expects(web, store) -> None:
    published.put(store, published.scores(300))
    page = web.get("/plans/new?contacts=20&contact_cost=1&holdout_percent=20").text
    slide = page.split('<div class="slide"')[1].split("</div>")[0]
    shown = json.loads(unescape(re.search(r"data-points='([^']*)'", slide)[1]))
    curve = web.post_text(
        "/v1/plans", json.dumps({"contacts": 20, "costs": {"contact": 1}, "holdout": 0.2})
    ).json()["curve"]
    gains = {point["contacts"]: point["gain"] for point in curve["points"]}
    assert len(shown) > 10
    for contacts, gain in shown:
        expected = gains[contacts]
        assert float(gain.replace(",", "").replace("−", "-")) == pytest.approx(expected, abs=0.51)
    assert 'data-share="0.8"' in page
    assert f'max="{shown[-1][0]}"' in slide


def test_plans_stand_in_groups_by_what_is_to_be_done_with_them(web, store) -> None:
    published.put(store, published.scores(600))
    for name in ("a-draft", "b-frozen", "c-cancelled", "d-sent", "e-closed"):
        stored(web, name)
    for name in ("b-frozen", "c-cancelled", "d-sent", "e-closed"):
        assert web.post_text(f"/v1/plans/{name}/freeze", "{}").status_code == 200
    assert web.post_text("/v1/plans/c-cancelled/cancel", "{}").status_code == 200
    with store.engine.begin() as connection:
        for name, state in (("d-sent", "sent"), ("e-closed", "closed")):
            of_plan = plans.c.name == name
            connection.execute(plans.update().where(of_plan).values(state=state))
    page = web.get("/plans").text
    states = {plan["name"]: plan["state"] for plan in web.get("/v1/plans").json()["plans"]}
    assert states == {name: name.split("-")[1] for name in states}
    parts = {
        text(f"<h2>{part}".split("</h2>")[0]): re.findall(r'href="/plans/(\w-\w+)"', part)
        for part in page.split("<h2>")[1:]
    }
    assert parts == {
        "Drafts · 1": ["a-draft"],
        "Running · 2": ["d-sent", "b-frozen"],
        "Over · 2": ["e-closed", "c-cancelled"],
    }


def test_a_group_without_plans_is_not_shown(web, store) -> None:
    published.put(store, published.scores(300))
    stored(web)
    assert re.findall(r"<h2>(\w+)", web.get("/plans").text) == ["Drafts"]


def test_chosen_customers_without_a_score_are_named(web: Client, store) -> None:
    published.put(store, published.scores(300))
    page = text(web.get("/plans/new?customer_id=c0001&customer_id=nobody&customer_id=c0002").text)
    assert "1 of the chosen customers has no score and is left out: nobody" in page
    assert "no score" not in text(web.get("/plans/new?customer_id=c0001").text)


def test_a_plan_of_contracts_speaks_of_contracts(web: Client, store) -> None:
    scores = published.scores(300)
    churn = pa.array(["cancellation"] * len(scores), scores.schema.field("churn").type)
    published.put(store, scores.set_column(scores.schema.get_field_index("churn"), "churn", churn))
    form = text(web.get("/plans/new?contacts=20").text)
    assert "Contracts count for so many days" in form
    assert "An offer is also paid to customers who would have stayed anyway." in form
    stored(web)
    assert "contracts count from 1998-01-01" in text(web.get("/plans/autumn").text)


def test_results_of_other_currencies_and_kinds_say_which_they_are_and_are_not_added(
    web, store
) -> None:
    def close(name: str) -> None:
        stored(web, name, contacts=40, holdout=0.5)
        web.post_text(f"/v1/plans/{name}/freeze", "{}")
        rows = web.get(f"/v1/plans/{name}/customers").json()["customers"]
        outcomes = [
            {"customer_id": row["customer_id"], "orders": k % 3, "spend": 1_000.0 * (k % 3)}
            for k, row in enumerate(rows)
        ]
        answer = web.post_text(f"/v1/plans/{name}/outcomes", json.dumps({"outcomes": outcomes}))
        assert answer.status_code == 200, answer.text

    published.put(store, published.scores(300))
    for name, code in (("pounds", "GBP"), ("euros", "EUR")):
        with store.engine.begin() as connection:
            connection.execute(runs.update().where(runs.c.id > 0).values(currency=code))
        close(name)
        with store.engine.begin() as connection:
            known = connection.execute(sa.select(plans.c.id).order_by(plans.c.id.desc())).scalar()
            if code == "GBP":
                # of scores that were published in pounds, when those of today are in euros
                old = dict(connection.execute(sa.select(runs)).mappings().first())
                connection.execute(runs.insert().values(old | {"id": 0}))
                connection.execute(plans.update().where(plans.c.id == known).values(run_id=0))
            else:
                proposal = connection.scalar(sa.select(plans.c.proposal).where(plans.c.id == known))
                connection.execute(
                    plans.update()
                    .where(plans.c.id == known)
                    .values(proposal=proposal | {"churn": "cancellation"})
                )
    page = text(web.get("/results").text)
    assert "Extra buyers / Customers kept or back" in page or (
        "Customers kept or back / Extra buyers" in page
    )
    pounds, euros = page[page.index("pounds") :], page[page.index("euros") :]
    assert "£" in pounds[:250]
    assert "€" in euros[:250]
    assert "1 closed plan left out: nothing to compare in them, or another kind of churn or" in page

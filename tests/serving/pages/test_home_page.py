"""The first page: its numbers are those of the scores, and what it asks for can be done."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from html import unescape
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from stagecast.serving.scoring import score_schema
from stagecast.serving.store.store import Store
from stagecast.serving.store.tables import runs
from tests.serving import published
from tests.serving.web import Client

EARLIER = published.AS_OF - timedelta(days=30)
PLAYS = ("loyal_going_quiet", "worth_winning_back", "let_go", None)


def rows(seed: int, as_of: Any = published.AS_OF, customers: int = 200) -> list[dict[str, Any]]:
    """Return scores with plays, and with a chance to return for the lapsed."""
    made = published.scores(customers, seed=seed, as_of=as_of).to_pylist()
    for k, row in enumerate(made):
        row["play"] = PLAYS[(k + seed) % len(PLAYS)]
    return made


def table(made: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(made, schema=score_schema.schema(published.STAGES))


def text(web: Client, path: str = "/") -> str:
    """Return what a reader sees of a page."""
    answer = web.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def test_without_scores_the_page_says_how_to_publish(web: Client) -> None:
    assert "publish" in text(web)


def test_the_totals_are_those_of_the_scores(web: Client, store: Store) -> None:
    made = rows(1)
    published.put(store, table(made))
    active = [row for row in made if row["state"] == "active"]
    lapsed = [row for row in made if row["state"] == "lapsed"]
    page = text(web)
    leavers = sum(row["churn_probability"] for row in active)
    at_risk = sum(row["value_at_risk"] for row in active)
    may_return = sum(row["value_gone"] * row["p_return"] for row in lapsed)
    gone = sum(row["value_gone"] for row in lapsed)
    assert f"{len(active):,} active customers" in page
    assert f"{round(leavers):,} of them are expected to place no order in the next 90 days" in page
    assert f"{at_risk:,.0f} is expected to be lost as active customers leave" in page
    assert f"{may_return:,.0f} may return from those who left, of {gone:,.0f} gone" in page
    assert "There is no earlier run to compare with" in page


def test_what_changed_is_counted_against_the_run_before(web: Client, store: Store) -> None:
    before, now = rows(1, EARLIER), rows(2)
    published.put(store, table(before), table(now))
    pairs = list(zip(before, now, strict=True))
    jumped = sum(
        b["churn_probability"] is not None
        and n["churn_probability"] is not None
        and n["churn_probability"] - b["churn_probability"] >= 0.1
        for b, n in pairs
    )
    returned = sum(b["state"] == "lapsed" and n["state"] == "active" for b, n in pairs)
    other = sum(b["stage"] != n["stage"] for b, n in pairs)
    page = text(web)
    assert f"{jumped} customers whose churn risk rose by ten points or more" in page
    assert f"{returned} customers who had left and came back" in page
    assert f"{other} customers on another stage" in page


def test_each_count_of_what_changed_opens_the_list_of_these_customers(
    web: Client, store: Store
) -> None:
    before, now = rows(1, EARLIER), rows(2)
    published.put(store, table(before), table(now))
    changes = {
        "jumped": lambda b, n: (
            None not in (b["churn_probability"], n["churn_probability"])
            and n["churn_probability"] - b["churn_probability"] >= 0.1
        ),
        "returned": lambda b, n: (b["state"], n["state"]) == ("lapsed", "active"),
        "other_stage": lambda b, n: b["stage"] != n["stage"],
    }
    home = web.get("/").text
    for name, holds in changes.items():
        wanted = {n["customer_id"] for b, n in zip(before, now, strict=True) if holds(b, n)}
        assert wanted, name
        assert f'href="/customers?changed={name}"' in home
        answer = web.get(f"/v1/customers?changed={name}&limit=1000").json()
        assert {score["customer_id"] for score in answer["customers"]} == wanted
        assert answer["total"] == len(wanted)
        listed = web.get(f"/customers?changed={name}&stage=loyal").text
        assert f'name="changed" value="{name}"' in listed, "the form of filters keeps it"
        assert "What changed: " in text(web, f"/customers?changed={name}")


def test_without_a_run_before_nobody_has_changed(web: Client, store: Store) -> None:
    published.put(store, table(rows(1)))
    assert web.get("/v1/customers?changed=jumped").json()["total"] == 0


def test_plays_that_ask_for_a_contact_stand_above_those_that_do_not(
    web: Client, store: Store
) -> None:
    made = rows(1)
    for row in made:
        row["value_gone"] = 1e6 if row["play"] == "let_go" else 1.0
    published.put(store, table(made))
    page = web.get("/").text
    contacts = page.index('href="/customers?play=loyal_going_quiet"')
    alone = page.index('href="/customers?play=let_go&amp;state=lapsed"')
    assert contacts < alone
    assert "no contact" in page[alone:].split("</tr>")[0]


def money_of_plays(made: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return play -> what is expected to be lost with the active, and what may return."""
    money: dict[str, tuple[float, float]] = {}
    for row in made:
        lost, back = money.get(row["play"], (0.0, 0.0))
        if row["state"] == "active":
            lost += row["value_at_risk"] or 0.0
        elif row["state"] == "lapsed":
            back += (row["value_gone"] or 0.0) * row["p_return"]
        money[row["play"]] = (lost, back)
    return money


def money_said(lost: float, back: float) -> str:
    """Return the two amounts in words, as the page says them."""
    said = [f"{lost:,.0f} expected to be lost"] if lost else []
    return " and ".join([*said, *([f"{back:,.0f} that may return"] if back else [])])


def test_the_first_sentence_names_the_play_with_most_money_and_leads_to_its_plan(
    web: Client, store: Store
) -> None:
    made = rows(1)
    published.put(store, table(made))
    number = Counter(row["play"] for row in made)
    asking = ("loyal_going_quiet", "worth_winning_back")
    money = {play: both for play, both in money_of_plays(made).items() if play in asking}
    play = max(money, key=lambda name: sum(money[name]))
    title = next(part.title["en"] for part in published.retail().plays if part.id == play)
    sentence = f"{number[play]} customers have the play “{title}”, with {money_said(*money[play])}:"
    assert sentence in text(web)
    page = web.get("/").text
    assert f'href="/plans/new?play={play}"' in page
    assert 'href="/plans/new?play=let_go"' not in page, "this play says to leave them alone"
    listed = text(web, f"/customers?play={play}")
    assert f"{number[play]} customers" in listed


def test_a_play_that_moves_next_to_nothing_is_not_what_today_is_for(
    web: Client, store: Store
) -> None:
    made = [row for row in rows(1) if row["play"] != "worth_winning_back"]
    for row in made:
        row["play"] = "let_go" if row["state"] == "lapsed" else None
    lapsed = [row for row in made if row["state"] == "lapsed"]
    lapsed[0] |= {"play": "worth_winning_back", "value_gone": 2.0, "p_return": 0.2}
    for row in lapsed[1:]:
        row["value_gone"] = 0.0
    published.put(store, table(made))
    at_risk = sum(row["value_at_risk"] or 0.0 for row in made if row["state"] == "active")
    said = text(web)
    assert "“Worth winning back”" not in said
    assert "No play that asks for a contact holds as much as 1% of the money" in said
    assert f"plan for the active, with whom {at_risk:,.0f} is expected to be lost" in said
    assert 'href="/plans/new?state=active"' in web.get("/").text
    assert "customers are contacted" in text(web, "/plans/new?state=active")


def test_where_no_play_fits_it_says_why_and_what_can_be_planned(web: Client, store: Store) -> None:
    made = rows(1)
    for row in made:
        row["play"] = None
    published.put(store, table(made))
    said = text(web)
    assert "nobody meets all that a play of the scheme asks for" in said
    assert "A plan needs no play: plan for the active." in said


def test_without_amounts_the_largest_play_is_listed_first(web: Client, store: Store) -> None:
    made = rows(1)
    for k, row in enumerate(made):
        row["play"] = "loyal_going_quiet" if k % 10 < 2 else "worth_winning_back"
        for name in ("value_at_risk", "value_gone", "clv", "clv_low", "clv_high"):
            row[name] = None
    published.put(store, table(made))
    listed = text(web)
    assert listed.index("Worth winning back 160") < listed.index("Loyal, may leave 40")


def test_the_list_can_be_filtered_by_play_over_the_api(web: Client, store: Store) -> None:
    made = rows(1)
    published.put(store, table(made))
    answer = web.get("/v1/customers?play=let_go&limit=1000").json()
    wanted = {row["customer_id"] for row in made if row["play"] == "let_go"}
    assert {row["customer_id"] for row in answer["customers"]} == wanted
    assert answer["total"] == len(wanted)


def test_the_grid_counts_the_active_by_risk_and_value(web: Client, store: Store) -> None:
    made = rows(1)
    published.put(store, table(made))
    overview = store.overview(store.current_run())
    counted = Counter(row["churn_band"] for row in made if row["churn_band"] is not None)
    for band, number in counted.items():
        assert sum(c["customers"] for c in overview["grid"] if c["band"] == band) == number
    of_active = [row["clv"] for row in made if row["churn_band"] is not None]
    top = sorted(of_active, reverse=True)[len(of_active) // 5]
    high = sum(row["clv"] > top and row["churn_band"] == "high" for row in made)
    cells = {(c["band"], c["value_class"]): c["customers"] for c in overview["grid"]}
    assert cells.get(("high", 0), 0) == high


def test_a_running_plan_stands_on_the_page_until_it_is_read_out(web: Client, store: Store) -> None:
    published.put(store, table(rows(1)))
    assert "No plan is running." in text(web)
    body = {"name": "autumn", "contacts": 20, "holdout": 0}
    assert web.post_text("/v1/plans", json.dumps(body)).status_code == 201
    assert web.post_text("/v1/plans/autumn/freeze", "{}").status_code == 200
    assert "autumn : to be read out after" in text(web)


def test_a_store_of_scores_without_plays_and_money_has_a_page(web: Client, store: Store) -> None:
    made = rows(1)
    for row in made:
        row["play"] = None
        for name in ("value_at_risk", "value_gone", "clv", "clv_low", "clv_high"):
            row[name] = None
    published.put(store, table(made))
    assert "Nobody has a play that asks for a contact today." in text(web)


@pytest.mark.slow
def test_without_money_the_play_of_most_customers_is_named(web: Client, store: Store) -> None:
    made = rows(1)
    for row in made:
        for name in ("value_at_risk", "value_gone", "clv", "clv_low", "clv_high"):
            row[name] = None
    published.put(store, table(made))
    page = text(web)
    assert re.search(r"\d+ customers have the play “[^”]+”: plan for them\.", page), page
    assert "expected to be lost: plan" not in page
    assert "may return: plan" not in page


def test_what_is_gone_for_good_puts_no_play_first(web: Client, store: Store) -> None:
    """Of a million that is gone, with one chance in a hundred to return, 10,000 may return."""
    made = rows(1)
    loyal = lapsed = 0
    for row in made:
        if row["state"] == "active":
            row.update(play="loyal_going_quiet", value_at_risk=1_000.0, value_gone=7.0)
            loyal += 1
        elif row["state"] == "lapsed":
            row.update(play="worth_winning_back", value_gone=20_000.0, p_return=0.01)
            row["value_at_risk"] = 3.0
            lapsed += 1
        else:
            row["play"] = None
    published.put(store, table(made))
    page = text(web)
    assert loyal * 1_000 > lapsed * 200 > 0
    assert loyal * 1_000 < lapsed * 20_000
    said = f"{loyal} customers have the play “Loyal, may leave”, with {loyal},000 expected"
    assert said in page, page[:700]
    of_play = {view["id"]: view for view in web.get("/v1/views").json()["views"]}
    won = of_play["worth_winning_back"]
    assert (won["value_at_risk"], won["win_back"]) == (None, pytest.approx(lapsed * 200.0))
    kept = of_play["loyal_going_quiet"]
    assert (kept["value_at_risk"], kept["win_back"]) == (pytest.approx(loyal * 1_000.0), None)
    assert [*of_play][:2] == ["loyal_going_quiet", "worth_winning_back"]


def test_an_overview_of_an_earlier_version_gets_the_money_of_its_plays(
    web: Client, store: Store
) -> None:
    made = rows(1)
    run_id = published.put(store, table(made))
    run = store.current_run()
    assert run is not None
    overview = store.overview(run)
    expected = overview["plays"]
    earlier = [
        {name: part[name] for name in ("play", "customers", "stake", "new")}
        for part in sorted(expected, key=lambda part: -part["stake"])
    ]
    with store.engine.begin() as connection:
        body = {**overview, "plays": earlier, "changed": {"jumped": 4}}
        connection.execute(runs.update().where(runs.c.id == run_id).values(overview=body))
    again = store.overview(run)
    assert again["plays"] == expected
    assert again["changed"] == {"jumped": 4}, "the rest stays as it was worked out"


def test_who_is_new_to_a_play_had_another_or_no_score_before(web: Client, store: Store) -> None:
    before, now = rows(1, EARLIER, customers=150), rows(2, customers=200)
    published.put(store, table(before), table(now))
    earlier = {row["customer_id"]: row["play"] for row in before}
    run = store.current_run()
    assert run is not None
    for part in store.overview(run)["plays"]:
        new = sum(
            row["play"] == part["play"] and earlier.get(row["customer_id"]) != part["play"]
            for row in now
        )
        assert part["new"] == new


def test_after_scores_without_plays_nobody_is_called_new(web: Client, store: Store) -> None:
    before = rows(1, EARLIER)
    for row in before:
        row["play"] = None
    published.put(store, table(before), table(rows(2)))
    assert "newly have the play" not in text(web)


def test_an_edited_ledger_is_told_on_the_page_and_hides_nothing_else(
    web: Client, store: Store
) -> None:
    published.put(store, table(rows(1)))
    with store.engine.begin() as connection:
        connection.execute(
            sa.text(
                "insert into settled (run_id, settled_at, body, previous_hash, hash) values "
                "(1, '2026-01-01 00:00:00.000000', '{}', 'x', 'y')"
            )
        )
    page = text(web)
    assert "Row 1 of the ledger of settled runs is not what was written" in page
    assert "active customers" in page

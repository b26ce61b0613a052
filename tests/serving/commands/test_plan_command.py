"""``stagecast plan``: the whole way of a plan, its files, its words, its refusals."""

from __future__ import annotations

import csv
import json
import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from stagecast.serving.commands.plan_lines import _without_contact
from stagecast.serving.store.store import Store
from tests.serving import published

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(stagecast, tmp_path, tmp_path_factory):
    """Return the command line beside a store with scores."""
    published.published_store(tmp_path_factory, tmp_path).close()
    return stagecast


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def as_json(said: Any) -> Any:
    assert said.code == 0, said.err
    return json.loads(said.out, parse_constant=no_constant)


def frozen(shop: Any, name: str = "autumn", *options: object) -> list[str]:
    """Freeze a plan, and return the ids of its customers in the order of their ranks."""
    options = options or ("--contacts", 60, "--holdout", "25%", "--contact-cost", 0.2)
    assert shop("plan", "--name", name, *options).code == 0
    assert shop("plan", "freeze", name).code == 0
    assert shop("plan", "export", name, "--out", f"{name}.all.csv", "--arm", "both").code == 0
    with Path(f"{name}.all.csv").open(encoding="utf-8", newline="") as file:
        return [row["customer_id"] for row in csv.DictReader(file)]


def test_a_plan_goes_all_its_way(shop, tmp_path):
    made = shop("plan", "--name", "autumn", "--contacts", 60, "--holdout", "25%")
    assert "Plan 'autumn', a draft" in made.out
    assert "drawn at random are left alone to compare with" in made.out
    assert "stagecast plan freeze autumn" in made.out
    assert "The list is fixed" in shop("plan", "freeze", "autumn").out
    assert "customers" in shop("plan", "export", "autumn", "--out", "a.csv").out
    assert (tmp_path / "a.csv").read_text("utf-8").startswith("customer_id,arm,rank")
    assert "noted as sent" in shop("plan", "sent", "autumn", "--at", "1998-01-02").out
    members = list(pd.read_csv(tmp_path / "a.csv")["customer_id"])
    pd.DataFrame({"customer_id": members[:20], "orders": 1, "spend": 12.5}).to_csv(
        "outcome.csv", index=False
    )
    read = shop("plan", "readout", "autumn", "--outcome", "outcome.csv")
    assert read.code == 0, read.err
    assert "the window is over" in read.out
    assert "autumn  closed" in shop("plan", "list").out


def test_a_plan_for_everybody_is_compared_with_no_other_choice(shop):
    everybody = shop("plan").out
    assert "everybody who may be contacted is on the list" in everybody
    assert "by risk alone" not in everybody
    some = shop("plan", "--contacts", 60).out
    assert "by risk alone" in some
    assert "everybody who may be contacted" not in some


def test_every_json_is_json(shop):
    as_json(shop("plan", "--json"))
    as_json(shop("plan", "--name", "autumn", "--contacts", 60, "--holdout", "25%", "--json"))
    frozen_plan = as_json(shop("plan", "freeze", "autumn", "--json"))
    assert frozen_plan["state"] == "frozen"
    assert as_json(shop("plan", "list", "--json"))[0]["name"] == "autumn"
    assert as_json(shop("plan", "show", "autumn", "--json"))["digest"] == frozen_plan["digest"]
    as_json(shop("plan", "export", "autumn", "--out", "a.xlsx", "--json"))
    as_json(shop("plan", "sent", "autumn", "--at", "1998-01-02", "--json"))
    pd.DataFrame({"customer_id": [], "orders": []}).to_csv("none.csv", index=False)
    none = shop("plan", "readout", "autumn", "--outcome", "none.csv")
    assert (none.code, "give one of its customers with 0 orders" in none.err) == (3, True)
    shop("plan", "export", "autumn", "--out", "a.csv")
    first = pd.read_csv("a.csv")["customer_id"][0]
    pd.DataFrame({"customer_id": [first], "orders": [0]}).to_csv("zero.csv", index=False)
    read = as_json(shop("plan", "readout", "autumn", "--outcome", "zero.csv", "--json"))
    assert read["closed"] is True
    together = shop("plan", "results")
    assert (together.code, "1 plan is closed, with nothing to compare" in together.err) == (4, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--effect", "1.5"), "effect of keeping is 1.5"),
        (("--effect", "much"), "--effect 'much' is no share"),
        (("--holdout", "100%"), "hold-out of 1 cannot be used"),
        (("--offer-cost", "x"), "neither money nor a share"),
        (("--offer-cost", "150%"), "more than the order"),
        (("--budget", "0.01", "--contact-cost", "1"), "does not pay one contact"),
        (("--window", "91d"), "longer than the horizon"),
        (("--quiet", "999999d"), "give 0 to 3,650"),
        (("--start", "2001-01-01"), "the scores tell of the time from 1998-01-01 to 1998-04-01"),
        (("--start", "soon"), "--start 'soon'"),
        (("--stage", "loyl"), "Did you mean 'loyal'"),
        (("--play", "nothing"), "there is no play 'nothing'"),
        (("--band", "huge"), "low, medium, high"),
        (("--stage", "loyal,"), "empty name"),
        (("--ids", "a,,b"), "an id of a customer is empty"),
        (("--min-value", "nan"), "least value is nan"),
        (("--name", "a/b"), "is no name of a plan"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_stored(shop, options, says):
    name = () if "--name" in options else ("--name", "autumn")
    refused = shop("plan", *name, *options)
    assert refused.code == 2
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert "No plan was made yet" in shop("plan", "list").out


def test_nobody_worth_it_is_said_in_words(shop):
    said = shop("plan", "--contact-cost", 10_000)
    assert said.code == 0
    assert "None of the 329 customers would be contacted:" in said.out
    assert "Nobody is worth a contact" in said.out
    assert "0 customers" not in said.out
    assert "--name" not in said.out


def test_a_filter_that_nobody_passes_is_said_in_words(shop):
    said = shop("plan", "--ids", "nobody")
    assert said.code == 0
    assert "No customer of the scores passes the filters" in said.out


def test_a_store_without_scores_says_how_to_publish(stagecast):
    said = stagecast("plan")
    assert said.code == 2
    assert "nothing is published yet; run: stagecast run EVENTS --out DIR --publish" in said.err


def test_a_list_is_never_written_over(shop, tmp_path):
    frozen(shop)
    before = (tmp_path / "autumn.all.csv").read_bytes()
    said = shop("plan", "export", "autumn", "--out", "autumn.all.csv")
    assert said.code == 2
    assert "exists; name another file" in said.err
    assert (tmp_path / "autumn.all.csv").read_bytes() == before
    assert shop("plan", "export", "autumn", "--out", "autumn.txt").code == 2


def load_profiles(shop: Any, rows: list[dict[str, Any]], file: str = "profiles.csv") -> Any:
    pd.DataFrame(rows).to_csv(file, index=False)
    return shop("plan", "profiles", file)


@pytest.mark.parametrize(
    ("preset", "head"),
    [
        ("klaviyo", ["Email", "First Name", "Last Name", "External ID"]),
        ("mailchimp", ["Email Address", "First Name", "Last Name", "Tags"]),
        ("meta", ["email", "extern_id", "country"]),
    ],
)
def test_each_tool_gets_its_columns_and_who_has_no_address_is_counted(shop, preset, head):
    ids = frozen(shop)
    reached = pd.read_csv("autumn.all.csv").query("arm == 'contact'")["customer_id"].tolist()
    profile = {
        "customer_id": reached[0],
        "name": "=cmd|' /C calc'!A0 O'Hara, \"Ann\"",
        "email": " Ann@Shop.example ",
        "contact_key": "ann@shop.example",
        "country": "DE",
    }
    assert load_profiles(shop, [profile]).code == 0
    said = shop("plan", "export", "autumn", "--out", "tool.csv", "--format", preset, "--json")
    assert as_json(said)["without_address"] == len(reached) - 1
    with Path("tool.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][: len(head)] == head
    assert len(rows) == 2
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in rows[1])
    assert ids


def test_a_sheet_holds_texts_and_no_formulas(shop):
    openpyxl = pytest.importorskip("openpyxl")
    ids = "=HYPERLINK(1),مشتری,пётр & co,🦊," + "quo\"te's?x=1#frag%2F"
    frozen(shop, "odd", "--ids", ids, "--holdout", 0)
    assert shop("plan", "export", "odd", "--out", "odd.xlsx").code == 0
    sheet = openpyxl.load_workbook("odd.xlsx").active
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert cells
    assert {cell.data_type for cell in cells} == {"s"}
    assert {cell.value for cell in cells} <= set(ids.split(","))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"customer_id": "a"}, {"customer_id": "a"}], "more than once"),
        ([{"customer_id": "a", "consent": "maybe"}], "write true or false"),
        ([{"id": "a"}], "has no column customer_id"),
        ([{"customer_id": " "}], "customer_id is empty"),
    ],
)
def test_profiles_that_cannot_be_used_store_nothing(shop, tmp_path, rows, says):
    said = load_profiles(shop, rows)
    assert said.code == 3
    assert says in said.err
    store = Store.open(f"sqlite:///{tmp_path / 'stagecast.db'}")
    assert store.erase("a") == 0
    store.close()


def test_profiles_and_contacts_leave_customers_out(shop):
    everybody = as_json(shop("plan", "--json"))["contacts"]["contacts"]
    first = frozen(shop, "first", "--contacts", 8, "--holdout", "25%")
    assert shop("plan", "cancel", "first").code == 0
    assert load_profiles(shop, [{"customer_id": first[0], "do_not_contact": "yes"}]).code == 0
    pd.DataFrame({"customer_id": [first[1]] * 2, "contacted_at": ["1997-12-30"] * 2}).to_csv(
        "contacts.csv", index=False
    )
    assert "Contacts stored: 1." in shop("plan", "contacts", "contacts.csv").out
    left_out = as_json(shop("plan", "--quiet", "7d", "--json"))["left_out"]
    assert (left_out["do_not_contact"], left_out["contacted_recently"]) == (1, 1)
    assert everybody
    bad = pd.DataFrame({"customer_id": ["a"], "contacted_at": ["soon"]})
    bad.to_csv("bad.csv", index=False)
    said = shop("plan", "contacts", "bad.csv")
    assert said.code == 3
    assert "write it like 2026-11-30T09:00:00Z" in said.err


def test_ids_keep_their_capitals(shop):
    said = shop("plan", "--play", "Nothing")
    assert "there is no play 'Nothing'" in said.err


def test_outcomes_that_cannot_be_used_leave_the_plan_open(shop):
    ids = frozen(shop)
    for rows, says in (
        ({"customer_id": [ids[0], ids[0]], "orders": [1, 1]}, "more than once"),
        ({"customer_id": ["nobody"], "orders": [1]}, "is not on the list of plan autumn"),
        ({"customer_id": [ids[0]], "orders": ["x"]}, "no number"),
        ({"customer_id": [ids[0]], "orders": [-2]}, "-2 orders"),
        ({"customer_id": [ids[0]]}, "has no column orders"),
    ):
        pd.DataFrame(rows).to_csv("outcome.csv", index=False)
        said = shop("plan", "readout", "autumn", "--outcome", "outcome.csv")
        assert said.code == 3, said.err
        assert says in said.err
    assert as_json(shop("plan", "show", "autumn", "--json"))["state"] == "frozen"


def test_a_plan_is_read_out_from_a_later_log_look_by_look(shop):
    frozen(shop)
    members = pd.read_csv("autumn.all.csv")
    before = pd.DataFrame({"customer_id": members["customer_id"], "timestamp": "1997-11-01"})
    # half of the contacted and a quarter of the others buy, some of them before the first look
    by_arm = {arm: list(part["customer_id"]) for arm, part in members.groupby("arm")}
    bought = by_arm["contact"][::2] + by_arm["holdout"][::4]
    days = ["1998-01-03", "1998-01-20"] * len(bought)
    after = pd.DataFrame({"customer_id": bought, "timestamp": days[: len(bought)]})
    # two were contacted by mistake, one of them twice, another after the window
    mistaken = [*by_arm["holdout"][:2], by_arm["holdout"][0], by_arm["contact"][0]]
    mails = pd.DataFrame({"customer_id": mistaken, "timestamp": "1998-01-05"})
    late = pd.DataFrame({"customer_id": [by_arm["holdout"][4]], "timestamp": ["1998-04-10"]})
    end = pd.DataFrame({"customer_id": ["other"], "timestamp": ["1998-05-01"]})
    orders = pd.concat([before, after, end]).assign(amount=20.0, event="purchase")
    contacts = pd.concat([mails, late]).assign(event="email_sent")
    pd.concat([orders, contacts]).to_csv("events.csv", index=False)
    open_window = shop("plan", "readout", "autumn", "events.csv", "--as-of", "1998-02-01")
    assert open_window.code == 0, open_window.err
    assert "the window is still open" in open_window.out
    assert as_json(shop("plan", "show", "autumn", "--json"))["state"] == "frozen"
    early = shop("plan", "readout", "autumn", "events.csv", "--as-of", "1998-01-03")
    assert early.code == 4
    assert "read out later" in early.err
    closed = as_json(shop("plan", "readout", "autumn", "events.csv", "--json"))
    assert closed["closed"] is True
    assert closed["buyers"]["comparison"]["plain"]["total"]["estimate"] > 0
    number = len(by_arm["holdout"])
    assert any(note.startswith(f"2 of the {number} customers") for note in closed["notes"])
    assert as_json(shop("plan", "show", "autumn", "--json"))["state"] == "closed"


def test_a_draft_and_a_cancelled_plan_are_not_read_out(shop):
    ids = frozen(shop)
    shop("plan", "cancel", "autumn")
    pd.DataFrame({"customer_id": ids[:1], "orders": [0]}).to_csv("one.csv", index=False)
    said = shop("plan", "readout", "autumn", "--outcome", "one.csv")
    assert said.code == 2
    assert "is cancelled; only a frozen plan can be read out" in said.err


def test_ids_without_a_score_are_named(shop):
    said = shop("plan", "--ids", "c0001,nobody,c0002", "--holdout", 0)
    assert "warning: 1 of 3 customers of --ids has no score and is left out: 'nobody'" in said.out
    made = as_json(shop("plan", "--ids", "c0001,x1,x2,x3,x4,x5,x6", "--holdout", 0, "--json"))
    assert made["warnings"] == [
        "6 of 7 customers of --ids have no score and are left out: 'x1', 'x2', 'x3', 'x4', 'x5', "
        "..."
    ]
    assert "warning" not in shop("plan", "--ids", "c0001,c0002", "--holdout", 0).out


def test_days_of_plans_are_those_of_the_shop(stagecast, tmp_path):
    tehran = datetime(1997, 12, 31, 20, 30, tzinfo=UTC)  # midnight there
    with closing(published.open_store(tmp_path)) as store:
        store.publish(
            published.scores(60, as_of=tehran),
            model_path="model",
            scheme=published.retail(),
            zone="Asia/Tehran",
        )
    said = [
        stagecast("plan", "--name", "autumn", "--holdout", "25%", "--contacts", 20).out,
        stagecast("plan", "show", "autumn").out,
        stagecast("plan", "freeze", "autumn").out,
        stagecast("plan", "list").out,
    ]
    assert "Scores of 1998-01-01, model" in said[0]
    for shown in said[1:3]:
        assert "Scores of 1998-01-01; orders count from 1998-01-01 to 1998-04-01." in shown
    assert "after 1998-04-01:" in said[2]
    assert "1998-01-01  1998-04-01" in said[3]
    sent = stagecast("plan", "sent", "autumn", "--at", "1998-01-02T00:00+03:30")
    assert "after 1998-04-01." in sent.out
    assert stagecast("plan", "export", "autumn", "--out", "a.csv").code == 0
    ids = pd.read_csv("a.csv")["customer_id"]
    pd.DataFrame({"customer_id": ids[:5], "orders": 1}).to_csv("outcome.csv", index=False)
    read = stagecast("plan", "readout", "autumn", "--outcome", "outcome.csv")
    assert "orders from 1998-01-01 to 1998-04-01" in read.out


def shop_of_contracts(tmp_path: Path) -> None:
    scores = published.scores(60)
    churn = pa.array(["cancellation"] * len(scores), scores.schema.field("churn").type)
    scores = scores.set_column(scores.schema.get_field_index("churn"), "churn", churn)
    published.open_store(tmp_path, scores).close()


def number_after(words: str, said: str) -> float:
    found = re.search(rf"{words} +(-?[\d,]+(?:\.\d+)?)", said)
    assert found, said
    return float(found[1].replace(",", ""))


def test_a_plan_of_contracts_speaks_of_contracts(stagecast, tmp_path):
    shop_of_contracts(tmp_path)
    made = ("--contacts", 10, "--holdout", "30%")
    said = stagecast("plan", "--name", "kept", *made, "--state", "active").out
    assert "contracts count for 90 days." in said
    assert "of the 10 with an open contract without a contact" in said
    assert "  would stay anyway  " in said
    assert " order" not in said
    assert "come back" not in said
    assert "\nCustomers kept: 4 of 14 held out" in said
    assert "contracts count from 1998-01-01" in stagecast("plan", "show", "kept").out
    said = stagecast("plan", "--name", "back", *made, "--state", "lapsed").out
    leave, stay = number_after("would not come back", said), number_after("would come back", said)
    assert "of the 10 former customers without a contact" in said
    assert leave + stay == pytest.approx(10, abs=0.11)
    assert not any(words in said for words in ("would cancel", "would stay", " order"))
    assert "\nCustomers back: 4 of 14 held out" in said


def test_a_plan_of_open_contracts_and_of_former_customers_counts_them_apart(stagecast, tmp_path):
    shop_of_contracts(tmp_path)
    said = stagecast("plan", "--holdout", 0, "--offer-cost", 0.01).out
    (of_open,) = re.findall(r"would cancel .* of the (\d+) with an open contract", said)
    (of_former,) = re.findall(r"would not come back .* of the (\d+) former customers", said)
    words = ("would cancel", "would stay anyway", "would not come back", "would come back")
    leave, stay, away, back = (number_after(part, said) for part in words)
    assert leave + stay == pytest.approx(int(of_open), abs=0.11)
    assert away + back == pytest.approx(int(of_former), abs=0.11)
    assert f"Of 60 customers {int(of_open) + int(of_former)} would be contacted" in said
    assert "are paid to who would stay or come back anyway" in said


def test_a_plan_of_an_earlier_version_does_not_say_that_former_customers_cancel():
    contacts = {"contacts": 2, "leavers": 1.5, "stayers": 0.5, "paid_to_stayers": 0.0}
    forecast = {"churn": "cancellation", "contacts": contacts}
    first, second = _without_contact(forecast, 18)
    assert first.startswith("  would cancel or stay away 1.5 of them without a contact")
    assert second.split() == ["would", "be", "customers", "0.5"]


def test_what_is_printed_of_the_money_explains_the_gain(shop):
    said = shop("plan", "--holdout", 0, "--effect", "10%", "--win-back-effect", "4%").out
    gross = float(re.search(r"\(([\d,.]+) saved and won back", said)[1].replace(",", ""))
    saved = number_after("contacts save", said)
    back = number_after("contacts bring back", said)
    assert saved + back == pytest.approx(gross, abs=0.02)
    assert saved == pytest.approx(0.10 * number_after("value at risk", said), abs=0.02)
    # of a few, who are expected to order with a chance below it, less is brought back
    most = 0.04 * number_after("value gone", said)
    assert 0.98 * most < back <= most + 0.02
    assert "of the value gone, without a contact" in said
    said = shop("plan", "--holdout", 0, "--worth", 40).out
    assert "  worth              40.00, what the gain counts of a customer" in said
    assert "contacts save" not in said
    assert "value gone " not in said


def test_results_of_plans_of_contracts_speak_of_who_is_kept_or_back(stagecast, tmp_path):
    shop_of_contracts(tmp_path)
    for name, state, words in (
        ("kept", "active", "customers kept"),
        ("back", "lapsed", "customers back"),
    ):
        ids = frozen(stagecast, name, "--contacts", 10, "--holdout", "30%", "--state", state)
        outcomes = pd.DataFrame({"customer_id": ids, "orders": [1, 0] * (len(ids) // 2)})
        outcomes.to_csv("outcome.csv", index=False)
        read = stagecast("plan", "readout", name, "--outcome", "outcome.csv")
        assert f"\n  {words}    " in read.out
        assert f"extra {words} per contacted customer" in read.out
        assert f"The log has no amounts: {words} are judged" in read.out
        assert "buyers" not in read.out
        if name == "kept":
            assert "\n  customers kept    " in stagecast("plan", "results").out
    said = stagecast("plan", "results").out
    assert "\n  customers kept or back " in said
    assert "of such plans, customers kept or back: " in said
    assert "buyers" not in said


def test_one_customer_is_one(shop):
    said = shop("plan", "--ids", "c0001", "--holdout", 0).out
    assert "Of 1 customer 1 would be contacted." in said
    nobody = shop("plan", "--ids", "c0001", "--holdout", 0, "--contact-cost", 10_000).out
    assert "The 1 customer would not be contacted:" in nobody

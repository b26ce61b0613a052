"""The six jobs of a marketer, on scores of a log: few clicks, and what is said is in the log."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from stagecast.features.events import ReadOptions, from_frame
from stagecast.serving.runs.publishing import publish
from stagecast.serving.scoring.batch import score_table
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.book import PlanBook
from tests.browser import person as jobs
from tests.browser.conftest import serving
from tests.browser.person import Person
from tests.serving.web import app_with
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, frame_of, simulated_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
DAYS = 730
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """The log that the model of ``shop`` has learned from, with channels."""
    frame = frame_of(simulated_rows(1_200, DAYS, seed=1))
    in_search = frame["customer_id"].str[-1].isin(list("012"))
    frame["channel"] = in_search.map({True: "search", False: "mail"})
    return frame


@pytest.fixture(scope="module")
def store(
    shop: Trained,  # noqa: F811
    log: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Store]:
    """Two weekly publications; nobody has ordered in the week between."""
    folder, bundle = tmp_path_factory.mktemp("weeks"), shop.reloaded()
    settings = Settings(store=f"sqlite:///{folder / 'stagecast.db'}")
    with from_frame(log, ReadOptions(duplicates="keep")) as events:
        for as_of in (shop.as_of, shop.as_of + WEEK):
            scores = score_table(events, Scorer(bundle), as_of)
            publish(settings, scores, shop.folder, bundle, events, as_of)
    opened = Store.open(settings.store)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def address(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(app_with(tmp_path_factory.mktemp("server"), store=store)) as made:
        yield made


@pytest.fixture
def person(browser: Browser, address: str) -> Iterator[Person]:
    context = browser.new_context(base_url=address, accept_downloads=True)
    yield Person(context.new_page())
    context.close()


def published(store: Store) -> pd.DataFrame:
    """Return the scores of the current run, the most at risk first."""
    run = store.current_run()
    assert run is not None
    with store.engine.connect() as connection:
        made = pd.read_sql(f"select * from scores where run_id = {run.id}", connection)
    return made.sort_values(["value_at_risk", "customer_id"], ascending=[False, True])


def test_a_play_is_ranked_and_downloaded_with_a_hold_out(
    person: Person, store: Store, tmp_path: Path
) -> None:
    scores = published(store)
    scores["win_back"] = scores["win_back"].fillna(0.0)
    of_play = scores.query("play == 'worth_winning_back'").sort_values(
        ["win_back", "customer_id"], ascending=[False, True]
    )
    assert len(of_play) > 10
    person.start()
    person.click("link", "Worth winning back")
    listed = person.page.locator(".ranked tbody th a").all_inner_texts()
    assert listed == of_play["customer_id"].tolist()[: len(listed)], "by what may return"
    walked = Person(person.page)
    jobs.rank_and_download(walked, "Worth winning back", tmp_path)
    with (tmp_path / "contacts.csv").open(encoding="utf-8", newline="") as file:
        contacts = [row["customer_id"] for row in csv.DictReader(file)]
    members = {row["customer_id"]: row["arm"] for row in PlanBook(store.engine).members("quiet")}
    held_out = {name for name, arm in members.items() if arm == "holdout"}
    assert set(contacts) == set(members) - held_out
    assert len(contacts) == len(set(contacts))
    assert len(held_out) == pytest.approx(0.2 * len(members), abs=1)
    assert set(members) <= set(of_play["customer_id"])
    assert (walked.clicks, walked.typed) == (6, 3)


def test_what_is_said_of_the_first_stands_in_the_log(
    person: Person, store: Store, log: pd.DataFrame
) -> None:
    said = jobs.explain_the_first(person)
    assert person.clicks == 2
    first = published(store).iloc[0]["customer_id"]
    assert said.split("\n")[1] == first or first in said.split("\n")[:3]
    own = log[log["customer_id"] == first]
    days = own.loc[own["event"] == "purchase", "timestamp"].dt.floor("D")
    as_of = pd.Timestamp(store.current_run().as_of).tz_localize(None)
    silence = round((as_of - own.loc[own["event"] == "purchase", "timestamp"].max()).days)
    number = days.nunique()
    ordered = "Has ordered once" if number == 1 else f"Has ordered on {number} days"
    assert ordered in said
    ago = re.search(r"the last order was ([\d,]+) days? ago", said)
    assert ago is not None
    assert abs(int(ago[1].replace(",", "")) - silence) <= 1
    for count in re.findall(r"(\d+) orders so far", said):
        assert int(count) == number
    for silent in re.findall(r"no order for ([\d,]+) days?", said, flags=re.IGNORECASE):
        assert abs(int(silent.replace(",", "")) - silence) <= 1
    assert "because" in said.lower()


def test_whom_not_to_contact_is_one_click_away(person: Person, store: Store) -> None:
    said = jobs.whom_not_to_contact(person)
    assert person.clicks == 1
    play = re.sub(r".*play=(\w+).*", r"\1", person.pages[-1])
    assert play in ("leave_alone", "let_go")
    number = int((published(store)["play"] == play).sum())
    assert f"{number:,} customers" in said


def test_what_changed_since_last_week_is_one_click_away(person: Person, store: Store) -> None:
    said = jobs.what_changed(person)
    assert person.clicks == 1
    run = store.current_run()
    with store.engine.connect() as connection:
        both = pd.read_sql("select run_id, customer_id, stage from scores", connection)
    stages = both.pivot(index="customer_id", columns="run_id", values="stage").dropna()
    moved = stages[stages[run.id] != stages.drop(columns=run.id).iloc[:, 0]].index
    assert len(moved) > 5
    assert f"{len(moved)} customers" in said
    listed = set(person.page.locator(".ranked tbody th a").all_inner_texts())
    assert listed <= set(moved)
    person.press(person.page.locator(".ranked tbody th a").first)
    assert "What changed since" in person.reads()
    assert "moved from" in person.reads()


def test_a_plan_is_read_out_by_its_words(person: Person, store: Store, address: str) -> None:
    def send(path: str, body: object) -> None:
        answer = person.page.request.post(f"{address}{path}", data=body)
        assert answer.ok, answer.text()

    person.start()
    audience = {"states": ["lapsed"]}
    send("/v1/plans", {"name": "spring", "audience": audience, "contacts": 100, "holdout": 0.5})
    send("/v1/plans/spring/freeze", {})
    members = list(PlanBook(store.engine).members("spring"))
    outcomes = [
        # nine of ten contacted order, and one of ten of those left alone
        {
            "customer_id": row["customer_id"],
            "orders": int((k % 10 == 0) != (row["arm"] == "contact")),
        }
        for k, row in enumerate(members)
    ]
    for row in outcomes:
        row["spend"] = 30.0 * row["orders"]
    send("/v1/plans/spring/outcomes", {"outcomes": outcomes})
    walked = Person(person.page)
    said = jobs.read_out(walked, "spring")
    assert walked.clicks == 2
    assert "Proven" in said
    extra = sum(row["orders"] * (1 if m["arm"] == "contact" else -1)
                for row, m in zip(outcomes, members, strict=True))  # fmt: skip
    assert extra > 50
    assert "The contact brought more" in said


def test_channels_are_compared_on_one_page(person: Person, log: pd.DataFrame) -> None:
    said = jobs.compare_channels(person)
    assert person.clicks == 1
    people = log.groupby("channel")["customer_id"].nunique()
    buyers = log[log["event"] == "purchase"].groupby("channel")["customer_id"].nunique()
    for channel in ("search", "mail"):
        row = person.page.get_by_role("row", name=re.compile(f"^{channel}")).first.inner_text()
        assert re.split(r"\s+", row)[1:3] == [f"{people[channel]:,}", f"{buyers[channel]:,}"], said

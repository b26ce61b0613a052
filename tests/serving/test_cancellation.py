"""Churn by cancellation from the command line to the page: options, files, the score of a
request, what pages say.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.features.clock import iso
from stagecast.features.events import from_frame
from stagecast.serving.http.app import create_app
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.settings import Settings
from stagecast.serving.settled.settle import settle_due
from stagecast.serving.store.store import Store
from tests.serving.calling import Said, Stagecast, call, call_in
from tests.serving.web import client
from tests.training.made import day
from tests.training.made_contracts import DAYS, subscriptions

pytestmark = pytest.mark.slow
RENAMED = {"subscribe": "joined", "cancel": "left", "purchase": "purchase", "visit": "visit"}
TERMS = ("--churn", "cancellation", "--contract-start", "Joined", "--contract-end", "left")
AS_OF = iso(day(DAYS))
HORIZON_DAYS = 150  # four past dates: each costs a fit of the customer-base models
HORIZON = f"{HORIZON_DAYS}d"


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    rows = [
        {"customer_id": who, "timestamp": at.isoformat(), "event": RENAMED[what], "amount": amount}
        for who, at, what, amount in subscriptions(250)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def home(events: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log, a run of it, published."""
    folder = tmp_path_factory.mktemp("service")
    events.to_csv(folder / "events.csv", index=False)
    arguments = (
        "run",
        "events.csv",
        *TERMS,
        "--horizon",
        HORIZON,
        "--as-of",
        AS_OF,
        "--out",
        "out",
        "--publish",
    )
    (folder / "said.txt").write_text(call_in(folder, *arguments, "--no-track"))
    return folder


def test_the_report_and_the_card_say_what_churn_is(home: Path) -> None:
    page = (home / "out" / "report.html").read_text("utf-8")
    for words in (
        "likely to cancel in the next",
        "Kaplan-Meier by age",
        "will cancel in the next",
        "Regression on hazards",
    ):
        assert words in page, words
    result = (home / "said.txt").read_text()
    assert "P(cancelled), trained before" in result
    assert "of them cancelled" in result
    card = json.loads((home / "out" / "model" / "card.json").read_text())
    assert {"ages", "glm", "trees"} >= set(card["blend"]["weights"])
    assert card["blend"]["dates"]
    assert all(
        0 <= date["inactive"] <= 1 and date["customers"] > 0 for date in card["blend"]["dates"]
    )


def test_a_request_is_scored_by_its_contract(home: Path, events: pd.DataFrame) -> None:
    scores = pd.read_parquet(home / "out" / "scores.parquet").set_index("customer_id")
    active_ids = scores[scores["state"] == "active"].index[:20]
    asked = [
        {
            "customer_id": who,
            "events": [
                {k: v for k, v in row.items() if k != "customer_id" and v == v}
                for row in events[events["customer_id"] == who].to_dict("records")
            ],
        }
        for who in active_ids
    ]
    settings = Settings(store=f"sqlite:///{home / 'stagecast.db'}", model=home / "out" / "model")
    with client(create_app(settings, scorer_loader=load_scorer)) as api:
        answer = api.post("/v1/score", json={"as_of": AS_OF, "customers": asked})
        assert answer.status_code == 200, answer.text
        actual = {item["customer_id"]: item for item in answer.json()["scores"]}
        p = [actual[who]["churn_probability"] for who in active_ids]
        np.testing.assert_allclose(p, scores.loc[active_ids, "churn_probability"], rtol=1e-9)
        assert {item["churn"] for item in actual.values()} == {"cancellation"}
        # the silence of a member means nothing, and the list leaves the column out
        assert {item["usual_gap_days"] for item in actual.values()} == {None}
        assert {item["days_overdue"] for item in actual.values()} == {None}
        page = api.get("/customers", headers={"accept": "text/html"})
        assert "sort=-churn_probability" in page.text
        assert "days_overdue" not in page.text.split("<thead>")[1].split("</thead>")[0]
        model = api.get("/v1/model").json()
        assert (model["churn"], model["method"]) == ("cancellation", "blend")
        page = api.get(f"/customers/{active_ids[0]}", headers={"accept": "text/html"})
        assert "the contract is cancelled within 150 days" in page.text


@pytest.mark.usefixtures("few_draws")
def test_a_backtest_is_of_open_contracts(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    arguments = (
        "backtest",
        "events.csv",
        *TERMS,
        "--horizon",
        HORIZON,
        "--as-of",
        AS_OF,
        "--out",
        "bt",
        "--dates",
        1,
    )
    result = call(capsys, monkeypatch, *arguments, "--no-track")
    assert result.code == 0, result.err
    assert "Cox regression" in result.out
    page = (home / "bt" / "backtest.html").read_text("utf-8")
    assert "held against who cancelled" in page
    assert "How much is spent" not in page


def test_what_cannot_be_is_said(home: Path, stagecast: Stagecast) -> None:
    log = home / "events.csv"
    wrong = stagecast("train", log, "--churn", "cancellation", "--out", "model", "--no-track")
    assert wrong.code == 4
    assert "--contract-end" in wrong.err
    both = stagecast(
        "train", log, *TERMS, "--contract-renewal", "left", "--out", "model", "--no-track"
    )
    assert both.code == 2
    assert "'left' cannot both begin and cancel" in both.err
    idle = stagecast("train", log, "--contract-end", "left", "--out", "model", "--no-track")
    assert idle.code == 2
    assert "--contract-end tells of contracts: it needs --churn cancellation" in idle.err
    other = stagecast("train", log, "--churn", "silence", "--out", "model", "--no-track")
    assert other.code == 2
    Path("stagecast.toml").write_text(
        'churn = "cancellation"\ncontract-end = ["left", "joined"]\ncontract-start = ["joined"]\n'
    )
    from_file = stagecast("train", log, "--out", "model", "--no-track")
    assert from_file.code == 2
    assert "'joined' cannot both" in from_file.err
    # one text stands for a list of one
    Path("stagecast.toml").write_text(
        'churn = "cancellation"\ncontract-end = "joined"\ncontract-start = "joined"'
    )
    assert "'joined' cannot both" in stagecast("train", log, "--out", "model", "--no-track").err


def test_a_plan_about_contracts_goes_all_its_way(
    home: Path,
    events: pd.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what is shared is not changed: plans and ledger go to a copy
    shutil.copy(home / "stagecast.db", tmp_path)
    monkeypatch.chdir(tmp_path)

    def plan(*arguments: object) -> Said:
        result = call(capsys, monkeypatch, "plan", *arguments)
        assert result.code == 0, result.err
        return result

    plan("--name", "stay", "--state", "active", "--holdout", "40%", "--effect", "50%")
    plan("freeze", "stay")
    plan("export", "stay", "--arm", "both", "--out", "list.csv")
    plan("sent", "stay", "--at", AS_OF)
    members = pd.read_csv("list.csv").set_index("customer_id")["arm"]
    assert members.value_counts().min() >= 20
    # all who were left alone cancel on the fifth day; who was contacted stays, and pays
    later = [
        {"customer_id": who, "timestamp": day(DAYS + 5).isoformat(), "event": "left"}
        if arm == "holdout"
        else {
            "customer_id": who,
            "timestamp": day(DAYS + 10).isoformat(),
            "event": "purchase",
            "amount": 20.0,
        }
        for who, arm in members.items()
    ]
    settled = day(DAYS + HORIZON_DAYS + 1)
    end = {"customer_id": "c0009", "timestamp": settled.isoformat(), "event": "visit"}
    pd.concat([events, pd.DataFrame([*later, end])]).to_csv("later.csv", index=False)
    body = json.loads(plan("readout", "stay", "later.csv", "--json").out)
    adjusted = body["buyers"]["comparison"]["adjusted"]["per_customer"]
    assert adjusted["estimate"] == pytest.approx(1.0)
    assert body["verdict"]["word"] == "Proven"
    money = body["money"]["comparison"]["adjusted"]["per_customer"]
    assert money["estimate"] == pytest.approx(20.0)

    store = Store.open(f"sqlite:///{tmp_path / 'stagecast.db'}")
    with from_frame(pd.read_csv("later.csv")) as log:
        (entry,) = settle_due(store.engine, log, settled)
    store.close()
    active = entry.result["active"]
    assert active["left"] == (members == "holdout").sum()

"""Attributes that were known from the start, from the command line to a score: what models learn
from them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.engines.larger_than_memory import run_fingerprint
from stagecast.features.events import CustomersTable, read_events
from stagecast.serving.scoring.batch import score_log, snapshot
from stagecast.serving.scoring.scorer import load_scorer
from tests.serving import web
from tests.serving.calling import Stagecast, call, call_in
from tests.serving.scoring.test_batch_parts import alike
from tests.training.made import day, unevaluated

pytestmark = pytest.mark.slow
DAYS, CUSTOMERS = 420, 700
COMES_BACK = {"pro": 0.9, "free": 0.2}
CONFIGURED = """
[catalog.on_pro]
meaning = "came on a paid plan"
unit = "flag"
from = "customer"
function = "is"
column = "plan"
values = ["pro", "team"]

[catalog.first_cost]
meaning = "what the first contact cost"
unit = "money"
from = "customer"
function = "value"
column = "acquisition_cost"
"""


def sold(seed: int = 7) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return events and customers: who bought comes back with the chance of their plan, about 25
    days later.
    """
    draw = np.random.default_rng(seed)
    rows, people = [], []
    for k in range(CUSTOMERS):
        name, plan = f"c{k:04d}", ["pro", "free"][k % 2]
        at = float(draw.uniform(0, 0.98 * DAYS))
        while at < DAYS:
            rows.append((name, day(at).isoformat(), round(float(draw.gamma(4.0, 5.0)), 2)))
            if draw.random() > COMES_BACK[plan]:
                break
            at += 1.0 + float(draw.exponential(25.0))
        # of some nothing is told
        if k % 50:
            people.append((name, plan, round(float(draw.gamma(2.0, 3.0)), 2) if k % 7 else None))
    people.append(("nobody", "team", 1.0))
    return (
        pd.DataFrame(rows, columns=["customer_id", "timestamp", "amount"]),
        pd.DataFrame(people, columns=["customer_id", "plan", "acquisition_cost"]),
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, a table of customers, a configuration and a finished run."""
    folder = tmp_path_factory.mktemp("attributes")
    events, people = sold()
    events.to_csv(folder / "shop.csv", index=False)
    people.to_csv(folder / "people.csv", index=False)
    (folder / "stagecast.toml").write_text(CONFIGURED, "utf-8")
    return folder


PEOPLE = (
    "--customers",
    "people.csv",
    "--known-at-start",
    "plan",
    "--known-at-start",
    "acquisition_cost",
)
TRAINED = ("--horizon", "110d", "--no-track")  # four past dates


@pytest.fixture(scope="module")
def finished(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with unevaluated():
        call_in(shop, "run", "shop.csv", *PEOPLE, *TRAINED, "--out", "out")
    return shop


@pytest.fixture
def there(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Stagecast:
    """Call the command line from the folder of the finished run."""
    monkeypatch.chdir(finished)
    return lambda *args: call(capsys, monkeypatch, *args)


def asked(
    finished: Path, names: list[str], attributes: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the body of a request for customers of the log at the as_of of the run."""
    report = pq.read_table(finished / "out" / "scores.parquet", columns=["as_of"])["as_of"][
        0
    ].as_py()
    events = pd.read_csv(finished / "shop.csv").groupby("customer_id")
    return {
        "as_of": report.isoformat(),
        "customers": [
            {
                "customer_id": name,
                "events": events.get_group(name)[["timestamp", "amount"]].to_dict("records"),
                "attributes": attributes.get(name, {}),
            }
            for name in names
        ],
    }


def posted(finished: Path, body: dict[str, Any]) -> list[dict[str, Any]]:
    scorer = load_scorer(finished / "out" / "model")
    with web.client(web.app_with(finished, scorer=scorer)) as client:
        answer = client.post("/v1/score", json=body)
    assert answer.status_code == 200, answer.text
    scores: list[dict[str, Any]] = answer.json()["scores"]
    return scores


def test_the_models_learn_who_comes_back_from_the_plan(finished: Path) -> None:
    scores = pq.read_table(finished / "out" / "scores.parquet").to_pandas().set_index("customer_id")
    assert "nobody" not in scores.index
    people = pd.read_csv(finished / "people.csv").set_index("customer_id")
    # whose events say the same
    young = scores[(scores["orders"] == 1) & (scores["recency_days"] < 40)].join(people)
    leaves = young.groupby("plan")["p_inactive"].mean()
    assert len(young) > 30
    assert leaves["pro"] + 0.15 < leaves["free"]
    remaining = json.loads((finished / "out" / "model" / "models.json").read_text())
    named = {feature["name"]: feature for feature in remaining["catalog"]["features"]}
    assert named["on_pro"]["values"] == ["pro", "team"]
    assert named["first_cost"]["column"] == "acquisition_cost"
    assert "on_pro" in (finished / "out" / "model" / "churn.lightgbm.txt").read_text()


def test_the_same_events_with_another_plan_have_another_chance(finished: Path) -> None:
    events = pd.read_csv(finished / "shop.csv")
    counts = events.groupby("customer_id").size()
    recent = events.groupby("customer_id")["timestamp"].max().sort_values().index[::-1]
    names = [str(name) for name in recent if counts[name] == 1][:10]
    pro, free, none = (
        posted(finished, asked(finished, names, dict.fromkeys(names, report)))
        for report in ({"plan": "team"}, {"plan": "free"}, {})
    )
    for a, b, c in zip(pro, free, none, strict=True):
        assert a["p_inactive"] < b["p_inactive"]
        assert 0 < c["p_inactive"] < 1


def test_a_request_has_the_score_of_the_batch(finished: Path) -> None:
    people = pd.read_csv(finished / "people.csv").set_index("customer_id")
    batch = pq.read_table(finished / "out" / "scores.parquet").to_pandas().set_index("customer_id")
    names = [str(name) for name in batch.index[:120]]
    report = {
        name: {k: v for k, v in people.loc[name].items() if v == v}
        for name in names
        if name in people.index
    }
    assert {"c0000", "c0050"} & set(names) - set(report), "of some nothing is told"
    for score in posted(finished, asked(finished, names, report)):
        row = batch.loc[score["customer_id"]]
        for column in ("p_inactive", "expected_orders", "expected_spend", "clv"):
            np.testing.assert_allclose(score[column], row[column], rtol=1e-9, err_msg=column)


def test_scoring_needs_the_table_again(finished: Path, there: Stagecast, tmp_path: Path) -> None:
    score = ("score", "shop.csv", "--model", "out/model", "--out", tmp_path / "s.parquet")
    result = there(*score, "--customers", "people.csv")
    assert result.code == 0, result.err
    alike(pq.read_table(tmp_path / "s.parquet"), pq.read_table("out/scores.parquet"))
    without = there(*score)
    assert without.code == 2
    assert (
        "feature 'on_pro' asks for 'plan' of the customer: name the table of customers"
        in without.err
    )
    Path("others.csv").write_text("customer_id,plann\nc0001,pro\n", "utf-8")
    other = there(*score, "--customers", "others.csv")
    assert other.code == 2
    assert (
        "'plan', which is no column of the table of customers; it has plann. Did you mean 'plann'?"
        in other.err
    )


def test_parts_are_the_whole(finished: Path, tmp_path: Path) -> None:
    scorer = load_scorer(finished / "out" / "model", threads=0)
    table = CustomersTable(str(finished / "people.csv"))
    with read_events(finished / "shop.csv", customers=table) as log:
        as_of = log.choose_as_of()
        whole = scorer.score(*snapshot(log, scorer.bundle, as_of))
        score_log(log, scorer, as_of, tmp_path / "scores.parquet", 100)
    alike(pq.read_table(tmp_path / "scores.parquet"), whole)


def test_parts_made_with_another_table_of_customers_are_not_gone_on_with(
    finished: Path, tmp_path: Path
) -> None:
    people = pd.read_csv(finished / "people.csv")
    people.assign(plan=people["plan"].str.upper()).to_csv(tmp_path / "people.csv", index=False)
    runs = []
    for table in (finished / "people.csv", finished / "people.csv", tmp_path / "people.csv", None):
        known = None if table is None else CustomersTable(str(table))
        with read_events(finished / "shop.csv", customers=known) as log:
            runs.append(run_fingerprint(log, log.choose_as_of()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2] != runs[3] != runs[0]


def test_features_are_written_with_attributes(there: Stagecast, tmp_path: Path) -> None:
    result = there("features", "shop.csv", *PEOPLE, "--out", tmp_path / "f.parquet")
    assert result.code == 0, result.err
    actual = pq.read_table(tmp_path / "f.parquet").to_pandas().set_index("customer_id")
    people = pd.read_csv("people.csv").set_index("customer_id")["plan"].reindex(actual.index)
    want = people.map({"pro": 1.0, "free": 0.0}).astype(float)
    np.testing.assert_array_equal(actual["on_pro"], want)
    assert actual["on_pro"].isna().any()


@pytest.mark.parametrize("command", ["features", "train", "run", "backtest"])
def test_what_was_not_declared_is_not_used(there: Stagecast, tmp_path: Path, command: str) -> None:
    trained = () if command == "features" else ("--horizon", "60d")
    out = tmp_path / ("f.parquet" if command == "features" else "out")
    result = there(command, "shop.csv", "--customers", "people.csv", *trained, "--out", out)
    assert result.code == 2
    assert (
        "feature 'on_pro' asks for 'plan' of the customer, which is not declared as "
        "known from the start"
    ) in result.err
    assert "declare it with --known-at-start plan" in result.err
    assert not out.exists()


def test_a_declared_column_that_is_not_there_is_named(there: Stagecast, tmp_path: Path) -> None:
    result = there(
        "features",
        "shop.csv",
        "--customers",
        "people.csv",
        "--known-at-start",
        "plam",
        "--out",
        tmp_path / "f.parquet",
    )
    assert (result.code, "Did you mean 'plan'?" in result.err) == (2, True), result.err


def test_the_catalogue_shows_them(there: Stagecast) -> None:
    result = there("features", "--list")
    assert "is(customer.plan) one of pro, team" in " ".join(result.out.split())
    listed = {item["name"]: item for item in json.loads(there("features", "--list", "--json").out)}
    assert listed["on_pro"]["values"] == ["pro", "team"]
    assert listed["first_cost"]["function"] == "value"


def test_the_sql_that_is_shown_runs(there: Stagecast) -> None:
    queries = json.loads(there("features", "--explain-sql", "--json").out)
    assert list(queries)[-2:] == ["told", "features"]
    assert (
        "`plan`"
        in json.loads(there("features", "--explain-sql", "--engine", "spark", "--json").out)["told"]
    )
    with read_events("shop.csv", customers=CustomersTable("people.csv")) as log:
        log.con.execute("create view known_events as select * from events")
        log.con.execute(
            "create view known_at_start as select attributes.* replace (ids.rowid as customer_id)"
            " from attributes join ids using (customer_id)"
        )
        for name, query in queries.items():
            log.con.execute(f"create table {'shown' if name == 'features' else name} as {query}")
        actual = log.con.execute("select count(on_pro), count(first_cost) from shown").fetchall()
    assert actual[0][0] > actual[0][1] > 500


def test_a_declared_number_is_for_features_and_not_for_leads(
    there: Stagecast, tmp_path: Path
) -> None:
    stages = ("stages", "shop.csv", *PEOPLE, "--stages", "crm5", "--out", tmp_path / "s.csv")
    result = there(*stages)
    assert result.code == 0, result.err
    (tmp_path / "none.toml").write_text("", "utf-8")
    leads = ("leads", "shop.csv", *PEOPLE, "--out", tmp_path / "leads.csv")
    for command in (stages, leads):
        alone = there(*command, "--config", tmp_path / "none.toml")
        assert alone.code == 2
        assert (
            "'acquisition_cost', which is a number, and no feature of the catalogue asks for it"
            in alone.err
        )

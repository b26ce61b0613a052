"""The command line as programs call it: what it writes, what it prints, and how it fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.events import read_events
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving import pipeline
from stagecast.serving.runs.files import OF_A_RUN
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.training.config import TrainConfig
from tests.serving.calling import Stagecast
from tests.training.made import simulated_rows

# the command as the installed script starts it, in a process of its own
INSTALLED = (sys.executable, "-c", "from stagecast.serving.cli import main; main()")
AS_OF = "2021-11-01"
STAGES = load_scheme("retail").ids


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two years whose last weeks stand after the as_of, under other column names."""
    rows = pd.DataFrame(simulated_rows(900, 700, 11), columns=["who", "at", "what", "paid"])
    path = tmp_path_factory.mktemp("log") / "shop.csv"
    rows.assign(at=[at.isoformat() for at in rows["at"]]).to_csv(path, index=False)
    return path


MAPPED = ("--customer", "who", "--time", "at", "--event", "what", "--amount", "paid")


@pytest.fixture(scope="module")
def finished(log_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run, published to the store beside it."""
    home = tmp_path_factory.mktemp("home")
    out = subprocess.run(
        [
            *(*INSTALLED, "run", str(log_file), *MAPPED),
            *("--as-of", AS_OF, "--horizon", "60d", "--out", "out", "--publish", "--no-track"),
        ],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert out.returncode == 0, out.stderr
    (home / "stdout.txt").write_text(out.stdout)
    (home / "stderr.txt").write_text(out.stderr)
    return home


def test_a_run_leaves_the_files_of_the_contract(finished: Path) -> None:
    assert sorted(p.name for p in (finished / "out").iterdir()) == sorted(OF_A_RUN)
    report = json.loads((finished / "out" / "data-report.json").read_text())
    assert (
        report["rows_in"]
        == report["rows_loaded"] + report["rows_rejected"] + report["rows_duplicate"]
    )
    assert {"customers", "first_event", "last_event", "rejected_by_reason"} <= set(report)
    assert "<html" in (finished / "out" / "report.html").read_text("utf-8")


def test_scores_have_the_columns_types_and_sums_of_the_contract(finished: Path) -> None:
    scores = pq.read_table(finished / "out" / "scores.parquet")
    assert scores.schema.equals(score_schema.schema(STAGES))
    stages = np.column_stack([scores[f"p_stage_{s}"].to_numpy() for s in STAGES])
    assert np.abs(stages.sum(axis=1) - 1).max() < 1e-12
    rows = scores.to_pandas()
    assert set(rows["state"]) == {"prospect", "active", "lapsed"}
    assert (rows["p_inactive"].isna() == (rows["state"] == "prospect")).all()
    assert (rows["churn_probability"].notna() == (rows["state"] == "active")).all()
    assert (rows["p_return"].notna() == (rows["state"] == "lapsed")).all()
    assert (rows["p_convert"].notna() == (rows["state"] == "prospect")).all()
    assert rows["value_at_risk"].notna().equals(rows["churn_probability"].notna())
    assert (rows["reasons"].str.len() <= 3).all()
    assert (rows["stage_since"] < pd.Timestamp(AS_OF, tz="UTC")).all()
    assert rows["customer_id"].is_monotonic_increasing


def test_a_run_says_what_it_read_how_good_it_is_whom_to_look_at_and_where_next(
    finished: Path,
) -> None:
    out, err = (finished / "stdout.txt").read_text(), (finished / "stderr.txt").read_text()
    for words in (
        "rows read",
        "refused",
        "at_risk",
        "recency rule",
        "BG/NBD",
        "logistic regression",
        "report.html",
    ):
        assert words in out
    assert "stagecast serve" in out
    assert "models" in err


def test_scoring_twice_gives_the_same_bytes_and_what_the_run_gave(
    finished: Path, log_file: Path, stagecast: Stagecast, tmp_path: Path
) -> None:
    model = finished / "out" / "model"
    for name in ("a.parquet", "b.parquet"):
        said = stagecast(
            "score", log_file, *MAPPED, "--as-of", AS_OF, "--model", model, "--out", name
        )
        assert said.code == 0, said.err
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()
    assert pq.read_table("a.parquet").equals(pq.read_table(finished / "out" / "scores.parquet"))


def test_events_from_the_as_of_on_change_no_score(
    finished: Path, log_file: Path, stagecast: Stagecast, tmp_path: Path
) -> None:
    rows = pd.read_csv(log_file)
    past = rows[pd.to_datetime(rows["at"], format="ISO8601") < pd.Timestamp(AS_OF, tz="UTC")]
    assert 0 < len(past) < len(rows)
    past.to_csv("past.csv", index=False)
    options = ("--as-of", AS_OF, "--horizon", "60d", "--out", "out", "--no-track")
    said = stagecast("run", "past.csv", *MAPPED, *options)
    assert said.code == 0, said.err
    theirs = finished / "out" / "scores.parquet"
    assert Path("out/scores.parquet").read_bytes() == theirs.read_bytes()


def test_a_customer_gets_the_same_score_in_a_request_as_in_a_batch(
    finished: Path, log_file: Path
) -> None:
    scores = pq.read_table(finished / "out" / "scores.parquet").to_pandas().set_index("customer_id")
    events = pd.read_csv(log_file)
    chosen = scores.index[:: max(1, len(scores) // 60)]
    customers = [
        CustomerEvents(
            who,
            tuple(
                Event(datetime.fromisoformat(e.at), e.what, None if np.isnan(e.paid) else e.paid)
                for e in events[events["who"] == who].itertuples()
            ),
        )
        for who in chosen
    ]
    scorer = load_scorer(finished / "out" / "model")
    online = (
        scorer.score_customers(customers, datetime(2021, 11, 1, tzinfo=UTC))
        .to_pandas()
        .set_index("customer_id")
    )
    assert online.index.tolist() == chosen.tolist()
    for column in online.columns.drop(["data_cutoff", "reasons"]):
        ours, theirs = online[column], scores.loc[chosen, column]
        if pd.api.types.is_float_dtype(ours):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=column)
        else:
            assert ours.equals(theirs), column
    for mine, other in zip(online["reasons"], scores.loc[chosen, "reasons"], strict=True):
        assert [r["sentence"] for r in mine] == [r["sentence"] for r in other]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def server(finished: Path) -> Iterator[str]:
    """A real `stagecast serve`, on the store and the model of the run."""
    port = free_port()
    process = subprocess.Popen(
        [*INSTALLED, "serve", "--port", str(port)],
        cwd=finished,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            if process.poll() is not None:
                raise AssertionError(process.communicate()[0])
            try:
                if httpx.get(f"{address}/livez", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.25)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_the_server_is_ready_with_the_model_that_made_the_published_scores(
    server: str, finished: Path
) -> None:
    assert httpx.get(f"{server}/readyz").status_code == 200
    card = httpx.get(f"{server}/v1/model").json()
    manifest = json.loads((finished / "out" / "model" / "manifest.json").read_text())
    assert card["model_version"] == manifest["model_version"]


def test_the_ranked_list_is_that_of_the_file(server: str, finished: Path) -> None:
    rows = pq.read_table(finished / "out" / "scores.parquet").to_pandas()
    expected = rows.sort_values(["value_at_risk", "customer_id"], ascending=[False, True])[
        "customer_id"
    ].head(20)
    answer = httpx.get(f"{server}/v1/customers", params={"limit": 20}).json()
    assert [c["customer_id"] for c in answer["customers"]] == expected.tolist()
    one = httpx.get(f"{server}/v1/customers/{expected.iloc[0]}").json()["score"]
    row = rows.set_index("customer_id").loc[expected.iloc[0]]
    assert one["p_inactive"] == row["p_inactive"]
    assert one["next_stage"] == {s: row[f"p_stage_{s}"] for s in STAGES}
    assert "at risk" in httpx.get(f"{server}/").text.lower()
    assert "/v1/score" in httpx.get(f"{server}/docs").text


def test_raw_events_are_scored_over_http(server: str) -> None:
    body = {
        "as_of": AS_OF,
        "customers": [
            {
                "customer_id": "a",
                "attributes": {},
                "events": [{"timestamp": "2021-06-01T00:00:00Z", "amount": 10.0}],
            },
            {"customer_id": "b", "events": [{"timestamp": "2021-10-01", "event": "visit"}]},
        ],
    }
    answer = httpx.post(f"{server}/v1/score", json=body)
    assert answer.status_code == 200, answer.text
    buyer, prospect = answer.json()["scores"]
    assert buyer["state"] != "prospect"
    assert 0 < buyer["p_inactive"] < 1
    assert abs(sum(buyer["next_stage"].values()) - 1) < 1e-12
    assert prospect["state"] == "prospect"
    assert prospect["p_inactive"] is None
    assert 0 < prospect["p_convert"] < 1


def test_other_addresses_are_refused_without_keys(stagecast: Stagecast) -> None:
    said = stagecast("serve", "--host", "0.0.0.0")
    assert said.code == 2
    assert "STAGECAST_API_KEYS" in said.err


SMALL = "customer_id,timestamp,amount\na,2024-01-01,1\na,2024-02-01,2\nb,2024-02-03,5\n"
BAD = [
    ("", (), 3, "empty"),
    ("customer_id,timestamp\n", (), 3, "no rows"),
    (
        "cust,when,total\na,2024-01-01,1\n",
        (),
        3,
        "It has: cust, when, total. Name the right one with --customer COL",
    ),
    ("customer_id,when\na,2024-01-01\n", (), 3, "--time COL"),
    ("customer_id,timestamp,amount\na,xx,1\nb,01/02/2025,1\n", (), 3, "line 2"),
    (SMALL, ("--as-of", "2020-01-01"), 2, "does not stand after the first event (2024-01-01)"),
    (SMALL, ("--as-of", "2030-01-01"), 2, "days after the last event (2024-02-03)"),
    (SMALL, ("--as-of", "yesterday"), 2, "not an ISO 8601 date"),
    (SMALL, ("--horizon", "900d"), 2, "longer than the history: 34"),
    (SMALL, ("--horizon", "3mo"), 2, "no fixed length"),
    (SMALL, ("--horizon", "0d"), 2, "below one day"),
    (SMALL, ("--horizon", "20d", "--stages", "retial"), 2, "Did you mean 'retail'?"),
    (SMALL, ("--horizon", "20d", "--margin", "7"), 2, "margin = 7.0 must be"),
    (SMALL, ("--amount", "amount + price"), 3, "price"),
    (SMALL, ("--amount", "system('x')"), 2, "system"),
    (
        "customer_id,timestamp,event\na,2024-01-01,visit\nb,2024-02-20,visit\n",
        ("--horizon", "20d"),
        4,
        "nobody",
    ),
]


@pytest.mark.parametrize(("text", "options", "code", "words"), BAD)
def test_bad_input_is_a_clear_error_and_leaves_nothing(
    stagecast: Stagecast, text: str, options: tuple[str, ...], code: int, words: str
) -> None:
    Path("log.csv").write_text(text)
    said = stagecast("run", "log.csv", "--out", "out", "--no-track", *options)
    assert (said.code, words in said.err) == (code, True), said.err
    assert "Traceback" not in said.err
    assert sorted(p.name for p in Path().iterdir()) == ["log.csv"]


def test_a_few_customers_get_the_rule_and_are_told_so(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    said = stagecast("run", "log.csv", "--out", "out", "--no-track", "--horizon", "20d")
    assert said.code == 0, said.err
    rows = pq.read_table("out/scores.parquet").to_pandas()
    assert set(rows["method"]) == {"rule"}
    assert rows["low_data"].all()
    assert rows["p_inactive"].between(0.01, 0.99).all()
    assert "method: rule" in said.out


def test_an_output_folder_with_another_run_is_refused_without_force(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    run = ("run", "log.csv", "--out", "out", "--no-track", "--horizon", "20d")
    assert stagecast(*run).code == 0
    before = Path("out/scores.parquet").read_bytes()
    refused = stagecast(*run)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert stagecast(*run, "--force").code == 0
    assert Path("out/scores.parquet").read_bytes() == before
    Path("out/thesis.txt").write_text("mine")
    kept = stagecast(*run, "--force")
    assert (kept.code, "thesis.txt" in kept.err) == (2, True)
    assert Path("out/thesis.txt").read_text() == "mine"


def test_an_interrupted_run_leaves_nothing_and_the_former_run_stands(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(SMALL)
    config = TrainConfig(horizon_days=20)
    out = tmp_path / "out"

    def stop_at(step: str) -> Callable[[str], None]:
        def say(name: str) -> None:
            if name == step:
                raise KeyboardInterrupt

        return say

    with read_events(tmp_path / "log.csv") as log:
        pipeline.run(log, out, config)
        before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
        for step in ("models", "scores and reasons", "report"):
            with pytest.raises(KeyboardInterrupt):
                pipeline.run(log, out, config, force=True, say=stop_at(step))
            assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before
            assert sorted(p.name for p in tmp_path.iterdir()) == ["log.csv", "out"]


def test_every_option_can_stand_in_the_file(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(
        "who,at,n,each\na,2024-01-01,2,1.5\na,2024-02-01,1,2\nb,2024-02-03,1,5\n"
    )
    Path("stagecast.toml").write_text(
        'customer = "who"\ntime = "at"\namount = "n * each"\nhorizon = "20d"\ntrack = '
        'false\n[run]\nout = "there"\n'
    )
    said = stagecast("run", "log.csv", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["horizon_days"] == 20
    assert pq.read_table("there/scores.parquet")["spend"].to_pylist() == [5.0, 5.0]
    Path("other.toml").write_text('custommer = "who"\n')
    wrong = stagecast("check", "log.csv", "--config", "other.toml")
    assert (wrong.code, "Did you mean 'customer'?" in wrong.err) == (2, True)


def test_a_slip_in_ones_own_features_names_the_file_that_it_stands_in(stagecast: Stagecast) -> None:
    Path("log.csv").write_text("customer_id,timestamp\na,2024-01-01\n")
    Path("other.toml").write_text('[catalog.calls]\ncolour = "red"\n')
    wrong = stagecast("features", "log.csv", "--out", "f.parquet", "--config", "other.toml")
    assert wrong.code == 2
    assert "other.toml" in wrong.err
    assert "colour" in wrong.err
    assert "stagecast.toml" not in wrong.err


def test_category_and_discount_are_mapped_and_named_in_the_report(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(
        "customer_id,timestamp,amount,group,rebate\na,2024-01-01,9,Tea,1\na,2024-01-02,8,Tea,2%\n"
    )
    mapped = ("--category", "group", "--discount-amount", "rebate")
    report = json.loads(stagecast("check", "log.csv", *mapped, "--json").out)
    assert (report["columns"]["category"], report["columns"]["discount"]) == ("group", "rebate")
    assert report["rejected_by_reason"] == {"unreadable_discount": 1}


def test_the_yearly_discount_and_a_column_of_discounts_are_two_options(
    stagecast: Stagecast,
) -> None:
    Path("log.csv").write_text(SMALL)
    Path("own.toml").write_text('discount = 11\ndiscount-amount = "NULL"\n')
    said = stagecast("train", "log.csv", "--out", "model", "--config", "own.toml")
    assert (said.code, "annual_discount = 11" in said.err) == (2, True)


def test_check_tells_what_is_refused_and_writes_it(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL + ",2024-02-04,1\nc,2024-13-01,1\n")
    said = stagecast("check", "log.csv", "--out", "checked", "--json")
    report = json.loads(said.out)
    assert report["rejected_by_reason"] == {"missing_customer": 1, "unreadable_time": 1}
    assert pq.read_table("checked/rejected.parquet")["line"].to_pylist() == [5, 6]
    assert "line 6" in stagecast("check", "log.csv").out


def test_stages_are_written_as_csv_and_parquet(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    for name in ("stages.csv", "stages.parquet"):
        assert stagecast("stages", "log.csv", "--out", name).code == 0
    found = pq.read_table("stages.parquet").to_pandas()
    assert found.columns.tolist() == ["customer_id", "stage", "stage_since", "stage_rule"]
    assert (
        pd.read_csv("stages.csv")["stage"].tolist() == found["stage"].tolist() == ["repeat", "new"]
    )
    assert stagecast("stages", "log.csv", "--out", "stages.xlsx").code == 2


def test_a_model_is_not_asked_about_a_day_before_its_training(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    assert (
        stagecast("train", "log.csv", "--out", "model", "--no-track", "--horizon", "20d").code == 0
    )
    early = stagecast(
        "score", "log.csv", "--model", "model", "--out", "s.csv", "--as-of", "2024-02-02"
    )
    assert (early.code, "learned from what came after" in early.err) == (2, True)
    assert (
        stagecast("train", "log.csv", "--out", "model", "--no-track", "--horizon", "20d").code == 2
    )
    assert not Path("s.csv").exists()


def test_a_training_is_tracked_registered_and_scored_by_alias(
    finished: Path, tmp_path: Path, log_file: Path
) -> None:
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    (tmp_path / "log.csv").write_text(SMALL)

    def stagecast(*args: str) -> str:
        done = subprocess.run(
            [*INSTALLED, *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    trained = json.loads(
        stagecast(
            "train", "log.csv", "--horizon", "20d", "--out", "m", "--register", "shop", "--json"
        )
    )
    assert (tmp_path / "mlflow.db").is_file()
    scored = json.loads(
        stagecast(
            "score", "log.csv", "--model", "models:/shop@challenger", "--out", "s.parquet", "--json"
        )
    )
    assert scored["model_version"] == trained["model_version"]


def test_features_are_listed_with_unit_and_meaning(stagecast: Stagecast) -> None:
    listed = {
        feature["name"]: feature for feature in json.loads(stagecast("features", "--json").out)
    }
    assert listed["recency_days"]["unit"] == "days"
    assert "overdue_ratio" in stagecast("features").out

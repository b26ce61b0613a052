"""One run from the command line to the server: the files, the scores, what is printed, and what
is answered over HTTP.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.runs.files import OF_A_RUN
from stagecast.serving.runs.timelines import MOST_DAYS
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.store.store import Store
from stagecast.serving.store.timelines import past_of_customer
from tests.serving.calling import Stagecast
from tests.training.made import simulated_rows
from tests.waiting import LIMIT_SECONDS, free_port, lives, wait_for

pytestmark = pytest.mark.slow
# the command as the installed script starts it, in a process of its own
INSTALLED = (sys.executable, "-c", "from stagecast.serving.cli import main; main()")
AS_OF = "2020-11-26"
# three past dates: each costs a fit of the customer-base models, and a log of two years has eight
HORIZON = "140d"
STAGES = load_scheme("retail").ids


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a year whose last weeks stand after the as_of, under other column names."""
    rows = pd.DataFrame(simulated_rows(400, 360, 11), columns=["who", "at", "what", "paid"])
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
            *("--as-of", AS_OF, "--horizon", HORIZON, "--out", "out", "--publish", "--no-track"),
        ],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
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
    for part in ("value_at_risk", "value_gone", "value_if_kept"):
        assert rows[part].notna().equals(rows["orders"] > 0)
    assert (rows["reasons"].str.len() <= 5).all()
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


def test_the_store_has_the_last_events_of_everybody_who_is_scored_and_none_of_later(
    finished: Path, log_file: Path
) -> None:
    scores = pq.read_table(finished / "out" / "scores.parquet")
    store = Store.open(f"sqlite:///{finished / 'stagecast.db'}")
    log = pd.read_csv(log_file, parse_dates=["at"])
    assert (log["at"] >= AS_OF).any()  # of which the store must not know
    before = log[log["at"] < AS_OF].assign(day=lambda rows: rows["at"].dt.date.astype(str))
    counts = before.groupby(["who", "day", "what"]).size()
    for customer_id in scores["customer_id"].to_pylist():
        past = past_of_customer(store.engine, 1, customer_id)
        assert past is not None
        days = sorted(set(counts[customer_id].index.get_level_values("day")), reverse=True)
        assert sorted({each.day for each in past.events}, reverse=True) == days[:MOST_DAYS]
        assert past.days_left_out == max(len(days) - MOST_DAYS, 0)
        for each in past.events:
            assert counts[customer_id, each.day, each.event] == each.count
    store.close()


def test_scoring_twice_gives_the_same_bytes_and_what_the_run_gave(
    finished: Path, log_file: Path, stagecast: Stagecast, tmp_path: Path
) -> None:
    model = finished / "out" / "model"
    for name in ("a.parquet", "b.parquet"):
        result = stagecast(
            "score", log_file, *MAPPED, "--as-of", AS_OF, "--model", model, "--out", name
        )
        assert result.code == 0, result.err
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()
    assert pq.read_table("a.parquet").equals(pq.read_table(finished / "out" / "scores.parquet"))


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
    scorer = load_scorer(str(finished / "out" / "model"))
    online = (
        scorer.score_customers(customers, datetime(2020, 11, 26, tzinfo=UTC))
        .to_pandas()
        .set_index("customer_id")
    )
    assert online.index.tolist() == chosen.tolist()
    for column in online.columns.drop(["data_cutoff", "reasons"]):
        ours, theirs = online[column], scores.loc[chosen, column]
        if pd.api.types.is_float_dtype(ours):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=column)
        elif column == "clv_by_year":
            assert ours.isna().equals(theirs.isna())
            np.testing.assert_allclose(
                np.stack(ours.dropna()), np.stack(theirs.dropna()), rtol=1e-9, atol=1e-12
            )
        else:
            assert ours.equals(theirs), column
    for mine, other in zip(online["reasons"], scores.loc[chosen, "reasons"], strict=True):
        assert [r["sentence"] for r in mine] == [r["sentence"] for r in other]


@pytest.fixture(scope="module")
def server(finished: Path) -> Iterator[httpx.Client]:
    """A client of a real `stagecast serve`, on the store and the model of the run."""
    address = f"http://127.0.0.1:{free_port()}"
    printed = finished / "serve.txt"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [*INSTALLED, "serve", "--port", address.rpartition(":")[2]],
            cwd=finished,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: lives(address), process, printed)
        with httpx.Client(
            base_url=address,
            timeout=LIMIT_SECONDS,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),  # the server ends idle ones
        ) as client:
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT_SECONDS)


def test_the_server_is_ready_with_the_model_that_made_the_published_scores(
    server: httpx.Client, finished: Path
) -> None:
    assert server.get("/readyz").status_code == 200
    card = server.get("/v1/model").json()
    manifest = json.loads((finished / "out" / "model" / "manifest.json").read_text())
    assert card["model_version"] == manifest["model_version"]


def test_the_ranked_list_is_that_of_the_file(server: httpx.Client, finished: Path) -> None:
    rows = pq.read_table(finished / "out" / "scores.parquet").to_pandas()
    expected = rows.sort_values(["value_at_risk", "customer_id"], ascending=[False, True])[
        "customer_id"
    ].head(20)
    answer = server.get("/v1/customers", params={"limit": 20}).json()
    assert [c["customer_id"] for c in answer["customers"]] == expected.tolist()
    item = server.get(f"/v1/customers/{expected.iloc[0]}").json()["score"]
    row = rows.set_index("customer_id").loc[expected.iloc[0]]
    assert item["p_inactive"] == row["p_inactive"]
    assert item["next_stage"] == {s: row[f"p_stage_{s}"] for s in STAGES}
    assert "at risk" in server.get("/customers").text.lower()
    assert "/v1/score" in server.get("/docs").text


def test_raw_events_are_scored_over_http(server: httpx.Client) -> None:
    body = {
        "as_of": AS_OF,
        "customers": [
            {
                "customer_id": "a",
                "attributes": {},
                "events": [{"timestamp": "2020-06-01T00:00:00Z", "amount": 10.0}],
            },
            {"customer_id": "b", "events": [{"timestamp": "2020-10-26", "event": "visit"}]},
        ],
    }
    answer = server.post("/v1/score", json=body)
    assert answer.status_code == 200, answer.text
    buyer, prospect = answer.json()["scores"]
    assert buyer["state"] != "prospect"
    assert 0 < buyer["p_inactive"] < 1
    assert abs(sum(buyer["next_stage"].values()) - 1) < 1e-12
    assert prospect["state"] == "prospect"
    assert prospect["p_inactive"] is None
    assert 0 < prospect["p_convert"] < 1


@pytest.mark.long  # test_promotion_commands.py does so in this process
def test_a_training_is_tracked_registered_and_scored_by_alias(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "default",
        "STAGECAST_TRACKING_SECONDS": str(LIMIT_SECONDS),
    }
    (tmp_path / "log.csv").write_text(
        "customer_id,timestamp,amount\na,2024-01-01,1\na,2024-02-01,2\nb,2024-02-03,5\n"
    )

    def stagecast(*args: str) -> str:
        done = subprocess.run(
            [*INSTALLED, *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
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
            "score", "log.csv", "--model", "models:/shop@champion", "--out", "s.parquet", "--json"
        )
    )
    assert scored["model_version"] == trained["model_version"]


def test_the_python_api_learns_and_scores_the_same_without_the_events_from_the_as_of_on(
    log_file: Path, finished: Path, tmp_path: Path
) -> None:
    """Equal to the last bit: so neither the way nor what came later changes a score."""
    import stagecast as sc

    rows = pd.read_csv(log_file)
    past = rows[pd.to_datetime(rows["at"], format="ISO8601") < pd.Timestamp(AS_OF, tz="UTC")]
    assert 0 < len(past) < len(rows)
    with sc.read_events(past, customer="who", time="at", event="what", amount="paid") as log:
        model = sc.Lifecycle(horizon=HORIZON).fit(log, AS_OF)
    written = pd.read_parquet(finished / "out" / "scores.parquet").set_index("customer_id")
    ours = model.scores
    assert list(ours.columns) == list(written.columns)
    lists = ["reasons", "clv_by_year"]
    pd.testing.assert_frame_equal(
        ours.drop(columns=lists), written.drop(columns=lists), check_exact=True
    )
    for name in lists:
        assert ours[name].map(str).equals(written[name].map(str)), name
    folder = model.save(tmp_path / "model")
    for file in (finished / "out" / "model").iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes(), file.name

"""MLflow for real: a SQLite file, and a server of its own on this machine."""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stagecast.features.clock import parse_instant
from stagecast.features.describe.fingerprint import Fingerprint
from stagecast.features.errors import UsageError
from stagecast.training.bundle import load_bundle
from stagecast.training.promotion import lock
from stagecast.training.promotion.registry import Registry
from stagecast.training.tracking import EXPERIMENT, fetch_bundle, log_training
from stagecast.training.tracking.client import open_client
from stagecast.training.tracking.run_contents import DatedMetric, RunContents
from stagecast.training.tracking.runs import ENDS_BY, Logged, write_backtest
from tests.training.made import Trained
from tests.waiting import LIMIT_SECONDS, free_port, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let MLflow give up at once, report to nobody, and write below the test's folder only."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(LIMIT_SECONDS))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]) -> str:
    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]
) -> Iterator[str]:
    """Run a server until it answers, and end it with all of its children."""
    folder = tmp_path_factory.mktemp("server")
    store = new_store(folder)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += [
        "--backend-store-uri",
        store,
        "--artifacts-destination",
        str(folder / "a"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={
                **os.environ,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url), process, folder / "log")
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(LIMIT_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("store", ["sqlite", "server"])
def test_a_training_is_kept_offered_and_fetched(
    store: str, shop: Trained, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    uri: str = request.getfixturevalue(store)
    report = tmp_path / "report.html"
    report.write_text("<p>report</p>")
    run_id = log_training(uri, shop.bundle, shop.folder, report, register="shop")

    client = open_client(uri)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == EXPERIMENT
    assert run.data.params["model_version"] == shop.bundle.model_version
    assert run.data.params["horizon_days"] == "90"
    assert run.data.params["as_of"] == "2021-12-31"
    assert float(run.data.params["weight_trees"]) == shop.bundle.models.churn.weights["trees"]
    evaluation = shop.bundle.card["evaluation"]
    ours, recency, *_ = evaluation["models"]
    assert run.data.metrics["log_loss"] == ours["log_loss"]
    assert run.data.metrics["recency_log_loss"] == recency["log_loss"]
    assert run.data.metrics["markov_next_stage_log_loss"] == evaluation["next_stage"][1]["log_loss"]
    assert run.data.metrics["spend_mae"] == evaluation["spend"][0]["mae"]
    assert {item.path for item in client.list_artifacts(run_id)} == {"bundle", "report.html"}
    version = client.get_model_version_by_alias("shop", "challenger")
    assert (version.version, version.run_id) == ("1", run_id) or version.run_id == run_id
    assert version.tags["model_version"] == shop.bundle.model_version

    by_alias = load_bundle(fetch_bundle(uri, "models:/shop@challenger"))
    by_number = load_bundle(fetch_bundle(uri, f"models:/shop/{version.version}"))
    assert by_alias.model_version == by_number.model_version == shop.bundle.model_version


def test_the_newest_training_is_the_challenger(sqlite: str, shop: Trained) -> None:
    runs = [log_training(sqlite, shop.bundle, shop.folder, register="twice") for _ in range(2)]
    actual = open_client(sqlite).get_model_version_by_alias("twice", "challenger")
    assert (actual.version, actual.run_id) in ((2, runs[1]), ("2", runs[1]))


@pytest.mark.parametrize("store", ["sqlite", "server"])
@pytest.mark.parametrize(
    "model",
    ["models:/nobody@champion", pytest.param("models:/nobody/3", marks=pytest.mark.long)],
)
def test_an_unknown_model_is_wrong_use(
    store: str, model: str, request: pytest.FixtureRequest
) -> None:
    uri: str = request.getfixturevalue(store)
    with pytest.raises(
        UsageError, match=rf"--model {re.escape(model)} was not found at {re.escape(uri)}"
    ):
        fetch_bundle(uri, model)


@pytest.mark.parametrize(
    "model", ["shop", "models:/shop", "models:/shop@", "models:/@champion", "models:/shop/new"]
)
def test_a_name_that_cannot_be_read_is_wrong_use(sqlite: str, model: str) -> None:
    with pytest.raises(UsageError, match="cannot be read; write models:/NAME@champion"):
        fetch_bundle(sqlite, model)


def test_a_server_that_is_not_there_is_wrong_use_and_soon(
    shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    here, wait = threading.get_ident(), time.sleep

    def sleep(seconds: float) -> None:
        # threads that libraries keep running wait as they always do
        (waits.append if threading.get_ident() == here else wait)(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # held, and not listened on
        uri = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(UsageError, match="did not take the run"):
            log_training(uri, shop.bundle, shop.folder)
        with pytest.raises(UsageError, match="was not found at"):
            fetch_bundle(uri, "models:/shop@champion")
    assert sum(waits) < 30


def answering(answer: bytes | None) -> socketserver.TCPServer:
    """Return a server of this machine that answers every request so, or (None) never."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            if answer is None:
                self.request.recv(1)  # the other side gives up
            else:
                self.request.sendall(answer)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="no answer"),
        pytest.param(HEAD % (15, b"<html>hi</html>"), id="a web page"),
        pytest.param(HEAD % (8, b'{"a": 1}'), id="other JSON", marks=pytest.mark.long),
        pytest.param(HEAD % (4, b"null"), id="null", marks=pytest.mark.long),
        pytest.param(b"garbage\r\n\r\n", id="no HTTP", marks=pytest.mark.long),
    ],
)
def test_a_server_that_is_no_mlflow_is_a_clear_error(
    answer: bytes | None, shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    if answer is None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with answering(answer) as server:
        uri = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(UsageError, match=f"MLflow at {uri} did not take the run"):
            log_training(uri, shop.bundle, shop.folder)
        server.shutdown()


def test_a_run_that_breaks_off_is_closed_as_failed(
    sqlite: str, shop: Trained, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="did not take the run"):
        log_training(sqlite, shop.bundle, shop.folder, tmp_path / "gone.html")
    client = open_client(sqlite)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert client.search_runs([experiment.experiment_id])[0].info.status == "FAILED"


def test_a_run_whose_process_was_killed_is_closed_by_the_next(sqlite: str, shop: Trained) -> None:
    log_training(sqlite, shop.bundle, shop.folder)
    client = open_client(sqlite)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    now = int(time.time() * 1000)
    left = {
        name: client.create_run(experiment, tags={} if ends is None else {ENDS_BY: str(ends)})
        for name, ends in {"dead": now - 3_600_000, "alive": now + 3_600_000, "other": None}.items()
    }
    log_training(sqlite, shop.bundle, shop.folder)
    status = {name: client.get_run(run.info.run_id).info.status for name, run in left.items()}
    assert status == {"dead": "FAILED", "alive": "RUNNING", "other": "RUNNING"}


def test_a_run_has_its_real_duration_its_data_and_what_is_logged_beside(
    sqlite: str, shop: Trained
) -> None:
    at = datetime(2024, 5, 1, 12, tzinfo=UTC)
    data = Fingerprint(3, 2, "2024-01-01", "2024-02-03", "0123456789abcdef")
    logged = Logged(
        at, at + timedelta(seconds=90), data, "log.csv", texts={"model-card.md": "# A model"}
    )
    client = open_client(sqlite)
    run = client.get_run(log_training(sqlite, shop.bundle, shop.folder, logged=logged))
    assert run.info.end_time - run.info.start_time == 90_000
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.digest == data.digest
    assert json.loads(dataset.dataset.profile) == data.to_json()
    assert "model-card.md" in {item.path for item in client.list_artifacts(run.info.run_id)}
    evaluation = shop.bundle.card["evaluation"]
    assert run.data.tags["grade"] == evaluation["grade"]
    assert run.data.metrics["spend_coverage"] == evaluation["coverage"]["expected_spend"]
    (log_loss,) = client.get_metric_history(run.info.run_id, "log_loss")
    assert log_loss.timestamp == parse_instant(evaluation["as_of"]).timestamp() * 1000


def test_a_store_that_cannot_be_written_is_wrong_use(shop: Trained, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="did not take the run"):
        log_training(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}", shop.bundle, shop.folder)


def test_a_training_without_an_evaluation_is_kept_too(sqlite: str, shop: Trained) -> None:
    from dataclasses import replace

    young = replace(shop.bundle, card={"evaluation": None})
    run_id = log_training(sqlite, young, shop.folder)
    run = open_client(sqlite).get_run(run_id)
    assert run.data.metrics == {}
    assert run.data.params["method"] == "blend"
    assert (
        json.loads((shop.folder / "manifest.json").read_text())["model_version"]
        == run.data.params["model_version"]
    )


def test_the_lock_of_a_server_waits_for_its_holder_and_outlives_a_dead_one(
    server: str, shop: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setattr(lock, "SETTLING_SECONDS", 0.2)
    log_training(server, shop.bundle, shop.folder, register="locked")
    registry, client = Registry("locked", server), MlflowClient(server, registry_uri=server)

    def tag() -> str:
        return str(client.get_registered_model("locked").tags[lock.LOCK])

    with lock.held(client, "locked", None):
        holder = tag()
        assert float(holder.partition(" ")[2]) > time.time()
        monkeypatch.setattr(lock, "HELD_SECONDS", 0.2)
        with pytest.raises(UsageError, match="another process has held the registered model"):
            registry.promote("1", "too early")
        assert tag() == holder
    assert (tag(), registry.champion()) == ("", None)
    # a holder that was killed
    client.set_registered_model_tag("locked", lock.LOCK, f"0123abcd {time.time() - 1}")
    monkeypatch.setattr(lock, "HELD_SECONDS", 60.0)
    registry.promote("1", "the first")
    assert (tag(), registry.champion()) == ("", "1")


def test_a_backtest_has_a_nested_run_for_each_date(server: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    dates = [("2024-01-01", 0.5), ("2024-03-01", 0.25)]
    figures = [DatedMetric("log_loss", v, parse_instant(d), k) for k, (d, v) in enumerate(dates)]
    contents = RunContents(
        "backtest 2024-06-01",
        {"stagecast": "backtest"},
        {"horizon_days": "90"},
        figures,
        {"log_loss": 0.375},
        [(d, [figure]) for (d, _), figure in zip(dates, figures, strict=True)],
    )
    (tmp_path / "backtest.json").write_text("{}")
    sent = RunContents.from_json(json.loads(json.dumps(contents.to_json())))
    run_id = write_backtest(server, sent, tmp_path)
    client = MlflowClient(server)
    run = client.get_run(run_id)
    assert (run.info.status, run.data.metrics["all_log_loss"]) == ("FINISHED", 0.375)
    history = client.get_metric_history(run_id, "log_loss")
    assert sorted((m.step, m.value) for m in history) == [(0, 0.5), (1, 0.25)]
    assert [item.path for item in client.list_artifacts(run_id)] == ["backtest.json"]
    nested = client.search_runs(
        [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run_id}'", order_by=["params.as_of"]
    )
    said = [(n.data.params["as_of"], n.data.metrics["log_loss"], n.info.status) for n in nested]
    assert said == [(d, v, "FINISHED") for d, v in dates]

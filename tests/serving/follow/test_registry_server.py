"""A server that follows a real MLflow server: the alias moves, MLflow is killed and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from stagecast.training.bundle import load_bundle
from stagecast.training.promotion.registry import Registry
from stagecast.training.tracking import log_training
from tests.serving.follow.conftest import check_offline, offline_scores
from tests.serving.follow.test_rollout_of_a_server import running
from tests.waiting import LIMIT_SECONDS, free_port, wait_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long]
CUSTOMERS = 60


class Mlflow:
    """`mlflow server` in a process group of its own, with its store in a folder."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self):
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        words += ["--artifacts-destination", str(self.folder / "artifacts")]
        output = self.folder / "mlflow-output"
        with output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true"},
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

        def answers():
            try:
                return httpx.get(f"{self.address}/health", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        wait_for(answers, self.process, output)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)  # its workers are processes of their own
        self.process.wait(LIMIT_SECONDS)


@contextmanager
def mlflow_in(folder):
    folder.mkdir()
    server = Mlflow(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def test_a_server_follows_the_alias_outlives_the_registry_and_follows_again(
    shop, equal, customers, tmp_path
):
    customers = customers[:CUSTOMERS]
    offline = offline_scores(customers, shop.folder, equal)
    old, new = offline
    with mlflow_in(tmp_path / "registry") as mlflow:
        log_training(mlflow.address, shop.bundle, shop.folder, register="shop")
        registry = Registry("shop", mlflow.address)
        registry.promote("1", "the first")
        options = ["--follow-seconds", "1", "--shadow", "models:/shop@challenger"]
        options += ["--shadow-share", "1"]
        more = {"STAGECAST_TRACKING_URI": mlflow.address, "STAGECAST_TRACKING_SECONDS": "300"}
        with running(tmp_path, "models:/shop@champion", 1, *options, **more) as server:

            def answers_are_of(version):
                rows = [row for single in customers for row in server.score([single])]
                rows += server.score(customers)
                assert {row["model_version"] for row in rows} == {version}
                check_offline(rows, offline)

            answers_are_of(old)

            # the challenger is fetched from the registry too, and does not answer
            log_training(mlflow.address, load_bundle(equal), equal, register="shop")
            wait_until(lambda: server.get("/v1/model/shadow")["beside_model_version"] == new)
            answers_are_of(old)

            registry.promote("2", "better")
            wait_until(lambda: server.get("/readyz")["model_version"] == new)
            assert server.get("/readyz")["model_doubt"] is None
            answers_are_of(new)

            mlflow.kill()
            wait_until(lambda: server.get("/readyz")["model_doubt"] is not None)
            answer = httpx.get(f"{server.address}/readyz", trust_env=False)
            assert answer.status_code == 200
            doubt = answer.json()["model_doubt"]
            assert doubt["problem"].startswith("models:/shop@champion: ")
            assert mlflow.address not in doubt["problem"]
            assert doubt["since"].endswith("Z")
            answers_are_of(new)
            # it is still the same outage when it is looked at again
            assert server.get("/readyz")["model_doubt"]["since"] == doubt["since"]

            mlflow.start()
            wait_until(lambda: server.get("/readyz")["model_doubt"] is None)
            assert server.get("/readyz")["model_version"] == new
            registry.rollback("customers complained")
            wait_until(lambda: server.get("/readyz")["model_version"] == old)
            answers_are_of(old)

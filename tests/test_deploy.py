"""The files of deploy/ say what the code does: their commands parse, their settings are settings,
their ports, paths and metrics are those of the server; and their steps are run, without Docker.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import httpx
import pytest
import yaml

from stagecast.serving.cli import cli
from stagecast.serving.http.access import OPEN_PATHS, ROUTE_SCOPES
from stagecast.serving.http.connections import GRACEFUL_SECONDS
from stagecast.serving.settings import PREFIX, Settings
from tests.serving import published, web
from tests.serving.http.test_metrics import read
from tests.waiting import LIMIT_SECONDS, free_port, lives, wait_for

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
PORT = Settings.model_fields["port"].default


def instructions() -> list[tuple[str, str]]:
    """Return instruction and rest of each of the Dockerfile, with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines]


def only(name: str) -> str:
    (value,) = [rest for instruction, rest in instructions() if instruction == name]
    return value


def unit() -> dict[str, list[str]]:
    """Return key -> values of the systemd unit."""
    values: dict[str, list[str]] = {}
    for line in (DEPLOY / "stagecast.service").read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


def parse(words: list[str]) -> click.Context:
    """Parse a command line of stagecast; a wrong option is an error."""
    assert words[0] in cli.list_commands(click.Context(cli)), words
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    return command.make_context(words[0], list(words[1:]))


def settings_of(environment: dict[str, str], folder: Path) -> Settings:
    """Return the settings of an environment; a file of keys is one of the folder."""
    keys = folder / "api-keys"
    keys.write_text(secrets.token_hex(24) + "\n")
    for name in environment:
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields, name
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items()}
    return Settings(**{**fields, "api_keys_file": keys})


def environment_of_image() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in only("ENV").split())


def environment_of_unit() -> dict[str, str]:
    return dict(value.split("=", 1) for value in unit()["Environment"])


def test_the_image_installs_what_the_makefile_installs() -> None:
    runs = " ".join(rest for name, rest in instructions() if name == "RUN")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for step in ("--require-hashes -r requirements.lock", "--no-deps --no-build-isolation"):
        assert step in makefile
        assert step in runs
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    for name, rest in instructions():
        if name == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, source
    needed = re.search(r"only-include = \[(.*)\]", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert needed is not None
    assert set(re.findall(r'"([^"]+)"', needed[1])) <= {i.removeprefix("!") for i in ignored}
    version = re.fullmatch(r"python:3\.(\d+)-slim", only("FROM"))
    assert version is not None
    assert int(version[1]) >= 11


def test_the_image_serves_as_a_user_without_rights_at_the_port_that_is_checked() -> None:
    assert int(only("USER")) > 0
    words = [*json.loads(only("ENTRYPOINT")), *json.loads(only("CMD"))]
    assert words == ["stagecast", "serve"]
    parse(words[1:])
    assert only("EXPOSE") == environment_of_image()["STAGECAST_PORT"] == str(PORT)
    (path,) = re.findall(rf"http://127\.0\.0\.1:{PORT}(/\w+)", only("HEALTHCHECK"))
    assert path in OPEN_PATHS
    assert getattr(signal, only("STOPSIGNAL")) is signal.SIGTERM


def test_settings_and_commands_of_the_services_are_those_of_the_code(tmp_path: Path) -> None:
    for name in ("stagecast", "job"):
        service = SERVICES[name]
        environment = {
            key: value.replace("${POSTGRES_PASSWORD:?write it into .env}", "p")
            for key, value in service["environment"].items()
        }
        settings = settings_of({**environment_of_image(), **environment}, tmp_path)
        assert settings.host == "0.0.0.0"
        user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
        base = SERVICES["postgres"]["environment"]["POSTGRES_DB"]
        assert settings.store == f"postgresql+psycopg://{user}:p@postgres/{base}"
        (secret,) = service["secrets"]
        assert environment["STAGECAST_API_KEYS_FILE"] == f"/run/secrets/{secret}"
        assert settings.tracking_uri == "http://mlflow:5000"
    assert parse(SERVICES["stagecast"]["command"]).params["workers"] == 2
    assert SERVICES["stagecast"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    stop = float(SERVICES["stagecast"]["stop_grace_period"].removesuffix("s"))
    drain = float(SERVICES["stagecast"]["environment"]["STAGECAST_DRAIN_SECONDS"])
    assert stop > drain + GRACEFUL_SECONDS


def test_what_services_name_is_there() -> None:
    assert {"stagecast", "postgres", "mlflow", "prometheus"} <= SERVICES.keys()
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        assert {c["source"] for c in service.get("configs", [])} <= COMPOSE["configs"].keys()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")  # a proxy with TLS stands before it
    for config in COMPOSE["configs"].values():
        assert (DEPLOY / config["file"]).is_file()
    assert {c["target"] for c in SERVICES["prometheus"]["configs"]} >= {
        "/etc/prometheus/prometheus.yml",
        *PROMETHEUS["rule_files"],
    }
    options = {word.split("=")[0] for word in SERVICES["mlflow"]["command"][1:]}
    root = Path(sys.prefix) / "lib"
    text = "".join(
        path.read_text("utf-8")
        for pattern in ("mlflow/cli/__init__.py", "mlflow/utils/cli_args.py")
        for path in root.glob(f"python*/site-packages/{pattern}")
    )
    assert all(f'"{option}"' in text for option in options), options


def test_prometheus_reads_what_the_server_has_and_alerts_name_its_metrics(tmp_path: Path) -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    assert ("GET", job["metrics_path"]) in ROUTE_SCOPES
    assert job["static_configs"] == [{"targets": [f"stagecast:{PORT}"]}]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    store = published.open_store(tmp_path)
    published.publish(store, published.scores(5))
    with web.client(web.app_with(tmp_path, store=store, scorer=web.FakeScorer())) as api:
        api.get("/livez")
        names = {name for name, _ in read(api.get(job["metrics_path"]))}
    store.close()
    monitor = (ROOT / "serving/monitor/prometheus.py").read_text("utf-8")
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            for name in re.findall(r"\bstagecast_\w+", rule["expr"]):
                part = name.removeprefix("stagecast_monitor_")
                assert name in names or (part != name and f'"{part}"' in monitor), name


def test_the_unit_starts_and_stops_the_service_as_it_wants_to_be(tmp_path: Path) -> None:
    values = unit()
    (start,) = values["ExecStart"]
    program, *words = shlex.split(start)
    assert Path(program).name == "stagecast"
    assert parse(words).params["host"] == "127.0.0.1"
    environment = environment_of_unit()
    (credential,) = values["LoadCredential"]
    assert environment["STAGECAST_API_KEYS_FILE"] == f"%d/{credential.split(':')[0]}"
    settings = settings_of(environment, tmp_path)
    (folder,) = values["WorkingDirectory"]
    assert folder == f"/var/lib/{values['StateDirectory'][0]}"
    assert settings.store.removeprefix("sqlite:///").startswith(folder)
    assert float(values["TimeoutStopSec"][0]) > settings.drain_seconds + GRACEFUL_SECONDS
    assert values["KillSignal"] == ["SIGTERM"]
    assert values["KillMode"] == ["mixed"]  # the parent passes the signal on, once
    assert values["User"] != ["root"]


@pytest.mark.slow
@pytest.mark.long
def test_the_steps_of_the_unit_run(tmp_path: Path) -> None:
    """The unit's own command, settings, credential and signal; and Prometheus' own request."""
    values, port = unit(), free_port()
    keys = tmp_path / "api-keys"
    keys.write_text(secrets.token_hex(24) + "\n")
    keys.chmod(0o600)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    environment = {
        name: value.replace("%d", str(tmp_path)).replace("/var/lib/stagecast", str(state))
        for name, value in environment_of_unit().items()
    }
    _, *words = shlex.split(values["ExecStart"][0])
    words[words.index("--port") + 1] = str(port)
    output = tmp_path / "output"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "stagecast", *words],
            cwd=state,
            env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **environment},
            stdout=stream,
            stderr=stream,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: lives(address), process, output)
        path = PROMETHEUS["scrape_configs"][0]["metrics_path"]
        bearer = {"authorization": f"Bearer {keys.read_text().strip()}"}
        assert httpx.get(f"{address}{path}", trust_env=False).status_code == 401
        assert read(httpx.get(f"{address}{path}", headers=bearer, trust_env=False))
        begin = time.monotonic()
        process.send_signal(getattr(signal, values["KillSignal"][0]))
        assert process.wait(LIMIT_SECONDS) == 0
        assert time.monotonic() - begin < float(values["TimeoutStopSec"][0])
    finally:
        process.kill()
        process.wait()
    text = output.read_text("utf-8").splitlines()
    # beside the log there are the address and that no model was given, which are no JSON
    lines = [json.loads(line) for line in text if line.startswith("{")]
    requests = [line for line in lines if line["message"] == "request"]
    assert {(line["route"], line["status"]) for line in requests} >= {("/metrics", 200)}
    assert all(line["request_id"] for line in requests)

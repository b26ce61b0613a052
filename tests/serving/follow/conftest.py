"""Bundles that take the place of another: an equal one, a shifted one, one that refuses."""

from __future__ import annotations

import json
import random
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stagecast.serving.http.clean_bodies import read_score
from stagecast.serving.http.partial import clock_of, equal_events_of
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.training.config import TrainConfig
from tests.shared import once
from tests.training.bundle.forging import make_hashes_fit
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Row, Trained, day, simulated_rows, trained

DAYS = 730
AS_OF = day(DAYS + 1)


def bodies_of(rows: list[Row]) -> list[dict[str, object]]:
    """Return the customers of a log as bodies have them."""
    events: dict[str, list[dict[str, object]]] = {}
    for name, at, kind, amount in rows:
        event: dict[str, object] = {"timestamp": at.isoformat(), "event": kind}
        events.setdefault(name, []).append(event if amount is None else event | {"amount": amount})
    return [{"customer_id": name, "events": own} for name, own in events.items()]


@pytest.fixture(scope="session")
def customers() -> list[dict[str, object]]:
    """Return customers whom no model has seen."""
    return bodies_of(simulated_rows(700, DAYS, seed=99))


@pytest.fixture(scope="session")
def equal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on other customers of the same shop."""

    def make(folder: Path) -> Trained:
        # with fewer dates the next stage has no trees
        rows = simulated_rows(600, DAYS, seed=2)
        config = TrainConfig(max_dates=2)
        return trained(rows, folder / "model", day(DAYS), config, evaluated=False)

    return once(tmp_path_factory, "an equal shop", make).folder


@pytest.fixture(scope="session")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on a log from which most purchases of the last months are missing."""

    def make(folder: Path) -> Trained:
        chance, since = random.Random(3), day(DAYS - 130)
        rows = [
            row
            for row in simulated_rows(1_200, DAYS, seed=5)
            if row[2] != "purchase" or row[1] < since or chance.random() < 0.3
        ]
        return trained(rows, folder / "model", day(DAYS), TrainConfig(max_dates=3))

    return once(tmp_path_factory, "a shifted shop", make).folder


@pytest.fixture
def refusing(equal: Path, tmp_path: Path) -> Path:
    """Return a bundle that is whole, and of amounts in another currency than the requests name."""
    folder = Path(shutil.copytree(equal, tmp_path / "refusing"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["money"]["currency"] = "EUR"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    make_hashes_fit(folder)
    return folder


def request_of(customers: list[dict[str, object]], as_of: datetime = AS_OF) -> dict[str, object]:
    """Return a body."""
    return {"as_of": as_of.isoformat(), "currency": "USD", "customers": customers}


Offline = dict[str, dict[str, dict[str, Any]]]
"""Version of a model -> id of a customer -> score."""


def offline_scores(customers: list[dict[str, object]], *models: Path) -> Offline:
    """Return the scores by each bundle of all customers in one batch, without a server."""
    raw, offline = json.dumps(request_of(customers)).encode(), Offline()
    for model in models:
        scorer = load_scorer(model)
        request = read_score(raw, AS_OF, clock_of(scorer), equal_events=equal_events_of(scorer))
        scores = scorer.score_objects(request.customers, request.as_of, with_reasons=False)
        rows = json.loads(msgspec.json.encode(scores))
        offline[scorer.model_version] = {row["customer_id"]: row for row in rows}
    return offline


def check_offline(rows: list[dict[str, Any]], offline: Offline) -> None:
    """Refuse answered scores that are not those of the versions which they name.

    The warnings are left out: they are about the request, and the server adds them.
    """
    for row in rows:
        mine = {name: value for name, value in row.items() if name != "warnings"}
        assert mine == offline[row["model_version"]][row["customer_id"]]


@pytest.fixture
def forged(equal: Path, tmp_path: Path) -> Path:
    """Return a bundle whose hashes are right and whose trees say something else."""
    folder = Path(shutil.copytree(equal, tmp_path / "forged"))
    trees = folder / "next_stage.lightgbm.txt"
    # other digits and no other length, so that the trees can be parsed
    text = re.sub(
        r"^leaf_value=.*$", lambda m: m[0].replace("1", "7"), trees.read_text(), flags=re.MULTILINE
    )
    assert text != trees.read_text()
    trees.write_text(text)
    make_hashes_fit(folder)
    return folder


@pytest.fixture
def garbage(equal: Path, tmp_path: Path) -> Path:
    """Return a bundle whose files are random bytes, its manifest excepted."""
    folder = Path(shutil.copytree(equal, tmp_path / "garbage"))
    for number, path in enumerate(sorted(folder.iterdir())):
        if path.is_file() and path.name != "manifest.json":
            path.write_bytes(random.Random(number).randbytes(path.stat().st_size))
    # another mark than that of the bundle which it was made of
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    return folder

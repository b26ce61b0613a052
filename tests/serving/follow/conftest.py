"""Bundles that take the place of another: an equal one, a shifted one, one that refuses."""

from __future__ import annotations

import json
import random
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from stagecast.training.config import TrainConfig
from tests.shared import once
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
        rows = simulated_rows(1_200, DAYS, seed=2)
        return trained(rows, folder / "model", day(DAYS), TrainConfig(max_dates=3))

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
    return folder


def request_of(customers: list[dict[str, object]], as_of: datetime = AS_OF) -> dict[str, object]:
    """Return a body."""
    return {"as_of": as_of.isoformat(), "currency": "USD", "customers": customers}

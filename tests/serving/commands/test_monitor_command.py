"""``stagecast monitor`` from a log and a model to files and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stagecast.serving.monitor.kept import drift_of
from stagecast.serving.store.monitor_tables import last_monitoring
from tests.serving import published
from tests.serving.calling import Stagecast
from tests.serving.monitor.made import AS_OF, in_cents, rows
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, day, frame_of

pytestmark = pytest.mark.slow


@pytest.fixture
def command(shop: Trained, tmp_path: Path) -> tuple[str, ...]:  # noqa: F811
    frame_of(rows()).to_csv(tmp_path / "events.csv", index=False)
    duplicates = ("--duplicates", "keep")
    return ("monitor", "events.csv", *duplicates, "--model", str(shop.folder))


def test_a_fresh_model_is_kept_with_exit_code_0(
    command: tuple[str, ...], stagecast: Stagecast
) -> None:
    done = stagecast(*command, "--as-of", day(760).isoformat(), "--out", "watch")
    assert done.code == 0, done.err
    assert done.out.startswith("Keep the model: ")
    names = sorted(path.name for path in Path("watch").iterdir())
    assert names == ["monitor.html", "monitor.json", "monitor.prom"]
    assert not Path("stagecast.db").exists()
    again = stagecast(*command, "--out", "watch")
    assert again.code == 2
    assert "--force" in again.err


def test_each_advice_has_its_exit_code(command: tuple[str, ...], stagecast: Stagecast) -> None:
    at = ("--as-of", day(760).isoformat())
    published.open_store(Path()).close()
    old = stagecast(*command, *at, "--max-age", "30d", "--json", "--store", "stagecast.db")
    assert old.code == 5, old.err
    store = published.open_store(Path())
    watched = last_monitoring(store.engine)
    store.close()
    assert watched is not None
    assert watched.as_of == day(760)
    assert 'stagecast_monitor_action{model_version="' in watched.metrics
    result = json.loads(old.out)
    assert result["advice"]["action"] == "retrain"
    drift = drift_of(watched)
    assert (drift["action"], drift["age_days"]) == ("retrain", result["age_days"])
    moved = {row["name"] for row in result["features"] if row["reading"] == "moved"}
    assert {part["name"] for part in drift["moved"]} == moved
    assert drift["features"] == len(result["features"])
    psi = {row["name"]: row["since_training"]["psi"] for row in result["scores"]}
    assert {part["name"]: part["psi"] for part in drift["scores"]} == psi
    assert stagecast(*command, *at, "--max-age", "30d", "--fail-on", "repair").code == 0
    frame_of(in_cents(rows())).to_csv("events.csv", index=False)
    broken = stagecast(*command, "--as-of", AS_OF.isoformat())
    assert broken.code == 6, broken.err
    assert broken.out.startswith("Repair the log before anything else: amounts of 'purchase'")


def test_wrong_use_is_named(command: tuple[str, ...], stagecast: Stagecast) -> None:
    done = stagecast(*command, "--store", "none.db")
    assert (done.code, "none.db does not exist" in done.err) == (2, True)
    done = stagecast(*command, "--as-of", day(700).isoformat())
    assert (done.code, "stands before the training" in done.err) == (2, True)
    assert not Path("none.db").exists()

"""A challenger from the command line: registered, compared, promoted by hand, rolled back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stagecast.serving.runs import tracking
from stagecast.serving.runs.tracking_process import log_run
from tests.serving.calling import Stagecast
from tests.training.conftest import new_store  # noqa: F401
from tests.training.made import day, frame_of, simulated_rows

pytestmark = pytest.mark.slow

HORIZON, FIRST, SECOND = 60, 180, 280
"""Days: dates that neither saw lie 100, 80 and 60 days before the second training."""


def logged_here(job: dict[str, Any], seconds: float) -> str:
    """Log as the process of its own does, where MLflow's advice on types goes to nobody."""
    with pytest.warns(UserWarning, match="Add type hints"):
        return log_run(job)


def test_the_second_training_challenges_the_first(
    stagecast: Stagecast,
    monkeypatch: pytest.MonkeyPatch,
    new_store: Callable[[Path], str],  # noqa: F811
) -> None:
    new_store(Path())
    monkeypatch.setenv("STAGECAST_TRACKING_SECONDS", "900")
    frame_of(simulated_rows(200, SECOND, seed=9)).to_csv("events.csv", index=False)
    reading = ("events.csv", "--duplicates", "keep")
    learning = ("--horizon", f"{HORIZON}d", "--value-horizon", f"{2 * HORIZON}d")

    def train(out: str, as_of: int) -> dict[str, object]:
        at = ("--as-of", day(as_of).isoformat())
        done = stagecast(
            "train", *reading, *learning, *at, "--out", out, "--register", "shop", "--json"
        )
        assert done.code == 0, done.err
        promotion: dict[str, object] = json.loads(done.out)["promotion"]
        return promotion

    def listed() -> dict[str, list[str]]:
        (model,) = json.loads(stagecast("models", "list", "shop", "--json").out)
        return {version["version"]: version["aliases"] for version in model["versions"]}

    first = train("m1", FIRST)
    assert (first["challenger"], first["champion"], first["promote"]) == ("1", None, True)

    # a process of its own has logged the first; importing MLflow anew takes seconds
    monkeypatch.setattr(tracking, "in_own_process", logged_here)
    second = train("m2", SECOND)
    assert (second["challenger"], second["champion"]) == ("2", "1")
    dates = [day(SECOND - back).date().isoformat() for back in (100, 80, 60)]
    assert [str(date)[:10] for date in second["dates"]] == dates  # type: ignore[attr-defined]
    assert second["look"] == 1
    # the same procedure on the same shop is no better, and the reason says so
    assert second["promote"] is False
    reasons = [c for c in second["checks"] if c["name"] == "better"]  # type: ignore[attr-defined]
    assert [c["passed"] for c in reasons] == [False]
    assert listed() == {"2": ["challenger"], "1": ["champion"]}

    compared = stagecast("models", "compare", *reading, "--name", "shop")
    assert compared.code == 0, compared.err
    assert compared.out.startswith("version 2 against champion 1 of shop does not pass")
    assert reasons[0]["sentence"].replace("look 1", "look 2") in compared.out

    moved = stagecast("models", "promote", "shop", "--why", "the range is new")
    assert moved.code == 0, moved.err
    assert listed() == {"2": ["champion"], "1": []}
    nobody = stagecast("models", "promote", "shop", "--why", "again")
    assert nobody.code == 2
    assert "shop has no challenger" in nobody.err
    assert stagecast("models", "rollback", "shop", "--why", "it made no sense").code == 0
    assert listed() == {"2": [], "1": ["champion"]}

    at = ("--as-of", day(SECOND).isoformat())
    for model, out in (("m1", "folder.parquet"), ("models:/shop@champion", "champion.parquet")):
        scored = stagecast("score", *reading, *at, "--model", model, "--out", out)
        assert scored.code == 0, scored.err
    pd.testing.assert_frame_equal(
        pd.read_parquet("folder.parquet"), pd.read_parquet("champion.parquet")
    )
    printed = stagecast("models", "list").out
    assert "the range is new" in printed
    assert "rolled back: version 1 is champion in place of version 2" in printed
    assert not list(Path().glob("stagecast-m*"))

    # a bundle that exists is registered as it is: these are versions already
    again = stagecast("models", "register", "m2", "--name", "shop")
    assert again.code == 0, again.err
    assert "is version 2 of shop already" in again.out
    other = stagecast("models", "register", "m2", "--name", "other", "--json")
    registered = json.loads(other.out)
    assert (registered["version"], registered["new"], registered["champion"]) == ("1", True, None)
    assert registered["aliases"] == ["challenger"]
    missing = stagecast("models", "register", "m3", "--name", "shop")
    assert missing.code == 2
    assert "m3 holds no bundle" in missing.err
    assert listed() == {"2": [], "1": ["champion"]}

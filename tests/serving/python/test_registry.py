"""``sc.Registry`` on a real SQLite store: a challenger is compared, and errors speak Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import stagecast as sc
from stagecast.features.errors import UsageError
from tests.serving.calling import Stagecast
from tests.training.conftest import new_store  # noqa: F401
from tests.training.made import day, frame_of, simulated_rows

pytestmark = pytest.mark.slow

HORIZON, FIRST, SECOND = 60, 180, 280
"""Days: dates that neither saw lie 100, 80 and 60 days before the second training."""


def test_a_challenger_is_compared_as_the_command_does(
    stagecast: Stagecast,
    monkeypatch: pytest.MonkeyPatch,
    new_store: Callable[[Path], str],  # noqa: F811
) -> None:
    monkeypatch.setenv("STAGECAST_TRACKING_URI", new_store(Path()))
    frame = frame_of(simulated_rows(420, SECOND, seed=9))
    frame.to_csv("events.csv", index=False)
    registry = sc.Registry("shop")
    with pytest.raises(UsageError, match="check the name and tracking_uri") as error:
        registry.versions()
    assert "--" not in str(error.value)
    with sc.read_events(frame, duplicates="keep") as log:
        model = sc.Lifecycle(
            horizon=f"{HORIZON}d",
            value_horizon=f"{2 * HORIZON}d",
            max_dates=1,
            members={"regression": sc.Regression()},  # both procedures are fitted at each date
        ).fit(log, day(FIRST))
        first = model.register("shop")

        alone = registry.compare(log)
        assert (alone.version, alone.champion, alone.passes) == (first, None, True)

        registry.promote(first, why="the first")
        with pytest.raises(UsageError, match="shop has no challenger; make one: Lifecycle"):
            registry.compare(log)
        with pytest.raises(UsageError, match="is the champion of shop already"):
            registry.compare(log, int(first))
        with pytest.raises(UsageError, match="version = '' cannot be used; give the number"):
            registry.compare(log, "")
        with pytest.raises(UsageError, match=r"Registry\.compare takes an EventLog, not a Data"):
            registry.compare(frame)  # type: ignore[arg-type]

        model.fit(log, day(SECOND)).register("shop")
        compared = registry.compare(log)
    command = stagecast(
        "models", "compare", "events.csv", "--duplicates", "keep", "--name", "shop", "--json"
    )
    assert command.code == 0, command.err

    def without_time(data: dict[str, object]) -> list[object]:
        """Return the checks but for that of the time, which is measured anew."""
        return [c for c in data["checks"] if c["name"] != "time"]  # type: ignore[attr-defined]

    assert without_time(json.loads(json.dumps(compared.to_json()))) == without_time(
        json.loads(command.out)
    )
    assert [date[:10] for date in compared.dates] == [
        day(SECOND - back).date().isoformat() for back in (100, 80, 60)
    ]
    assert not compared.passes
    assert not compared.summary.loc["better", "passed"]
    assert compared.summary.loc["better", "sentence"] in compared.reasons
    assert compared.numbers.loc[("dates", "dates"), "value"] == 3
    assert repr(compared).startswith(
        "Comparison(version 2 of shop against champion 1: does not pass for better"
    )
    assert "passed" in compared._repr_html_()
    # nothing was changed, and no look was counted
    assert (registry.champion(), registry.challenger(), registry.looks()) == ("1", "2", [])

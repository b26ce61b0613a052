"""``stagecast whatif`` from a log and a model to what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.commands.whatif import whatif
from stagecast.serving.jobs import what_if as job
from stagecast.serving.jobs.what_if import levers_of
from stagecast.serving.requests import WhatIfRequest
from stagecast.training.config import TrainConfig
from stagecast.training.what_if.levers import Levers
from tests.serving.calling import Stagecast
from tests.shared import once
from tests.training.made import Row, day, frame_of, simulated_rows, trained

DAYS = 500
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> Path:
        rows = simulated_rows(300, DAYS, seed=5)
        frame_of(rows).to_csv(folder / "events.csv", index=False)
        frame_of(rows, amounts=False).to_csv(folder / "bare.csv", index=False)
        trained(rows, folder / "model", day(DAYS), TrainConfig(max_dates=1))
        return folder

    return once(tmp_path_factory, "what if", make)


@pytest.fixture
def command(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str, str, str]:
    monkeypatch.chdir(tmp_path)
    return ("whatif", str(shop / "events.csv"), "--model", str(shop / "model"))


def test_the_value_as_it_is_is_that_of_the_scores(
    command: tuple[str, ...], stagecast: Stagecast
) -> None:
    done = stagecast(*command, "--json")
    assert done.code == 0, done.err
    made = json.loads(done.out)
    scored = stagecast("score", *command[1:], "--out", "scores.parquet", "--no-reasons")
    assert scored.code == 0, scored.err
    scores: pd.DataFrame = pq.read_table("scores.parquet").to_pandas()
    buyers = scores[scores["state"] != "prospect"]
    by_year = pd.DataFrame(buyers["clv_by_year"].tolist())
    now, *changed = made["scenarios"]
    assert made["customers"] == len(buyers)
    assert now["one_year"]["value"] == pytest.approx(buyers["clv"].sum(), rel=1e-9)
    assert now["three_years"]["value"] == pytest.approx(by_year[[0, 1, 2]].sum().sum(), rel=1e-9)
    assert [s["name"] for s in changed] == [
        "churn -5%",
        "second order -10d",
        "basket +5%",
        "together",
    ]
    assert all(s["one_year"]["difference"] > 0 for s in changed)
    assert made["levers"] == {"churn": -0.05, "second_order_days": -10.0, "basket": 0.05}


def test_one_change_is_shown_alone_with_what_it_assumes(
    command: tuple[str, ...], stagecast: Stagecast
) -> None:
    done = stagecast(*command, "--basket", "+10%")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("Value of ")
    (row,) = [line for line in lines if line.startswith("basket +10%  ")]
    assert row.count("+10.0%") == 2
    assert "together" not in done.out
    assert "- basket +10%: each order brings 1.1 times the money" in done.out
    assert "not a forecast" in lines[-1]


@pytest.mark.parametrize("by", ["stage", "state"])
def test_groups_add_up_to_all_customers(
    command: tuple[str, ...], stagecast: Stagecast, by: str
) -> None:
    made = json.loads(stagecast(*command, "--churn", "-10%", "--by", by, "--json").out)
    assert len(made["groups"]) >= 2
    assert sum(group["customers"] for group in made["groups"]) == made["customers"]
    for k, scenario in enumerate(made["scenarios"]):
        parts = [group["scenarios"][k]["three_years"]["value"] for group in made["groups"]]
        assert sum(parts) == pytest.approx(scenario["three_years"]["value"])
    assert f"{by} {made['groups'][0]['group']}:" in stagecast(*command, "--by", by).out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--churn", "5%"], "--churn '5%' is not a change; write it with its sign"),
        (["--basket", "+5"], "--basket '+5' is not a change"),
        (["--churn", "-95%"], "a change of churn by -0.95 is out of range"),
        (["--second-order", "10d"], "--second-order '10d' is not a shift"),
        (["--second-order", "-1month"], "has no fixed length"),
        (["--second-order", "-300d"], "and the median cannot become"),
        (["--basket", "0%"], "every change that is named is 0"),
    ],
)
def test_a_change_that_cannot_be_used_is_refused(
    command: tuple[str, ...], stagecast: Stagecast, options: list[str], message: str
) -> None:
    done = stagecast(*command, *options)
    assert done.code == 2
    assert message in done.err


def test_weeks_and_a_zero_are_read() -> None:
    read = whatif.make_context(
        "whatif", ["log.csv", "--model", "m", "--second-order", "+2w", "--churn", "0%"]
    ).params
    assert (read["second_order"], read["churn_change"], read["basket_change"]) == (14.0, 0.0, None)
    request = WhatIfRequest("m", churn=0.0, second_order=14.0)
    assert levers_of(request) == Levers(second_order_days=14.0)
    with pytest.raises(UsageError, match="nothing is changed"):
        levers_of(WhatIfRequest("m", churn=0.0))


def test_a_usual_change_that_is_out_of_reach_is_left_out_and_named(
    command: tuple[str, ...], stagecast: Stagecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as in a shop whose second orders come within days
    monkeypatch.setattr(job, "USUAL", Levers(-0.05, -300.0, 0.05))
    made = json.loads(stagecast(*command, "--json").out)
    assert [s["name"] for s in made["scenarios"]] == [
        "as it is",
        "churn -5%",
        "basket +5%",
        "together",
    ]
    assert made["assumptions"][0].startswith("Left out: --second-order -300d: half of")


def test_options_of_other_commands_in_a_configuration_are_not_taken_for_changes(
    command: tuple[str, ...], stagecast: Stagecast
) -> None:
    Path("stagecast.toml").write_text('churn = "inactivity"\nby = "channel"\n', "utf-8")
    done = stagecast(*command, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["levers"]["churn"] == -0.05
    Path("stagecast.toml").write_text('[whatif]\nchurn-change = "-8%"\nwhatif-by = "state"\n')
    made = json.loads(stagecast(*command, "--json").out)
    assert made["levers"] == {"churn": -0.08, "second_order_days": 0.0, "basket": 0.0}
    assert made["by"] == "state"


def test_a_log_without_amounts_is_refused(
    shop: Path, command: tuple[str, ...], stagecast: Stagecast
) -> None:
    done = stagecast("whatif", shop / "bare.csv", *command[2:])
    assert done.code == 3
    assert "--amount COL" in done.err


def test_a_tiny_log_has_not_enough_data(tmp_path: Path, stagecast: Stagecast) -> None:
    rows: list[Row] = [(f"c{k}", day(5.0 * k), "purchase", 10.0) for k in range(8)]
    frame_of(rows).to_csv(tmp_path / "events.csv", index=False)
    trained(rows, tmp_path / "model", day(40), TrainConfig(horizon_days=20))
    paths = (tmp_path / "events.csv", "--model", tmp_path / "model")
    done = stagecast("whatif", *paths, "--as-of", "2020-02-10")
    assert done.code == 4
    assert "no customer base" in done.err

"""The command line as programs call it: what it writes, what it prints, and how it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.events import read_events
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving import pipeline
from stagecast.training.config import TrainConfig
from tests.serving.calling import Stagecast
from tests.training.made import unevaluated


def test_other_addresses_are_refused_without_keys(stagecast: Stagecast) -> None:
    result = stagecast("serve", "--host", "0.0.0.0")
    assert result.code == 2
    assert "STAGECAST_API_KEYS" in result.err


SMALL = "customer_id,timestamp,amount\na,2024-01-01,1\na,2024-02-01,2\nb,2024-02-03,5\n"
BAD = [
    ("", (), 3, "empty"),
    ("customer_id,timestamp\n", (), 3, "no rows"),
    (
        "cust,when,total\na,2024-01-01,1\n",
        (),
        3,
        "It has: cust, when, total. Name the right one with --customer COL",
    ),
    ("customer_id,when\na,2024-01-01\n", (), 3, "--time COL"),
    ("customer_id,timestamp,amount\na,xx,1\nb,01/02/2025,1\n", (), 3, "line 2"),
    (SMALL, ("--as-of", "2020-01-01"), 2, "does not stand after the first event (2024-01-01)"),
    (SMALL, ("--as-of", "2030-01-01"), 2, "days after the last event (2024-02-03)"),
    (SMALL, ("--as-of", "yesterday"), 2, "not an ISO 8601 date"),
    (SMALL, ("--horizon", "900d"), 2, "longer than the history: 34"),
    (SMALL, ("--horizon", "3mo"), 2, "no fixed length"),
    (SMALL, ("--horizon", "0d"), 2, "below one day"),
    (SMALL, ("--horizon", "20d", "--stages", "retial"), 2, "Did you mean 'retail'?"),
    (SMALL, ("--horizon", "20d", "--margin", "7"), 2, "margin = 7.0 must be"),
    (SMALL, ("--amount", "amount + price"), 3, "price"),
    (SMALL, ("--amount", "system('x')"), 2, "system"),
    (
        "customer_id,timestamp,event\na,2024-01-01,visit\nb,2024-02-20,visit\n",
        ("--horizon", "20d"),
        4,
        "nobody",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "options", "code", "words"), BAD)
def test_bad_input_is_a_clear_error_and_leaves_nothing(
    stagecast: Stagecast, text: str, options: tuple[str, ...], code: int, words: str
) -> None:
    Path("log.csv").write_text(text)
    result = stagecast("run", "log.csv", "--out", "out", "--no-track", *options)
    assert (result.code, words in result.err) == (code, True), result.err
    assert "Traceback" not in result.err
    assert sorted(p.name for p in Path().iterdir()) == ["log.csv"]


def test_a_few_customers_get_the_rule_and_are_told_so(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    result = stagecast("run", "log.csv", "--out", "out", "--no-track", "--horizon", "20d")
    assert result.code == 0, result.err
    rows = pq.read_table("out/scores.parquet").to_pandas()
    assert set(rows["method"]) == {"rule"}
    assert rows["low_data"].all()
    assert rows["p_inactive"].between(0.01, 0.99).all()
    assert "method: rule" in result.out


@pytest.mark.slow
def test_a_horizon_shorter_than_the_usual_gap_is_said_first_as_check_says_it(
    stagecast: Stagecast,
) -> None:
    lines = [
        f"c{k},{date(2023, 1, 1) + timedelta(days=k % 29 + 45 * n)},9"
        for k in range(30)
        for n in range(5)
    ]
    Path("log.csv").write_text("\n".join(["customer_id,timestamp,amount", *lines]))
    asked = ("log.csv", "--horizon", "30d")
    note = json.loads(stagecast("check", *asked, "--json").out)["readiness"]["notes"][0]
    assert note.startswith("the usual gap between purchase days of a customer is 45 days")
    assert note.endswith("--horizon 91d would hold two")
    with unevaluated():
        result = stagecast("run", *asked, "--out", "out", "--no-track")
    assert result.code == 0, result.err
    assert result.out.splitlines()[0] == f"warning: {note}"
    report = Path("out/report.html").read_text("utf-8")
    assert report.index(f"T{note[1:]}.") < report.index("active customers")
    card = json.loads(Path("out/model/card.json").read_text())
    assert card["horizon_note"] == note
    longer = json.loads(stagecast("check", "log.csv", "--horizon", "91d", "--json").out)
    assert longer["readiness"]["notes"] == []


@pytest.mark.slow
def test_a_few_customers_are_not_held_against_assumed_gaps(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    result = stagecast("stages", "log.csv", "--as-of", "2025-01-01", "--out", "s.csv")
    assert "at_risk_ratio 2 (assumed)" in result.out
    assert "the usual gap is not known" in result.out
    assert "at_risk_ratio, assumed)" in Path("s.csv").read_text()
    answer = json.loads(stagecast("stages", "log.csv", "--out", "s.csv", "--json").out)
    assert answer["assumed"] == ["at_risk_ratio", "shop_gap_days"]
    stagecast("run", "log.csv", "--out", "out", "--no-track", "--horizon", "20d")
    report = Path("out/report.html").read_text("utf-8")
    assert "the usual gap is 60" not in report
    assert "The usual gap between two orders is not known" in report


@pytest.mark.slow
def test_an_output_folder_with_another_run_is_refused_without_force(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    run = ("run", "log.csv", "--out", "out", "--no-track", "--horizon", "20d")
    assert stagecast(*run).code == 0
    before = Path("out/scores.parquet").read_bytes()
    refused = stagecast(*run)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert stagecast(*run, "--force").code == 0
    assert Path("out/scores.parquet").read_bytes() == before
    Path("out/thesis.txt").write_text("mine")
    remaining = stagecast(*run, "--force")
    assert (remaining.code, "thesis.txt" in remaining.err) == (2, True)
    assert Path("out/thesis.txt").read_text() == "mine"


@pytest.mark.slow
def test_an_interrupted_run_leaves_nothing_and_the_former_run_stands(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(SMALL)
    config = TrainConfig(horizon_days=20)
    out = tmp_path / "out"

    def stop_at(step: str) -> Callable[[str], None]:
        def say(name: str) -> None:
            if name == step:
                raise KeyboardInterrupt

        return say

    with read_events(tmp_path / "log.csv") as log:
        pipeline.run(log, out, config)
        before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
        for step in ("models", "scores and reasons", "report"):
            with pytest.raises(KeyboardInterrupt):
                pipeline.run(log, out, config, force=True, say=stop_at(step))
            assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before
            assert sorted(p.name for p in tmp_path.iterdir()) == ["log.csv", "out"]


@pytest.mark.slow
def test_every_option_can_stand_in_the_file(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(
        "who,at,n,each\na,2024-01-01,2,1.5\na,2024-02-01,1,2\nb,2024-02-03,1,5\n"
    )
    Path("stagecast.toml").write_text(
        'customer = "who"\ntime = "at"\namount = "n * each"\nhorizon = "20d"\ntrack = '
        'false\n[run]\nout = "there"\n'
    )
    result = stagecast("run", "log.csv", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["horizon_days"] == 20
    assert pq.read_table("there/scores.parquet")["spend"].to_pylist() == [5.0, 5.0]
    Path("other.toml").write_text('custommer = "who"\n')
    wrong = stagecast("check", "log.csv", "--config", "other.toml")
    assert (wrong.code, "Did you mean 'customer'?" in wrong.err) == (2, True)


def test_the_file_of_a_run_stands_in_no_way_of_commands_within_commands(
    stagecast: Stagecast,
) -> None:
    Path("stagecast.toml").write_text('horizon = "20d"\n[plan]\nstore = "sqlite:///mine.db"\n')
    listed = stagecast("plan", "list")
    assert listed.code == 0, listed.err
    assert Path("mine.db").exists()
    Path("stagecast.toml").write_text('horizont = "20d"\n')
    wrong = stagecast("plan", "list")
    assert (wrong.code, "Did you mean 'horizon'?" in wrong.err) == (2, True)


def test_an_option_named_like_a_command_stands_in_no_way_of_that_command(
    stagecast: Stagecast,
) -> None:
    Path("log.csv").write_text(SMALL)
    Path("stagecast.toml").write_text('stages = "crm5"\nstore = "sqlite:///mine.db"\n')
    assert stagecast("plan", "list").code == 0  # makes the store
    for command in (("stages", "log.csv", "--out", "stages.csv"), ("store", "backup", "copy.db")):
        done = stagecast(*command)
        assert done.code == 0, done.err
    stages = {stage.id for stage in load_scheme("crm5").stages}
    assert set(pd.read_csv("stages.csv")["stage"]) <= stages
    Path("stagecast.toml").write_text('plan = "autumn"\n')
    wrong = stagecast("plan", "list")
    assert (wrong.code, "'plan' must be a table of options" in wrong.err) == (2, True)


def test_a_slip_in_ones_own_features_names_the_file_that_it_stands_in(stagecast: Stagecast) -> None:
    Path("log.csv").write_text("customer_id,timestamp\na,2024-01-01\n")
    Path("other.toml").write_text('[catalog.calls]\ncolour = "red"\n')
    wrong = stagecast("features", "log.csv", "--out", "f.parquet", "--config", "other.toml")
    assert wrong.code == 2
    assert "other.toml" in wrong.err
    assert "colour" in wrong.err
    assert "stagecast.toml" not in wrong.err


def test_a_calendar_that_is_not_written_so_is_refused_before_anything_is_read(
    stagecast: Stagecast,
) -> None:
    Path("shop.toml").write_text('[[calendar]]\nkind = "sale"\nfrom = 2024-02-02\nuntil = 3\n')
    output = stagecast("train", "none.csv", "--out", "model", "--config", "shop.toml")
    assert output.code == 2
    assert "shop.toml: [[calendar]] 1: unknown key 'until'" in output.err


@pytest.mark.slow
def test_own_limits_of_rfm_are_used_and_a_slip_names_its_file(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    Path("own.toml").write_text(
        'track = false\nhorizon = "20d"\n[rfm]\nbins = 3\norders = [2]\nspend = [1e9]\n'
    )
    done = stagecast("run", "log.csv", "--out", "there", "--config", "own.toml")
    assert done.code == 0, done.err
    scores = pq.read_table("there/scores.parquet").to_pylist()
    texts = [(row["orders"], row["rfm"]) for row in scores if row["orders"]]
    assert {text[1] for orders, text in texts if orders == 1} <= {"1"}
    assert {text[1] for orders, text in texts if orders > 1} <= {"2"}
    assert {text[2] for _, text in texts} == {"1"}
    assert "F, orders so far: 1 less than 2; 2 more (for segments 1 as 1, 2 as 5)." in (
        Path("there/report.html").read_text("utf-8")
    )
    Path("slip.toml").write_text("[rfm]\nbuns = 3\n")
    wrong = stagecast("train", "log.csv", "--out", "model", "--config", "slip.toml")
    assert wrong.code == 2
    assert "slip.toml: [rfm] has no 'buns'" in wrong.err
    assert "Did you mean 'bins'?" in wrong.err


def test_category_and_discount_are_mapped_and_named_in_the_report(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(
        "customer_id,timestamp,amount,group,rebate\na,2024-01-01,9,Tea,1\na,2024-01-02,8,Tea,2%\n"
    )
    mapped = ("--category", "group", "--discount-amount", "rebate")
    report = json.loads(stagecast("check", "log.csv", *mapped, "--json").out)
    assert (report["columns"]["category"], report["columns"]["discount"]) == ("group", "rebate")
    assert report["rejected_by_reason"] == {"unreadable_discount": 1}


def test_the_yearly_discount_and_a_column_of_discounts_are_two_options(
    stagecast: Stagecast,
) -> None:
    Path("log.csv").write_text(SMALL)
    Path("own.toml").write_text('discount = 11\ndiscount-amount = "NULL"\n')
    result = stagecast("train", "log.csv", "--out", "model", "--config", "own.toml")
    assert (result.code, "annual_discount = 11" in result.err) == (2, True)


def test_check_tells_what_is_refused_and_writes_it(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL + ",2024-02-04,1\nc,2024-13-01,1\n")
    result = stagecast("check", "log.csv", "--out", "checked", "--json")
    report = json.loads(result.out)
    assert report["rejected_by_reason"] == {"missing_customer": 1, "unreadable_time": 1}
    assert pq.read_table("checked/rejected.parquet")["line"].to_pylist() == [5, 6]
    assert "line 6" in stagecast("check", "log.csv").out


def test_stages_are_written_as_csv_and_parquet(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    for name in ("stages.csv", "stages.parquet"):
        assert stagecast("stages", "log.csv", "--out", name).code == 0
    actual = pq.read_table("stages.parquet").to_pandas()
    assert actual.columns.tolist() == ["customer_id", "stage", "stage_since", "stage_rule"]
    assert (
        pd.read_csv("stages.csv")["stage"].tolist() == actual["stage"].tolist() == ["repeat", "new"]
    )
    assert stagecast("stages", "log.csv", "--out", "stages.xlsx").code == 2


def test_a_model_is_not_asked_about_a_day_before_its_training(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(SMALL)
    assert (
        stagecast("train", "log.csv", "--out", "model", "--no-track", "--horizon", "20d").code == 0
    )
    early = stagecast(
        "score", "log.csv", "--model", "model", "--out", "s.csv", "--as-of", "2024-02-02"
    )
    assert (early.code, "learned from what came after" in early.err) == (2, True)
    assert (
        stagecast("train", "log.csv", "--out", "model", "--no-track", "--horizon", "20d").code == 2
    )
    assert not Path("s.csv").exists()


def test_features_are_listed_with_unit_and_meaning(stagecast: Stagecast) -> None:
    listed = {
        feature["name"]: feature for feature in json.loads(stagecast("features", "--json").out)
    }
    assert listed["recency_days"]["unit"] == "days"
    assert "overdue_ratio" in stagecast("features").out

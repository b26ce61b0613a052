"""`backtest` as people call it: what it writes, prints and shows, and how it fails."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.demo import cdnow_frame
from stagecast.serving.jobs.backtest import replay_notes
from stagecast.serving.requests import ReplayPlan
from stagecast.training.baselines.buyers import LABELS
from tests.serving.calling import Stagecast
from tests.training.made import frame_of, simulated_rows

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_draws")]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every tenth customer of the CDNOW log."""
    frame = cdnow_frame()
    remaining = sorted(frame["customer_id"].unique())[::10]
    path = tmp_path_factory.mktemp("log") / "cdnow.csv"
    frame[frame["customer_id"].isin(remaining)].to_csv(path, index=False)
    return path


class Page(HTMLParser):
    """Counts what opens and closes, and keeps what the page asks for from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "br", "path", "line", "rect", "circle"}:
            self.open.append(tag)
        self.fetched += [
            str(value)
            for name, value in attrs
            if name == "src" or (name == "href" and value and value[0] != "#")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_cdnow_is_replayed_and_the_blend_is_no_worse_than_its_best_peer(
    stagecast: Stagecast, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "backtest"
    result = stagecast("backtest", log, "--out", out, "--dates", 2, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report == {
        "out": str(out),
        **json.loads((out / "backtest.json").read_text(encoding="utf-8")),
    }
    assert [date["as_of"] for date in report["dates"]] == ["1998-01-02", "1998-04-02"]
    assert [row["name"] for row in report["models"]] == ["stagecast", *LABELS]
    ours, *others = report["models"]
    assert ours["log_loss"] < 1.001 * min(row["log_loss"] for row in others)
    assert ours["calibration_error"] < 0.03
    assert report["grade"] in "ABC"
    assert abs(report["spend"][0]["bias"]) < 0.3
    assert 0.85 < report["coverage"]["expected_spend"] < 0.97
    rows = pq.read_table(out / "predictions.parquet")
    assert rows.num_rows == report["rows"] == sum(date["customers"] for date in report["dates"])
    assert {f"p_inactive_{name}" for name in ("stagecast", *LABELS)} <= set(rows.column_names)
    text = (out / "backtest.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert (page.open, page.fetched) == ([], [])
    assert report["grade_sentence"] in text
    again = stagecast("backtest", log, "--out", out)
    assert again.code == 2
    assert "--force" in again.err


def test_a_terminal_shows_the_grade_and_every_method(stagecast: Stagecast, tmp_path: Path) -> None:
    frame_of(simulated_rows(300, 300, 3), amounts=False).to_csv(tmp_path / "small.csv", index=False)
    result = stagecast(
        "backtest",
        tmp_path / "small.csv",
        "--out",
        tmp_path / "out",
        "--horizon",
        "60d",
        "--dates",
        3,
        "--step",
        "200d",
    )
    assert result.code == 0, result.err
    fewer = "1 of the 3 past dates that were asked for was replayed"
    assert f"\nnote: {fewer}" in result.out
    assert result.out.startswith("grade ")
    assert all(label in result.out for label in LABELS.values())
    assert "spend" not in result.out
    text = (tmp_path / "out" / "backtest.html").read_text(encoding="utf-8")
    assert "How much is spent" not in text
    assert fewer in text
    stored = json.loads((tmp_path / "out" / "backtest.json").read_text(encoding="utf-8"))
    assert [note[: len(fewer)] for note in stored["notes"]] == [fewer]


def test_too_young_a_log_is_refused_and_leaves_nothing(
    stagecast: Stagecast, tmp_path: Path
) -> None:
    frame_of(simulated_rows(60, 100, 3)).to_csv(tmp_path / "young.csv", index=False)
    result = stagecast(
        "backtest", tmp_path / "young.csv", "--out", tmp_path / "out", "--horizon", "60d"
    )
    assert result.code == 4
    assert "120 days" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["young.csv"]


def test_the_value_is_tested_where_a_value_horizon_has_passed(
    stagecast: Stagecast, tmp_path: Path
) -> None:
    frame = frame_of(simulated_rows(250, 660, 3))
    frame = frame[frame["event"] == "purchase"]
    frame.to_csv(tmp_path / "old.csv", index=False)
    done = stagecast(
        "backtest", tmp_path / "old.csv", "--out", "out", "--horizon", "60d", "--dates", 1, "--json"
    )
    assert done.code == 0, done.err
    value = json.loads(done.out)["value"]
    until = pd.Timestamp(value["until"], tz="UTC")
    as_of = pd.Timestamp(value["as_of"], tz="UTC")
    assert until - as_of == pd.Timedelta(days=365)
    # worked out anew: what came from those who had bought by then, discounted at 10 % a year
    at = pd.to_datetime(frame["timestamp"], utc=True)
    bought_before = set(frame["customer_id"][at < as_of])
    later = frame[(at >= as_of) & (at < until) & frame["customer_id"].isin(bought_before)]
    came = later["amount"].sum()
    assert value["customers"] == len(bought_before)
    for method in value["models"]:
        assert 0.88 * came < method["actual_total"] < came
    assert {"stagecast", "last_year", "bg_nbd"} <= {method["name"] for method in value["models"]}
    text = (tmp_path / "out" / "backtest.html").read_text(encoding="utf-8")
    assert value["grade_sentence"] in text
    assert "the spend of the last year again" in text


def test_windows_that_overlap_are_told() -> None:
    (note,) = replay_notes(ReplayPlan(4, 30), 90, 4)
    assert note.startswith("the dates are 30 days apart and look 90 days ahead")
    assert replay_notes(ReplayPlan(1, 30), 90, 1) == ()
    assert replay_notes(ReplayPlan(4, 90), 90, 4) == ()
    assert len(replay_notes(ReplayPlan(4, 30), 90, 2)) == 2

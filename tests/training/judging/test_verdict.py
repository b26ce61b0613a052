"""The verdict on replays: figures that agree with the metrics, intervals that cover, grades that
are earned.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from stagecast.serving.reports.backtest_report import render_backtest
from stagecast.training.judging.backtest import OURS, Replay
from stagecast.training.judging.verdict import grade_of, verdict
from stagecast.training.learners import metrics
from tests.training.made import day


def made(
    seed: int, noise: float = 1.0, rows: int = 1_500, *, money: bool = True, at: float = 0.0
) -> Replay:
    """Return a date whose outcomes are drawn from our probabilities; baselines see these through
    noise.
    """
    random = np.random.default_rng(seed)
    margin = random.normal(0.5, 1.5, rows)
    p = expit(margin)
    inactive = random.random(rows) < p
    spend = np.where(inactive, 0.0, random.gamma(2.0, 20.0, rows))
    expected = {OURS: (1 - p) * 40.0, "btyd": (1 - p) * 30.0}
    return Replay(
        as_of=day(at),
        customers=tuple(f"c{k}" for k in range(rows)),
        inactive=inactive,
        spend_came=spend,
        p_inactive={
            OURS: p,
            "recency": np.full(rows, float(p.mean())),
            "bg_nbd": expit(margin + noise * random.normal(0, 1, rows)),
        },
        churn="inactivity",
        expected_spend=expected if money else {},
        low=np.zeros(rows) if money else None,
        high=np.full(rows, 1e9) if money else None,
        evaluation={
            "next_stage": [
                {"name": OURS, "label": OURS, "log_loss": 0.5, "calibration_error": 0.01}
            ],
            "conversion": None,
            "coverage": None,
        },
        used={"method": "blend", "weights": {}, "level": 0.0, "past_dates": []},
    )


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return verdict([made(1), made(2, at=60)], 60, 1)


def test_figures_are_the_means_over_the_dates(told: dict[str, Any]) -> None:
    dates = [made(1), made(2)]
    ours, recency, bg = told["models"]
    assert [row["name"] for row in told["models"]] == [OURS, "recency", "bg_nbd"]
    for row, name in ((ours, OURS), (bg, "bg_nbd"), (recency, "recency")):
        ps = [(one.inactive, one.p_inactive[name]) for one in dates]
        assert row["log_loss"] == pytest.approx(np.mean([metrics.log_loss(*pair) for pair in ps]))
        assert row["auc"] == pytest.approx(np.mean([metrics.auc(*pair) for pair in ps]))
        assert row["brier"] == pytest.approx(np.mean([metrics.brier(*pair) for pair in ps]))
        assert row["lift_10"] == pytest.approx(row["capture_10"] / 0.1)
        assert row["log_loss_low"] < row["log_loss"] < row["log_loss_high"]
    assert recency["auc"] == pytest.approx(0.5)
    assert recency["capture_20"] == pytest.approx(0.2)
    assert told["coverage"]["expected_spend"] == 1.0
    assert told["spend"][0]["mae"] == pytest.approx(
        np.mean([np.abs(one.spend_came - one.expected_spend[OURS]).mean() for one in dates])
    )
    assert sum(group["customers"] for group in told["deciles"]) == told["rows"] == 3_000
    assert told["customers"] == 1_500


def test_differences_are_paired(told: dict[str, Any]) -> None:
    recency, bg = told["against"]
    for one, row in ((recency, told["models"][1]), (bg, told["models"][2])):
        assert one["difference"] == pytest.approx(told["models"][0]["log_loss"] - row["log_loss"])
        assert one["low"] < one["difference"] < one["high"] < 0
        assert one["better_in"] == 1.0
    # both methods see the same draws, so their difference is surer than either of them
    row = told["models"][2]
    assert bg["high"] - bg["low"] < 0.7 * (row["log_loss_high"] - row["log_loss_low"])


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    # the truth of the log loss of our own probabilities: its mean over very many customers
    truth = np.mean(
        [
            metrics.log_loss((big := made(1_000 + k, rows=50_000)).inactive, big.p_inactive[OURS])
            for k in range(4)
        ]
    )
    held = 0
    for seed in range(60):
        row = verdict([made(seed, rows=300, money=False)], 60, seed)["models"][0]
        held += row["log_loss_low"] <= truth <= row["log_loss_high"]
    assert 50 <= held <= 60


def test_the_same_seed_gives_the_same_figures(told: dict[str, Any]) -> None:
    again = verdict([made(1), made(2, at=60)], 60, 1)
    assert json.dumps(again, allow_nan=False) == json.dumps(told, allow_nan=False)


def test_one_class_only_is_told_without_a_number_that_is_none() -> None:
    one = made(3)
    quiet = replace(one, inactive=np.ones(len(one.customers), dtype=np.bool_))
    found = verdict([quiet], 60, 1)
    assert found["models"][0]["auc"] is None
    assert found["models"][0]["empc"] is None
    json.dumps(found, allow_nan=False)
    # a date that has no AUC does not take it from the others
    both = verdict([quiet, made(2, at=60)], 60, 1)
    assert both["models"][0]["auc"] == pytest.approx(
        verdict([made(2, at=60)], 60, 1)["models"][0]["auc"]
    )
    for told in (found, both):
        assert "Backtest" in render_backtest({"as_of": "2020-01-01", **told})


def test_what_is_divided_by_nothing_is_no_number() -> None:
    one = made(5)
    # one who says nothing where nothing came, and a shop that gave back more than it took
    free = replace(
        one,
        spend_came=np.zeros(1_500),
        expected_spend={**one.expected_spend, "btyd": np.zeros(1_500)},
    )
    found = verdict([free], 60, 1)
    assert found["spend_against"][0]["relative"] is None
    assert found["spend"][0]["bias"] is None
    back = verdict([replace(one, spend_came=-one.spend_came)], 60, 1)
    assert (back["coverage"]["width"], back["spend_deciles"][0]["held"]) == (None, None)
    for told in (found, back):
        json.dumps(told, allow_nan=False)
        assert "Backtest" in render_backtest({"as_of": "2020-01-01", **told})


def test_a_date_with_one_customer_spoils_no_interval() -> None:
    found = verdict([made(6, rows=1), made(7, at=60)], 60, 1)
    assert all(np.isfinite([row["low"], row["high"]]).all() for row in found["against"])
    json.dumps(found, allow_nan=False)


def test_without_money_there_is_none(told: dict[str, Any]) -> None:
    found = verdict([made(4, money=False)], 60, 1)
    assert (found["spend"], found["spend_against"], found["spend_deciles"], found["coverage"]) == (
        [],
        [],
        [],
        None,
    )
    assert "value" not in found["deciles"][0]
    assert told["deciles"][0]["value"] < told["deciles"][-1]["value"]


def row(name: str, loss: float) -> dict[str, Any]:
    return {"name": name, "label": name, "log_loss": loss}


@pytest.mark.parametrize(
    ("ours", "low", "high", "grade", "words"),
    [
        (0.97, -0.04, -0.02, "A", "3.0% below that of rule, the best of the others, beyond chance"),
        (0.97, -0.07, 0.01, "B", "which chance among customers could bring about"),
        (0.99, -0.02, -0.001, "B", "1.0% below"),
        (
            0.998,
            -0.003,
            -0.001,
            "B",
            "0.2% below that of rule, the best of the others, beyond chance",
        ),
        (0.998, -0.01, 0.01, "C", "As good as"),
        (1.004, 0.001, 0.01, "C", "0.4% above"),
        (1.02, -0.01, 0.05, "C", "within chance no worse: the log loss is 2.0% above"),
        (1.02, 0.01, 0.03, "D", "Use that method"),
    ],
)
def test_grades_at_their_borders(
    ours: float, low: float, high: float, grade: str, words: str
) -> None:
    against = [{"name": "rule", "low": low, "high": high}]
    found, sentence = grade_of([row(OURS, ours), row("rule", 1.0)], against)
    assert found == grade
    assert words in sentence


def test_without_a_baseline_there_is_no_praise() -> None:
    assert grade_of([row(OURS, 0.1)], [])[0] == "C"


def test_the_sentence_speaks_of_the_best_baseline() -> None:
    # the best is beaten beyond chance, another only within it
    against = [
        {"name": "rule", "low": -0.02, "high": -0.01},
        {"name": "noisy", "low": -0.3, "high": 0.1},
    ]
    grade, sentence = grade_of([row(OURS, 0.98), row("rule", 1.0), row("noisy", 1.1)], against)
    assert (grade, sentence.endswith("beyond chance.")) == ("B", True)

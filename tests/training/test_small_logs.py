"""Whole trainings on small and steady logs: held out, against the regression that is printed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.engines.duckdb import DailyTable
from stagecast.training.config import TrainConfig
from stagecast.training.judging.evaluate import evaluate, observed_outcomes
from stagecast.training.models import predict
from tests.training.made import Row, check_contract, day, log_of, trained

pytestmark = pytest.mark.slow
CONFIG = TrainConfig(horizon_days=30, max_dates=4)


def payments(customers: int, leave: float, days: int, *, gap: float, noise: float) -> list[Row]:
    """Return steady purchases of one price, each the last one with probability ``leave``."""
    random = np.random.default_rng(11)
    rows: list[Row] = []
    for k in range(customers):
        at, price = float(random.uniform(0, 0.5 * days)), float(random.choice([9.0, 15.0, 29.0]))
        while at < days:
            rows.append((f"c{k:04d}", day(at), "purchase", price))
            if random.random() < leave:
                break
            at += max(1.0, gap + float(random.normal(0, noise)))
    return rows


def test_monthly_payers_are_as_good_as_the_regression_that_is_printed(tmp_path: Path) -> None:
    rows, as_of = payments(130, 0.15, 240, gap=30, noise=0.7), day(200)
    done = trained(rows, tmp_path / "m", as_of, CONFIG, evaluated=False)
    training = done.training
    churn = training.models.churn
    assert (churn.method, churn.few_customers) == ("blend", True)
    check_contract(done.scores())
    assert done.scores()["low_data"].to_pylist() == [True] * len(done.scores())
    with log_of(rows) as log:
        table = DailyTable(log.con, as_of + timedelta(days=30))
        later = observed_outcomes(table, training.panel, 30)
    predicted = predict(training.models, training.panel.now)
    held_out = evaluate(training.panel, training.models, predicted, later, None)
    assert held_out is not None
    loss = {method.name: method.log_loss for method in held_out.models}
    assert loss["stagecast"] < 1.02 * loss["rfm_logistic"]
    assert loss["stagecast"] < 0.8 * loss["bg_nbd"]
    ours, chain = (method.log_loss for method in held_out.next_stage)
    assert ours < chain < 1.0
    assert held_out.active is not None
    assert held_out.active.customers < held_out.customers


def test_who_buys_every_other_day_goes_on(tmp_path: Path) -> None:
    rows = payments(100, 0.0, 120, gap=2, noise=0.2)
    scores = trained(rows, tmp_path / "m", day(120), CONFIG, evaluated=False).scores().to_pandas()
    assert len(scores) == 100
    assert set(scores["next_stage"]) <= {"repeat", "loyal"}
    assert (scores["p_stage_sleeping"] < 0.1).all()


def test_where_nobody_leaves_the_note_says_that_value_at_risk_ranks_nobody(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows: list[Row] = []
    for k in range(400):
        at = float(random.uniform(0, 500))
        while at < 700:
            rows.append((f"c{k:04d}", day(at), "purchase", float(random.uniform(300, 900))))
            at += float(random.exponential(900))
    config = TrainConfig(horizon_days=90, max_dates=4)
    done = trained(rows, tmp_path / "m", day(700), config, evaluated=False)
    scores = done.scores().to_pandas()
    active = scores[scores["state"] == "active"]
    report = [note for note in done.training.notes if "buy rarely rather than leave" in note]
    assert active["value_at_risk"].sum() < 0.01 * active["clv"].sum()
    assert len(report) == 1
    assert "Rank them by clv" in report[0]

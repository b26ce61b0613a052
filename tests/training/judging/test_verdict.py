"""The verdict on replays: figures that agree with the metrics, and intervals that cover."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from stagecast.features.plain_json import to_json
from stagecast.serving.reports.backtest_report import render_backtest
from stagecast.training.churn_kinds.learned import LearnedFrom
from stagecast.training.judging import draws
from stagecast.training.judging.backtest import Replay
from stagecast.training.judging.evaluation_result import OURS, StageFigures
from stagecast.training.judging.verdict import verdict
from stagecast.training.judging.verdict_result import Verdict
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
        observed_spend=spend,
        p_inactive={
            OURS: p,
            "recency": np.full(rows, float(p.mean())),
            "bg_nbd": expit(margin + noise * random.normal(0, 1, rows)),
        },
        churn="inactivity",
        expected_spend=expected if money else {},
        low=np.zeros(rows) if money else None,
        high=np.full(rows, 1e9) if money else None,
        next_stage=(StageFigures(OURS, OURS, log_loss=0.5, calibration_error=0.01),),
        conversion=None,
        coverage=None,
        learned_from=LearnedFrom(method="blend", weights={}, level=0.0, past_dates=()),
    )


@pytest.fixture(scope="module")
def result() -> Verdict:
    return verdict([made(1), made(2, at=60)], 60, 1)


@pytest.fixture
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw customers a few times only, where no interval is looked at."""
    monkeypatch.setattr(draws, "DRAWS", 20)
    monkeypatch.setattr(draws, "FEWEST_DRAWS", 20)


def as_text(result: Verdict) -> str:
    return json.dumps(to_json(result), allow_nan=False)


def test_figures_are_the_means_over_the_dates(result: Verdict) -> None:
    dates = [made(1), made(2)]
    ours, recency, bg = result.models
    assert [method.name for method in result.models] == [OURS, "recency", "bg_nbd"]
    for method in (ours, bg, recency):
        pairs = [(date.inactive, date.p_inactive[method.name]) for date in dates]
        for figure in (metrics.log_loss, metrics.auc, metrics.brier):
            assert getattr(method, figure.__name__) == pytest.approx(
                np.mean([figure(*pair) for pair in pairs])
            )
        assert method.lift_10 == pytest.approx(method.capture_10 / 0.1)
        assert method.log_loss_low < method.log_loss < method.log_loss_high
    assert recency.auc == pytest.approx(0.5)
    assert recency.capture_20 == pytest.approx(0.2)
    assert result.coverage.expected_spend == 1.0
    assert result.spend[0].mae == pytest.approx(
        np.mean([np.abs(date.observed_spend - date.expected_spend[OURS]).mean() for date in dates])
    )
    assert sum(group.customers for group in result.deciles) == result.rows == 3_000
    assert result.customers == 1_500


def test_differences_are_paired(result: Verdict) -> None:
    ours, *baselines = result.models
    for difference, baseline in zip(result.against, baselines, strict=True):
        assert difference.difference == pytest.approx(ours.log_loss - baseline.log_loss)
        assert difference.low < difference.difference < difference.high < 0
        assert difference.better_in == 1.0
    # both methods see the same draws, so their difference is surer than either of them
    bg, of_bg = baselines[1], result.against[1]
    assert of_bg.high - of_bg.low < 0.7 * (bg.log_loss_high - bg.log_loss_low)


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    # the truth of the log loss of our own probabilities: its mean over very many customers
    truth = np.mean(
        [
            metrics.log_loss((big := made(1_000 + k, rows=50_000)).inactive, big.p_inactive[OURS])
            for k in range(4)
        ]
    )
    covered = 0
    for seed in range(30):
        date = made(seed, rows=300, money=False)
        date = replace(date, p_inactive={name: date.p_inactive[name] for name in (OURS, "recency")})
        ours = verdict([date], 60, seed).models[0]
        covered += ours.log_loss_low <= truth <= ours.log_loss_high
    assert 25 <= covered <= 30


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(result: Verdict) -> None:
    again = verdict([made(1), made(2, at=60)], 60, 1)
    assert as_text(again) == as_text(result)
    assert render_backtest(again, "2020-01-01") == render_backtest(result, "2020-01-01")


@pytest.mark.slow
def test_money_is_shown_in_a_currency(result: Verdict) -> None:
    bare, pounds = (render_backtest(result, "2020-01-01", None, code) for code in (None, "GBP"))
    assert "£" not in bare
    error = f"£{result.spend[0].mae:,.2f}"
    spent = f"£{result.deciles[0].value:,.0f}"
    for text in (error, spent, "spend per customer, GBP: bars came, dots expected"):
        assert text in pounds, text


@pytest.mark.slow
@pytest.mark.usefixtures("_few_draws")
def test_a_figure_of_one_class_only_is_null() -> None:
    replay = made(3)
    quiet = replace(replay, inactive=np.ones(len(replay.customers), dtype=np.bool_))
    alone = verdict([quiet], 60, 1)
    assert alone.models[0].auc is None
    assert alone.models[0].empc is None
    # a date that has no AUC does not take it from the others
    both = verdict([quiet, made(2, at=60)], 60, 1)
    assert both.models[0].auc == pytest.approx(verdict([made(2, at=60)], 60, 1).models[0].auc)
    for result in (alone, both):
        as_text(result)
        assert "Backtest" in render_backtest(result, "2020-01-01")


@pytest.mark.usefixtures("_few_draws")
def test_where_nobody_left_there_is_no_lift() -> None:
    replay = made(3)
    loyal = verdict(
        [replace(replay, inactive=np.zeros(len(replay.customers), dtype=np.bool_))], 60, 1
    )
    assert (loyal.models[0].capture_10, loyal.models[0].lift_10) == (None, None)
    assert {"capture_10", "lift_10"} & set(to_json(loyal)["models"][0]) == {"capture_10"}


@pytest.mark.slow
@pytest.mark.usefixtures("_few_draws")
def test_a_ratio_to_nothing_is_null() -> None:
    replay = made(5)
    # a method that expects nothing where nothing was spent, and a shop that returned more money
    # than it took
    free = replace(
        replay,
        observed_spend=np.zeros(1_500),
        expected_spend={**replay.expected_spend, "btyd": np.zeros(1_500)},
    )
    nothing = verdict([free], 60, 1)
    assert nothing.spend_against[0].relative is None
    assert nothing.spend[0].bias is None
    returned = verdict([replace(replay, observed_spend=-replay.observed_spend)], 60, 1)
    assert (returned.coverage.width, returned.spend_deciles[0].held) == (None, None)
    for result in (nothing, returned):
        as_text(result)
        assert "Backtest" in render_backtest(result, "2020-01-01")


def test_a_date_with_one_customer_spoils_no_interval() -> None:
    result = verdict([made(6, rows=1), made(7, at=60)], 60, 1)
    assert all(np.isfinite([row.low, row.high]).all() for row in result.against)
    as_text(result)


@pytest.mark.usefixtures("_few_draws")
def test_without_money_there_is_none(result: Verdict) -> None:
    bare = verdict([made(4, money=False)], 60, 1)
    assert (bare.spend, bare.spend_against, bare.spend_deciles, bare.coverage) == ((), (), (), None)
    written = to_json(bare)
    assert {"spend", "actual_total", "coverage"} & set(written["dates"][0]) == set()
    assert "value" not in written["deciles"][0]
    assert result.deciles[0].value < result.deciles[-1].value


def test_the_keys_of_a_date_are_those_of_what_it_learned_from_too(result: Verdict) -> None:
    assert list(to_json(result)["dates"][0]) == [
        *("as_of", "until", "customers", "base_rate"),
        *("method", "weights", "level", "past_dates"),
        *("log_loss", "auc", "calibration_error", "next_stage", "conversion"),
        *("spend", "actual_total", "coverage"),
    ]

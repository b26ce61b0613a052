"""Trials for nothing and former members, from a log to scores: each by what others did before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.training.billing.beginnings import Beginnings
from stagecast.training.config import TrainConfig
from tests.training.made import Row, day, trained

pytestmark = pytest.mark.slow
DAYS, TRIAL = 720, 14
CONFIG = TrainConfig(horizon_days=60, churn="cancellation", max_dates=2)
TURNS, BACK, WAIT, LEAVES = 0.6, 0.4, 80.0, 0.06


def members(customers: int, seed: int) -> tuple[list[Row], pd.DataFrame]:
    """Return members with a trial of a fortnight, of whom three in five then pay 20 each month.

    Two in five of those who leave come back, from 20 days after the end on; nobody does who has
    cancelled a trial.
    """
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    truth: dict[str, tuple[float, float]] = {}
    for k in range(customers):
        name, at = f"t{k:04d}", float(random.uniform(0, DAYS))
        began, ended = at, np.inf
        rows += [(name, day(at), "subscribe", None), (name, day(at + 0.001), "purchase", 0.0)]
        if random.random() >= TURNS:
            ended = at + float(random.uniform(2, 13))
            rows.append((name, day(ended), "cancel", None))
        else:
            at += TRIAL
            while True:
                stays = int(random.geometric(LEAVES))
                rows += [(name, day(at + 30.4 * n + 0.01), "purchase", 20.0) for n in range(stays)]
                ended = at + 30.4 * (stays - 1) + float(random.uniform(1, 29))
                rows.append((name, day(ended), "cancel", None))
                if random.random() >= BACK:
                    break
                at = ended + 20 + float(random.exponential(WAIT))
                rows.append((name, day(at), "subscribe", None))
                if at >= DAYS:
                    break
        past = [t for n, t, kind, _ in rows if n == name and kind == "cancel" and t < day(DAYS)]
        since = (day(DAYS) - max(past)).days if past else np.nan
        truth[name] = began, since
    frame = pd.DataFrame.from_dict(truth, orient="index", columns=["began", "since"])
    return [row for row in rows if row[1] < day(DAYS)], frame


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    rows, truth = members(900, 8)
    done = trained(sorted(rows, key=lambda row: row[1]), tmp_path_factory.mktemp("t") / "m",
                   day(DAYS), CONFIG, evaluated=False)  # fmt: skip
    begins = done.training.models.value.beginnings
    assert begins.trials is not None
    assert begins.returns is not None
    assert begins.trials.wait.ever == pytest.approx(TURNS, abs=0.06)
    assert Beginnings.from_json(begins.to_json()) == begins
    return done.scores().to_pandas().set_index("customer_id").join(truth)


def a_year(pays: float) -> float:
    """Return the discounted money of a contract in the days that a year still has."""
    n = np.arange(int(pays // 30.4) + 1)
    return float((20.0 * (1 - LEAVES) ** n * 1.1 ** (-n * 30.4 / 365)).sum())


def test_a_running_trial_is_worth_the_plan_as_often_as_trials_turn_into_it(
    scored: pd.DataFrame,
) -> None:
    trials = scored[(scored["state"] == "active") & (scored["spend"] == 0)]
    assert len(trials) >= 8
    # who has waited for longer has more of those behind who cancel
    left = (DAYS - trials["began"]).clip(2, 13)
    turns = TURNS / (TURNS + (1 - TURNS) * (13 - left) / 11)
    assert trials["clv"].sum() == pytest.approx(turns.sum() * a_year(358), rel=0.15)
    assert trials["expected_orders"].sum() == pytest.approx(turns.sum() * 1.94, rel=0.2)
    assert (trials["clv_low"] <= trials["clv"]).all()
    assert (trials["clv_high"] <= 13 * 20).all()
    assert (trials["value_if_kept"] <= 13 * 20).all()
    years = np.stack(trials["clv_by_year"].to_numpy())
    np.testing.assert_allclose(years[:, 0], trials["clv"], rtol=1e-6)


def test_a_trial_that_was_cancelled_was_worth_no_plan(scored: pd.DataFrame) -> None:
    over = scored[(scored["state"] == "lapsed") & (scored["spend"] == 0)]
    assert len(over) > 100
    assert over["p_return"].mean() < 0.02
    assert (over["value_gone"] <= 1.1 * TURNS * 12 * 20).all()


def test_former_members_come_back_as_others_did(scored: pd.DataFrame) -> None:
    former = scored[(scored["state"] == "lapsed") & (scored["spend"] > 0)]
    since = former["since"]

    def comes(span: float) -> pd.Series[float]:
        by_now, later = (1 - np.exp(-np.maximum(since + t - 20, 0) / WAIT) for t in (0.0, span))
        return BACK * (later - by_now) / (1 - BACK * by_now)

    assert former["p_return"].sum() == pytest.approx(comes(60).sum(), rel=0.25)
    recent = since < 120
    assert former.loc[recent, "p_return"].mean() > 5 * former.loc[since > 300, "p_return"].mean()
    assert former["clv"].sum() == pytest.approx(comes(365).sum() * a_year(260), rel=0.3)
    np.testing.assert_allclose(
        former["clv"] + former["value_at_risk"] + former["value_gone"], former["value_if_kept"]
    )


def test_no_payment_of_a_trial_is_said_to_be_due(scored: pd.DataFrame) -> None:
    active = scored[scored["state"] == "active"]
    due = active["reasons"].map(
        lambda mine: any(reason["code"].startswith("payment_days") for reason in mine)
    )
    assert not due[active["spend"] == 0].any()
    assert due[active["spend"] > 0].any()
    # the day of the next order is that of the first payment: a fortnight after the trial began
    trials = active[(active["spend"] == 0) & active["next_order_date"].notna()]
    first = pd.to_datetime(trials["next_order_date"]) - pd.to_datetime(
        trials["as_of"]
    ).dt.tz_localize(None)
    began = np.floor(trials["began"])
    assert ((first.dt.days + np.floor(DAYS) - began - TRIAL).abs() <= 1).all()
    assert len(trials) > 3


def test_a_trial_without_a_payment_of_0_is_worth_as_much(
    scored: pd.DataFrame, tmp_path: Path
) -> None:
    rows = [row for row in sorted(members(900, 8)[0], key=lambda row: row[1]) if row[3] != 0.0]
    done = trained(rows, tmp_path / "m", day(DAYS), CONFIG, evaluated=False)
    others = done.scores().to_pandas().set_index("customer_id").loc[scored.index]
    never = scored["spend"] == 0
    assert (others.loc[never, "orders"] == 0).all()
    same = ["clv", "clv_residual", "expected_orders", "expected_spend", "value_at_risk",
            "value_gone", "value_if_kept", "p_return"]  # fmt: skip
    for name in same:
        expected, got = (frame.loc[never, name].astype(float) for frame in (scored, others))
        np.testing.assert_allclose(got, expected, rtol=1e-6, err_msg=name)
    trials = others[never & (others["state"] == "active")]
    assert (
        trials["next_order_date"].tolist() == scored.loc[trials.index, "next_order_date"].tolist()
    )
    assert (trials["clv_high"] <= 13 * 20).all()
    assert others.loc[never, "p_convert"].isna().all()


def test_a_payment_is_compared_with_the_period_and_a_silence_with_nothing(
    scored: pd.DataFrame,
) -> None:
    # the fortnight of the trial before is no gap between payments
    active = scored[(scored["state"] == "active") & (scored["spend"] > 0)]
    said = [reason for mine in active["reasons"] for reason in mine]
    payments = [reason for reason in said if reason["feature"] == "payment_days"]
    assert payments
    assert all("they pay every 30 days" in reason["sentence"] for reason in payments)
    for reason in payments:
        assert (reason["value"] < 15.5) == (reason["direction"] == "raises")
    assert not any(reason["feature"] == "recency_days" for reason in said)


def test_who_paid_nothing_is_told_no_orders(scored: pd.DataFrame) -> None:
    trials = scored[(scored["state"] == "active") & (scored["spend"] == 0)]
    features = {reason["feature"] for mine in trials["reasons"] for reason in mine}
    assert features
    assert not features & {"orders", "orders_90d", "gap_mean", "T_days", "recency_days"}

"""Replays of past dates: what they learn from, the outcomes, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.training.baselines.buyers import LABELS, SPEND_LABELS
from stagecast.training.config import TrainConfig
from stagecast.training.judging.backtest import Replay, plan_replays, replay
from stagecast.training.judging.evaluation_result import OURS
from stagecast.training.models import predict
from stagecast.training.train import train
from tests.training.made import START, Row, day, log_of, simulated_rows

pytestmark = pytest.mark.slow
CONFIG = TrainConfig(horizon_days=60, max_dates=2)
DAYS = 420


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return simulated_rows(250, DAYS, 21)


@pytest.fixture(scope="module")
def replays(rows: list[Row]) -> list[Replay]:
    with log_of(rows) as log:
        return list(replay(log.con, day(DAYS), CONFIG, dates=2))


def test_dates_stand_a_horizon_apart_with_a_horizon_before_and_after_each() -> None:
    assert plan_replays(400, 90, 90, 10) == [270, 180, 90]
    assert plan_replays(180, 90, 90, 4) == [90]
    assert plan_replays(179.9, 90, 90, 4) == []
    assert plan_replays(400, 90, 30, 3) == [150, 120, 90]


def test_outcomes_are_what_the_log_says_of_the_days_after(
    rows: list[Row], replays: list[Replay]
) -> None:
    assert [date.as_of for date in replays] == [day(DAYS - 120), day(DAYS - 60)]
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "event", "amount"])
    for date in replays:
        bought = frame[(frame["event"] == "purchase")]
        after = bought[
            (bought["timestamp"] >= date.as_of)
            & (bought["timestamp"] < date.as_of + timedelta(days=60))
        ]
        refunded = set(frame.loc[frame["event"] == "refund", "customer_id"])
        assert set(date.customers) <= set(
            bought.loc[bought["timestamp"] < date.as_of, "customer_id"]
        )
        plain = np.array([customer not in refunded for customer in date.customers])
        came = (
            after.groupby("customer_id")["amount"]
            .sum()
            .reindex(list(date.customers))
            .fillna(0.0)
            .to_numpy()
        )
        np.testing.assert_array_equal(date.inactive[plain], came[plain] == 0)
        np.testing.assert_allclose(date.observed_spend[plain], came[plain])


def test_every_method_speaks_of_every_buyer(replays: list[Replay]) -> None:
    for date in replays:
        assert list(date.p_inactive) == [OURS, *LABELS]
        assert list(date.expected_spend) == [OURS, *SPEND_LABELS]
        for p in date.p_inactive.values():
            assert p.shape == (len(date.customers),)
            assert ((p > 0) & (p < 1)).all()
        for money in date.expected_spend.values():
            assert (money >= 0).all()
        table = date.table()
        assert table.num_rows == len(date.customers)
        assert table["p_inactive_stagecast"].to_numpy().tobytes() == date.p_inactive[OURS].tobytes()


def test_intervals_are_those_that_a_training_at_the_date_delivers(
    rows: list[Row], replays: list[Replay]
) -> None:
    first, second = replays
    assert first.low is None  # nothing to learn them on that its models did not see
    assert second.low is not None
    with log_of(rows) as log:
        delivered = train(log.con, second.as_of, CONFIG)
    assert first.next_intervals == delivered.models.spend_interval
    predicted = predict(delivered.models, delivered.panel.now)
    low, high = delivered.models.spend_interval.around(predicted.spend_outlook)
    np.testing.assert_array_equal(second.low, low[predicted.buyers])
    np.testing.assert_array_equal(second.high, high[predicted.buyers])


def test_what_happens_after_the_window_changes_nothing(
    rows: list[Row], replays: list[Replay]
) -> None:
    later = [
        (name, at + timedelta(days=60), kind, amount)
        for name, at, kind, amount in rows
        if at >= day(DAYS - 60)
    ]
    new = [("new", day(DAYS + 1), "purchase", 1e6)]
    with log_of([*rows, *later, *new]) as log:
        again = list(replay(log.con, day(DAYS), CONFIG, dates=2))
    for date, other in zip(replays, again, strict=True):
        assert date.customers == other.customers
        assert all(
            date.p_inactive[name].tobytes() == p.tobytes() for name, p in other.p_inactive.items()
        )
        assert date.observed_spend.tobytes() == other.observed_spend.tobytes()


def test_what_happens_in_the_window_changes_no_prediction(
    rows: list[Row], replays: list[Replay]
) -> None:
    quiet = [row for row in rows if row[1] < day(DAYS - 60)]
    # one event keeps the log from having been silent for a horizon
    with log_of([*quiet, ("new", day(DAYS - 1), "purchase", 5.0)]) as log:
        *_, again = replay(log.con, day(DAYS), CONFIG, dates=2)
    known = dict(zip(again.customers, again.p_inactive[OURS], strict=True))
    assert [known[customer] for customer in replays[1].customers] == replays[1].p_inactive[
        OURS
    ].tolist()
    assert again.inactive.all()


def test_without_amounts_there_is_no_money(rows: list[Row]) -> None:
    with log_of(rows, amounts=False) as log:
        (date,) = replay(log.con, day(DAYS), CONFIG, dates=1)
    assert (date.expected_spend, date.low) == ({}, None)
    assert "spend" not in date.table().column_names


def test_too_little_is_said_with_what_there_is(rows: list[Row]) -> None:
    with log_of(rows) as log:
        with pytest.raises(
            NotEnoughDataError, match=r"400 days, and the log has 3\d\d before 2020-12-11"
        ):
            list(replay(log.con, START + timedelta(days=345), TrainConfig(horizon_days=200)))
        with pytest.raises(UsageError, match="not 0 and 60"):
            list(replay(log.con, day(DAYS), CONFIG, dates=0))
        with pytest.raises(UsageError, match="not 4 and 0"):
            list(replay(log.con, day(DAYS), CONFIG, step_days=0))


def test_a_log_in_which_nobody_had_bought_is_not_enough() -> None:
    rows: list[Row] = [(f"c{k}", day(k), "visit", None) for k in range(90)]
    rows += [("c0", day(89.5), "purchase", 1.0)]
    with log_of(rows) as log, pytest.raises(NotEnoughDataError, match="nobody had bought before"):
        list(replay(log.con, day(90), TrainConfig(horizon_days=30)))

"""A panel holds what was known at each date, and what a count of the raw rows says came after."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from stagecast.features.demo import cdnow_sample_frame
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.frames.panel import Panel
from stagecast.serving.python.event_log import EventLog
from stagecast.serving.python.reading import read_events

DATES = ["1997-09-15", "1997-12-01"]
HORIZON = pd.Timedelta("60d")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    frame = cdnow_sample_frame()
    frame = frame[frame["customer_id"] < "05000"]
    # one order at the first instant of the horizon of DATES[0], one at the first after it
    edges = [pd.Timestamp(DATES[0]), pd.Timestamp(DATES[0]) + HORIZON]
    extra = {"customer_id": ["00004", "00018"], "timestamp": edges, "amount": 5.0, "quantity": 1}
    return pd.concat([frame, pd.DataFrame(extra)], ignore_index=True)


@pytest.fixture(scope="module")
def log(rows: pd.DataFrame) -> Iterator[EventLog]:
    with read_events(rows, duplicates="keep") as opened:
        yield opened


@pytest.fixture(scope="module")
def panel(log: EventLog) -> Panel:
    return log.snapshots(DATES, horizon="60d")


def counted(rows: pd.DataFrame, date: str) -> pd.DataFrame:
    """Count by hand: purchase days and money in the horizon of everybody who had bought."""
    at = pd.Timestamp(date)
    before = rows[rows["timestamp"] < at]
    ahead = rows[(rows["timestamp"] >= at) & (rows["timestamp"] < at + HORIZON)]
    by_customer = ahead.groupby("customer_id")
    table = pd.DataFrame({"orders": by_customer["timestamp"].nunique()})
    table["spend"] = by_customer["amount"].sum()
    return table.reindex(sorted(before["customer_id"].unique())).fillna(0.0)


def test_outcomes_are_those_of_a_count_by_hand(rows: pd.DataFrame, panel: Panel) -> None:
    for date in DATES:
        expected = counted(rows, date)
        at = pd.Timestamp(date, tz="UTC")
        assert panel.X.xs(at, level="as_of").index.tolist() == expected.index.tolist()
        orders = panel.orders.xs(at, level="as_of")
        np.testing.assert_array_equal(orders, expected["orders"])
        np.testing.assert_array_equal(panel.y.xs(at, level="as_of"), expected["orders"] == 0)
        np.testing.assert_allclose(panel.spend.xs(at, level="as_of"), expected["spend"])
    first = panel.orders.xs(pd.Timestamp(DATES[0], tz="UTC"), level="as_of")
    assert first["00004"] >= 1


def test_features_do_not_see_what_came_later(rows: pd.DataFrame, panel: Panel) -> None:
    for date in DATES:
        with read_events(rows[rows["timestamp"] < date], duplicates="keep") as earlier:
            expected = earlier.features(date, horizon="60d")
        actual = panel.X.xs(pd.Timestamp(date, tz="UTC"), level="as_of")
        pd.testing.assert_frame_equal(actual, expected.loc[actual.index, list(actual.columns)])


def test_the_parts_share_their_rows_and_go_into_scikit_learn(panel: Panel) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, cross_val_score

    for part in (panel.y, panel.orders, panel.spend, panel.groups, panel.as_of):
        assert part.index.equals(panel.X.index)
    assert list(panel.groups.columns) == ["customer_id", "as_of"]
    X = panel.X[["recency_days", "frequency", "T_days"]]
    model = LogisticRegression(max_iter=1000)
    for cv, groups in ((GroupKFold(3), panel.customer_id), (LeaveOneGroupOut(), panel.as_of)):
        scores = cross_val_score(model, X, panel.y, groups=groups, cv=cv, scoring="roc_auc")
        assert scores.min() > 0.6
    assert panel.X.notna().any().all()  # learners refuse a column without any value
    assert "2 dates" in repr(panel)
    assert len(repr(panel)) < 200


def test_a_horizon_that_is_not_over_is_refused(log: EventLog) -> None:
    last = "1998-05-02"  # the log ends on 1998-06-30
    assert len(log.snapshots(last, horizon="60d"))
    with pytest.raises(UsageError, match=f"latest date that can be judged is {last}"):
        log.snapshots(["1998-05-03"], horizon="60d")
    with pytest.raises(UsageError, match="names a date twice"):
        log.snapshots([last, pd.Timestamp(last)], horizon="60d")


def test_a_date_before_which_nobody_bought_is_refused() -> None:
    days = pd.to_datetime(["2024-01-01", "2024-03-01", "2024-06-01"])
    events = ["visit", "purchase", "purchase"]
    rows = pd.DataFrame({"customer_id": "a", "timestamp": days, "event": events, "amount": 1.0})
    with read_events(rows) as log, pytest.raises(NotEnoughDataError, match="nobody had bought"):
        log.snapshots("2024-02-01", horizon="30d")

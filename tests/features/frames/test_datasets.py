"""Logs to try things on: the simulated one behaves as its truth says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stagecast.features.errors import UsageError
from stagecast.features.frames.datasets import make_subscriptions

DAYS, AHEAD = 300, 60


def test_contracts_end_as_often_as_the_truth_says() -> None:
    events, truth = make_subscriptions(900, days=DAYS, seed=5)
    first = events.drop_duplicates(["customer_id", "event"]).pivot(
        index="customer_id", columns="event", values="timestamp"
    )
    begin, end = first["subscribe"], first["cancel"]
    watched = begin + pd.Timedelta(days=AHEAD) <= pd.Timestamp("2024-01-01") + pd.Timedelta(
        days=DAYS
    )
    left = (end - begin <= pd.Timedelta(days=AHEAD))[watched]
    p = 1.0 - np.exp(-AHEAD * truth["cancel_rate"].reindex(left.index))
    assert watched.sum() > 500
    assert abs(left.sum() - p.sum()) < 3.0 * np.sqrt((p * (1.0 - p)).sum())
    # who will leave is seen by the visits alone
    assert np.corrcoef(np.log(truth["interest"]), np.log(truth["cancel_rate"]))[0, 1] < -0.999


def test_payments_are_monthly_and_stop_with_the_contract() -> None:
    events, _ = make_subscriptions(60, days=DAYS, seed=1)
    paid = events[events["event"] == "purchase"]
    gaps = paid.groupby("customer_id")["timestamp"].diff().dropna().dt.total_seconds() / 86_400
    assert (gaps > 29.99).mean() > 0.95
    assert (paid["amount"] == 20.0).all()
    ends = events.groupby("customer_id")["event"].last()
    assert (ends == "cancel").any()
    assert events["timestamp"].is_monotonic_increasing


def test_the_seed_repeats_a_log_and_nobody_is_refused() -> None:
    first, second = make_subscriptions(5, seed=2)[0], make_subscriptions(5, seed=2)[0]
    pd.testing.assert_frame_equal(first, second)
    with pytest.raises(UsageError, match="customers = 0"):
        make_subscriptions(0)

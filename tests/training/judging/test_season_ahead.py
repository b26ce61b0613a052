"""A backtest without a window in the season of the days ahead says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import stagecast as sc
from stagecast.features.clock import day_number
from stagecast.training.judging.season_ahead import season_note
from stagecast.training.learners.season_of_purchases import BINS, Season

AS_OF = datetime(2023, 11, 1, tzinfo=UTC)
MEAN = (2 * 3.0 + 24) / BINS
# the first four weeks after the as_of sell three times as much as the rest of the year
HIGH = Season(tuple(p / MEAN for p in (3.0, 3.0, *[1.0] * 24)), day_number(AS_OF))
LOW = Season(tuple(p * 26 / 25.2 for p in (0.6, 0.6, *[1.0] * 24)), day_number(AS_OF))


def windows(*days_back: int) -> list[datetime]:
    return [AS_OF - timedelta(days=back) for back in days_back]


def test_a_season_ahead_that_no_window_has_is_told() -> None:
    note = season_note(HIGH, AS_OF, windows(120, 90, 60, 30), 30)
    assert note is not None
    assert note.startswith("in the 30 days from 2023-11-01 on customers usually order 2.5 times")
    assert "the highest has 0.87 times" in note
    assert note.endswith("is among --dates 12 where the log is long enough")
    low = season_note(LOW, AS_OF, windows(60, 30), 30)
    assert low is not None
    assert "the lowest has 1 times" in low


def test_a_window_of_a_year_ago_or_no_season_has_nothing_to_tell() -> None:
    assert season_note(HIGH, AS_OF, windows(360, 60, 30), 30) is None
    assert season_note(None, AS_OF, windows(30), 30) is None
    even = Season((1.0,) * BINS, day_number(AS_OF))
    assert season_note(even, AS_OF, windows(30), 30) is None
    # four weeks hardly move half a year
    assert season_note(LOW, AS_OF, windows(180), 180) is None


@pytest.mark.slow
def test_a_backtest_before_christmas_says_what_it_has_not_seen() -> None:
    random = np.random.default_rng(7)
    start = pd.Timestamp("2020-11-01")
    rows = []
    for k in range(300):
        joined, rate = random.uniform(0, 700), random.gamma(2.0, 1 / 80)
        t = joined
        while t < 1095:
            rows.append((f"c{k}", start + pd.Timedelta(days=t), 20.0))
            pace = 4.0 if t % 365 < 50 else 0.8
            t += random.exponential(1 / (rate * pace))
    events = pd.DataFrame(rows, columns=["customer_id", "timestamp", "amount"])
    with sc.read_events(events.assign(event="purchase")) as log:
        bt = sc.backtest(
            log,
            {"ours": sc.Lifecycle(horizon="45d", max_dates=1)},
            dates=2,
            horizon="45d",
            baselines=["share"],
            as_of="2023-11-01",
        )
    (note,) = bt.notes
    assert note.startswith("in the 45 days from 2023-11-01 on customers usually order ")
    assert "dates=8" in note

"""Thresholds: worked by hand, small logs, and simulations."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.clock import day_number
from stagecast.features.demo import cdnow_frame
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.record import PurchaseDays
from stagecast.features.stages import thresholds
from stagecast.features.stages.thresholds import THRESHOLD_NAMES, catalog_parameters, derive
from tests.profiles import examples

DAY = 86_400_000_000


def purchase_days(*customers: list[int], spend: float = 10.0) -> PurchaseDays:
    """Return purchase days, each customer a list of day numbers."""
    customer = np.array([i for i, days in enumerate(customers) for _ in days], dtype=np.int64)
    day = np.array([day for days in customers for day in days], dtype=np.int64)
    return PurchaseDays(customer, day, np.full(len(day), spend), day * DAY)


def test_worked_by_hand() -> None:
    # ten customers who buy at 0, 10, 30; one who buys once; and one with five orders ten days apart
    log = purchase_days(*[[0, 10, 30]] * 10, [0], [0, 10, 20, 30, 40])
    derived = derive(log, 50.0)
    # mean gaps: 15 (ten times), 10
    assert derived["shop_gap_days"] == 15.0
    # gap over the gap that was usual before: 10/15 and 20/((45 + 10)/4) of the ten customers; of
    # the last one 10/15, 10/(55/4), 10/(65/5), 10/(75/6)
    ratios = sorted([10 / 15] * 10 + [20 / 13.75] * 10 + [10 / 15, 10 / 13.75, 10 / 13, 10 / 12.5])
    rank = 0.8 * (len(ratios) - 1)
    by_hand = ratios[int(rank)] + (rank - int(rank)) * (ratios[int(rank) + 1] - ratios[int(rank)])
    assert derived["at_risk_ratio"] == pytest.approx(by_hand, rel=1e-12)
    assert by_hand == pytest.approx(20 / 13.75)
    # the 95 % quantile is the same number; asleep is at least half as long again as at risk
    assert derived["sleeping_ratio"] == pytest.approx(1.5 * by_hand, rel=1e-12)
    # among the eleven repeat buyers: orders 3 (ten times), 5; spend 30 (ten times), 50
    assert (derived["loyal_orders"], derived["loyal_spend"]) == (3.0, 30.0)
    assert tuple(derived) == THRESHOLD_NAMES


def test_quantiles_among_repeat_buyers_only() -> None:
    log = purchase_days(
        *[[0, 5, 10, 15, 20, 25, 30, 35]] * 3, [0, 10, 20, 30], *[[0]] * 100, spend=0.1
    )
    derived = derive(log, 50.0)
    assert (derived["loyal_orders"], derived["loyal_spend"]) == (8.0, 0.8)


def test_at_risk_and_sleeping_are_quantiles_where_gaps_stray() -> None:
    rng = np.random.default_rng(5)
    customers = [np.cumsum(np.r_[0, rng.integers(1, 60, 12)]).tolist() for _ in range(60)]
    log = purchase_days(*customers)
    derived = derive(log, 1000.0)
    shop = float(np.median([(days[-1] - days[0]) / 12 for days in customers]))
    ratios = []
    for days in customers:
        for n in range(1, 13):
            before = (3 * shop + days[n - 1] - days[0]) / (3 + n - 1)
            ratios.append((days[n] - days[n - 1]) / before)
    assert derived["shop_gap_days"] == shop
    assert derived["at_risk_ratio"] == pytest.approx(np.quantile(ratios, 0.8), rel=1e-12)
    assert derived["sleeping_ratio"] == pytest.approx(
        max(np.quantile(ratios, 0.95), 1.5 * derived["at_risk_ratio"]), rel=1e-12
    )


def test_spend_is_added_up_exactly() -> None:
    assert derive(purchase_days([0, 1, 2], spend=0.1), 5.0)["loyal_spend"] == 0.3


def lost_by_hand(completed: list[int], still_open: list[float]) -> float:
    """Return the shortest silence after which at most 5 % order within a year, by trial."""
    gaps = [*map(float, completed), *still_open]

    def survival_at(t: float) -> float:
        probability = 1.0
        for time in sorted(set(completed)):
            if time <= t:
                probability *= 1 - completed.count(time) / sum(1 for gap in gaps if gap >= time)
        return probability

    for silence in sorted(set(completed)):
        outlook = min(365.0, max(gaps) - silence)
        if outlook < 365 / 4:
            return math.inf
        if 1 - (survival_at(silence + outlook) / survival_at(silence)) ** (365 / outlook) <= 0.05:
            return float(silence)
    return math.inf


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_lost_after_is_the_shortest_silence_that_seldom_ends(data: st.DataObject) -> None:
    completed = data.draw(st.lists(st.integers(1, 500), min_size=20, max_size=40))
    still_open = data.draw(st.lists(st.integers(1, 900).map(float), min_size=1, max_size=60))
    # the last order of each of these customers was a day ago
    open_gaps = np.r_[np.full(len(completed), 1.0), still_open]
    lost_after = thresholds._lost_after(np.array(completed, dtype=float), open_gaps)
    assert lost_after == lost_by_hand(completed, open_gaps.tolist())


def test_a_short_outlook_is_extrapolated_to_a_year() -> None:
    # of a hundred silences beyond 10 days 3 end within the 150 observed days; so 1 - 0.97 ** (365 /
    # 150) = 7 % a year
    completed, still_open = np.array([5.0] * 19 + [10.0] + [60.0] * 3), np.full(97, 160.0)
    assert thresholds._lost_after(completed, still_open) == 60.0


EMPTY = purchase_days()


@pytest.mark.parametrize(
    ("log", "customers"),
    [
        (EMPTY, 0),
        (purchase_days([5]), 1),
        (purchase_days([5, 9]), 1),
        (purchase_days(*[[0, 3, 9]] * 9), 9),
    ],
)
def test_fallbacks_where_the_log_is_too_small(log: PurchaseDays, customers: int) -> None:
    derived = derive(log, 40.0)
    assert derived["shop_gap_days"] == 60.0
    assert (derived["at_risk_ratio"], derived["sleeping_ratio"]) == (2.0, 4.0)
    assert derived["lost_after_days"] == math.inf
    assert derived["loyal_orders"] == 3.0
    assert (derived["loyal_spend"] > 0) == (customers > 0)


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_thresholds_are_numbers_in_their_order_on_every_log(data: st.DataObject) -> None:
    lives = data.draw(
        st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=12, unique=True), max_size=25)
    )
    log = purchase_days(
        *[sorted(days) for days in lives], spend=data.draw(st.sampled_from([0.0, 9.99]))
    )
    derived = derive(log, 3000 + data.draw(st.sampled_from([0.5, 1.0, 700.25])))
    assert not any(math.isnan(value) for value in derived.values())
    assert derived["shop_gap_days"] > 0
    assert 1.2 <= derived["at_risk_ratio"] < derived["sleeping_ratio"]
    assert derived["lost_after_days"] > 0
    assert derived["loyal_orders"] >= 3
    assert catalog_parameters(derived) == {"shop_gap_days": derived["shop_gap_days"]}


def test_lost_is_found_where_customers_do_leave() -> None:
    # a gap of 20 days on average, and after each order one customer in ten leaves for good;
    # observed for six years
    rng = np.random.default_rng(11)
    lives = []
    for first in rng.integers(0, 1500, 800):
        days, time = [int(first)], float(first)
        while rng.random() > 0.1:
            time += 1 + rng.exponential(20)
            days.append(int(time))
        lives.append(sorted({day for day in days if day < 2190}))
    derived = derive(purchase_days(*lives), 2190.0)
    assert 60 < derived["lost_after_days"] < 150
    # true chance of another order after a silence t: 0.9 exp(-(t - 1) / 20) / (0.1 + 0.9 exp(-(t -
    # 1) / 20)) = 0.05
    exact = 1 + 20 * math.log(0.9 * 0.95 / (0.1 * 0.05))
    assert derived["lost_after_days"] == pytest.approx(exact, rel=0.15)
    assert derived["shop_gap_days"] == pytest.approx(21, rel=0.15)


def test_nobody_is_lost_where_long_silences_end() -> None:
    rng = np.random.default_rng(12)
    lives = [np.cumsum(rng.integers(100, 400, 12)).tolist() for _ in range(100)]
    assert derive(purchase_days(*lives), 5000.0)["lost_after_days"] > 300
    assert derive(purchase_days(*lives), float(max(map(max, lives)) + 1))["lost_after_days"] > 300


def test_later_events_change_no_threshold() -> None:
    as_of = datetime(1998, 1, 1, tzinfo=UTC)
    frame = cdnow_frame()
    derived = []
    for part in (
        frame,
        frame[frame["timestamp"] < "1998-01-01"],
        frame.sample(frac=1.0, random_state=3),
    ):
        with from_frame(part, ReadOptions(duplicates="keep")) as log:
            derived.append(derive(DailyTable(log.con, as_of).purchase_days(), day_number(as_of)))
    assert repr(derived[0]) == repr(derived[1]) == repr(derived[2])
    assert derived[0]["at_risk_ratio"] != 2.0

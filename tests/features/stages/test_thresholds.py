"""Thresholds: worked by hand, small logs, and simulations."""

from __future__ import annotations

import math
from collections.abc import Callable
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
from stagecast.features.stages.thresholds import (
    THRESHOLD_NAMES,
    assumed,
    catalog_parameters,
    derive,
    round_thresholds,
)
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
    # twelve silences are open, too few to say how many end
    assert (derived["sleeping_ratio"], derived["lost_after_days"]) == (math.inf, math.inf)
    # among the eleven repeat buyers: orders 3 (ten times), 5; spend 30 (ten times), 50
    assert (derived["loyal_orders"], derived["loyal_spend"]) == (3.0, 30.0)
    assert tuple(derived) == THRESHOLD_NAMES


def test_quantiles_among_repeat_buyers_only() -> None:
    log = purchase_days(
        *[[0, 5, 10, 15, 20, 25, 30, 35]] * 3, [0, 10, 20, 30], *[[0]] * 100, spend=0.1
    )
    derived = derive(log, 50.0)
    assert (derived["loyal_orders"], derived["loyal_spend"]) == (8.0, 0.8)


def test_at_risk_is_a_quantile_where_gaps_stray() -> None:
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


def test_spend_is_added_up_exactly() -> None:
    assert derive(purchase_days([0, 1, 2], spend=0.1), 5.0)["loyal_spend"] == 0.3


def upper_bound(share: float, trials: float) -> float:
    """Return the upper end of Wilson's one-sided 95 % interval."""
    z = 1.6448536269514722**2 / trials
    return float((share + z / 2 + math.sqrt(share * (1 - share) * z + z**2 / 4)) / (1 + z))


def growth(start: float, middle: float, end: float, first: int, second: int) -> float:
    """Return the bound of the power of the cumulative hazard, from S at three times."""
    if not (first and second):
        return 1.0
    a, b = math.log(start / middle), math.log(middle / end)
    deviation = b / (a + b) * math.sqrt(1 / first + 1 / second)
    return min(1.0, (math.log(1 + b / a) + 1.6448536269514722 * deviation) / math.log(2))


def chance_by_hand(completed: list[float], still_open: list[float], least_days: float) -> float:
    """Return the bound of P(a duration ends within a year), day by day."""
    start = len(completed) + len(still_open)
    if start < 30:
        return 1.0
    survived, curve, counts, effective = 1.0, [], [], float(start)
    for day in range(366):
        known = [*map(math.ceil, completed), *map(math.floor, still_open)]
        at_risk = sum(1 for t in known if t >= day)
        ends = sum(1 for t in completed if math.ceil(t) == day)
        if at_risk == ends:
            break
        survived *= 1 - ends / at_risk
        followed = (at_risk - ends) / survived
        if followed < max(30, start / 2) - 1e-9:
            break
        effective = followed
        curve.append(survived)
        counts.append(ends)
    observed = len(curve) - 1
    if observed < max(least_days, 1):
        return 1.0
    half = observed // 2
    first, second = sum(counts[1 : half + 1]), sum(counts[half + 1 :])
    power = growth(curve[0], curve[half], curve[-1], first, second)
    bound = upper_bound(1 - curve[-1], effective)
    return float(1 - (1 - bound) ** ((365 / observed) ** power))


def lost_by_hand(completed: list[int], still_open: list[float]) -> float:
    """Return the shortest silence after which fewer than 5 % order within a year, by trial."""
    for silence in range(int(max([*completed, *still_open])) + 1):
        ended = [float(t - silence) for t in completed if t > silence]
        lasting = [t - silence for t in still_open if t >= silence]
        if chance_by_hand(ended, lasting, 365 / 4) < 0.05:
            return float(silence)
    return math.inf


@settings(max_examples=examples(20), deadline=None)
@given(data=st.data())
def test_lost_after_is_the_shortest_silence_that_seldom_ends(data: st.DataObject) -> None:
    completed = data.draw(st.lists(st.integers(1, 60), min_size=20, max_size=40))
    lengths = st.integers(1, 900).map(float)
    still_open = data.draw(st.lists(lengths, min_size=1, max_size=40))
    long_open = data.draw(st.lists(lengths.map(lambda t: 400 + t / 9), max_size=1)) * 80
    open_gaps = [*still_open, *long_open]
    lost_after = thresholds._lost_after(np.array(completed, dtype=float), np.array(open_gaps), 0.0)
    assert lost_after == lost_by_hand(completed, open_gaps)


def test_lost_needs_more_than_a_handful_of_silences() -> None:
    # no silence of more than 30 days ever ended, but 52 are needed for an upper bound of 5 %
    completed = np.full(200, 30.0)
    for still_open, lost_after in ((7, math.inf), (30, math.inf), (51, math.inf), (52, 30.0)):
        assert thresholds._lost_after(completed, np.full(still_open, 500.0), 0.0) == lost_after


def test_a_short_outlook_is_extrapolated_to_a_year() -> None:
    # of a thousand silences beyond 60 days none ends within the 150 days that are observed: the
    # bound is 1 - (1 - 0.0027) ** (365 / 150) = 0.7 %; of those beyond 10 days 3 % end, which the
    # same extrapolation makes 6 %
    completed = np.array([5.0] * 19 + [10.0] + [60.0] * 30)
    assert thresholds._lost_after(completed, np.full(970, 210.0), 0.0) == 60.0
    assert thresholds._lost_after(completed, np.full(970, 120.0), 0.0) == math.inf


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
    assert derived["at_risk_ratio"] == 2.0
    assert (derived["sleeping_ratio"], derived["lost_after_days"]) == (math.inf, math.inf)
    assert assumed(log) == {"shop_gap_days", "at_risk_ratio"}
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
    # a fifth of the usual gap is late, or a week
    least = 1.0 + min(0.2, 7.0 / derived["shop_gap_days"])
    assert least <= derived["at_risk_ratio"] < derived["sleeping_ratio"]
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


@pytest.mark.slow
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


def poisson_buyers(customers: int, days: int, seed: int) -> list[list[int]]:
    """Return purchase days of buyers of whom nobody ever leaves; their rates differ."""
    rng = np.random.default_rng(seed)
    lives = []
    for first in rng.integers(0, days // 2, customers):
        gaps = rng.exponential(rng.gamma(2, 60), 400)
        lives.append(sorted({int(day) for day in first + np.r_[0, gaps.cumsum()] if day < days}))
    return lives


def steady_payers(customers: int, days: int, leave: float, seed: int) -> list[list[int]]:
    """Return days of monthly payments; after each a share of the customers leaves for good."""
    rng = np.random.default_rng(seed)
    lives = []
    for first in rng.integers(0, days - 60, customers):
        count = rng.geometric(leave) if leave else 1000
        paid = first + 30 * np.arange(count) + rng.integers(-1, 2, count)
        lives.append(sorted({int(day) for day in paid if 0 <= day < days}) or [int(first)])
    return lives


def sparse_buyers(customers: int, days: int, seed: int) -> list[list[int]]:
    """Return days of buyers of whom one in nine orders a second time, and again as seldom."""
    rng = np.random.default_rng(seed)
    lives = []
    for first in rng.integers(0, days, customers):
        bought = [int(first)]
        while rng.random() < 1 / 9:
            bought.append(bought[-1] + 1 + int(rng.exponential(90)))
        lives.append([day for day in bought if day < days])
    return lives


def seasonal_buyers(customers: int, days: int, seed: int) -> list[list[int]]:
    """Return days of buyers who order once or twice before each Christmas, and seldom leave."""
    rng = np.random.default_rng(seed)
    lives = []
    for start in rng.integers(0, days // 365, customers):
        bought: list[int] = []
        for year in range(start, days // 365):
            bought += (365 * year + rng.integers(310, 358, rng.integers(1, 3))).tolist()
            if rng.random() < 0.15:
                break
        lives.append(sorted(set(bought)))
    return lives


def stands(life: list[int], at: float, limits: dict[str, float]) -> str:
    """Return the stage of a buyer's silence at a day, straight from the definitions."""
    known = [day for day in life if day < at]
    usual = (3 * limits["shop_gap_days"] + known[-1] - known[0]) / (3 + len(known) - 1)
    silence = at - known[-1]
    if silence / usual <= limits["sleeping_ratio"]:
        return "awake"
    return "lost" if silence > limits["lost_after_days"] else "sleeping"


def returned(lives: list[list[int]], at: int, limits: dict[str, float], stage: str) -> list[bool]:
    """Return for each customer on a stage at a day whether an order followed within a year."""
    return [
        any(at <= day < at + 365 for day in life)
        for life in lives
        if life and life[0] < at and stands(life, at, limits) == stage
    ]


def limits_at(lives: list[list[int]], at: int) -> dict[str, float]:
    log = purchase_days(*[known for life in lives if (known := [d for d in life if d < at])])
    return round_thresholds(derive(log, float(at)))


@pytest.mark.parametrize("seed", range(6))
def test_where_nobody_leaves_nobody_is_sleeping_or_lost(seed: int) -> None:
    limits = limits_at(poisson_buyers(400, 1461, seed), 1461)
    assert (limits["sleeping_ratio"], limits["lost_after_days"]) == (math.inf, math.inf)
    regular = limits_at(steady_payers(300, 900, 0.0, seed), 900)
    assert (regular["sleeping_ratio"], regular["lost_after_days"]) == (math.inf, math.inf)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "kind",
    [
        lambda seed: steady_payers(600, 1500, 0.18, seed),
        lambda seed: sparse_buyers(3000, 1900, seed),
        lambda seed: seasonal_buyers(800, 8 * 365, seed),
    ],
    ids=["steady", "sparse", "seasonal"],
)
def test_of_those_who_sleep_at_most_half_come_back(
    kind: Callable[[int], list[list[int]]], seed: int
) -> None:
    lives = kind(seed)
    at = max(max(life) for life in lives if life) - 400
    limits = limits_at(lives, at)
    asleep = returned(lives, at, limits, "sleeping") + returned(lives, at, limits, "lost")
    assert len(asleep) >= 30, limits
    assert np.mean(asleep) <= 0.5
    if lost := returned(lives, at, limits, "lost"):
        assert np.mean(lost) < 0.05 + 2 * math.sqrt(0.05 / len(lost))


def test_a_payer_who_misses_two_payments_sleeps_and_is_soon_lost() -> None:
    limits = limits_at(steady_payers(170, 900, 0.18, 3), 900)
    assert 1.8 <= limits["sleeping_ratio"] <= 2.0
    assert 30 <= limits["lost_after_days"] <= 60


@pytest.mark.parametrize(
    ("late", "gone", "sleeping_ratio"), [(40, 60, 1.8), (60, 40, 2.0), (40, 0, math.inf)]
)
def test_sleeping_is_read_off_the_silences_that_are_open_as_well(
    late: int, gone: int, sleeping_ratio: float
) -> None:
    # gaps of 30 days, but for those of twice that which end the silences of some; of the hundred
    # silences of 1.8 usual gaps forty end, or sixty; beyond two usual gaps none does
    lives = [[1000, 1030, 1060, 1090, 1120]] * 300
    lives += [[940, 970, 1000, 1030, 1060, 1120]] * late
    lives += [[0, 30, 60]] * gone
    assert derive(purchase_days(*lives), 1125.0)["sleeping_ratio"] == sleeping_ratio


def test_the_sleeping_limit_has_two_digits_already_and_is_well_above_at_risk() -> None:
    derived = derive(purchase_days(*steady_payers(300, 900, 0.18, 5)), 900.0)
    assert derived["sleeping_ratio"] == round_thresholds(derived)["sleeping_ratio"]
    assert derived["sleeping_ratio"] >= 1.5 * derived["at_risk_ratio"]


def yearly_payers(customers: int, years: int, leave: float, seed: int) -> list[list[int]]:
    """Return days of yearly payments, a day early or late; after each some leave for good."""
    rng = np.random.default_rng(seed)
    lives = []
    for first in rng.integers(0, 365, customers):
        count = rng.geometric(leave)
        paid = first + 365 * np.arange(count) + rng.integers(-1, 2, count)
        lives.append([int(day) for day in paid if 0 <= day < 365 * years] or [int(first)])
    return lives


@pytest.mark.parametrize("years", [2, 3, 4])
def test_a_yearly_payment_is_late_after_a_week_and_nobody_is_lost_before_it_is_due(
    years: int,
) -> None:
    limits = limits_at(yearly_payers(500, years, 0.15, years), 365 * years)
    assert 1.01 <= limits["at_risk_ratio"] <= 1.03
    assert limits["lost_after_days"] >= 364
    # and nobody pays who is five weeks late
    assert limits["sleeping_ratio"] == 1.1


def test_a_monthly_payment_is_late_after_a_fifth_of_the_gap() -> None:
    limits = limits_at(steady_payers(300, 900, 0.1, 5), 900)
    assert limits["at_risk_ratio"] == 1.2


def test_who_gives_in_one_season_of_the_year_is_not_lost_in_between() -> None:
    random = np.random.default_rng(8)
    donors = []
    for _ in range(600):
        years = range(int(random.integers(1, 3)), 3)
        given_on = [year * 365 + random.normal(0, 14) for year in years if random.random() > 0.4]
        donors.append([int(day) for day in given_on] or [365])
    # three months without a gift follow silences of 1.2 years, of whoever gives again next year
    as_of_day = 2 * 365.0 + 165.0
    assert derive(purchase_days(*donors), as_of_day)["lost_after_days"] == math.inf

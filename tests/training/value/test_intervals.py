"""Prediction intervals cover what they say, on each kind of outcome."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.value.fit_intervals import ROWS_PER_BIN, conformal
from stagecast.training.value.intervals import Intervals, Outlook, joined

Draw = Callable[[int, np.random.Generator], tuple[Outlook, Array]]


def surely(rows: int, random: np.random.Generator) -> tuple[Outlook, Array]:
    """Return customers who surely buy, with a spread that falls with the number of orders."""
    orders = random.uniform(1.0, 40.0, rows)
    each = random.lognormal(3.0, 0.8, rows)
    outcome = each * random.gamma(orders, 1.0)
    return Outlook(orders * each, np.zeros(rows), orders), outcome


def heavy(rows: int, random: np.random.Generator) -> tuple[Outlook, Array]:
    """Return customers whose spend has a heavier tail than the supposed one."""
    expected = random.lognormal(3.0, 1.2, rows)
    outcome = expected * random.lognormal(-0.3, 1.0 + 0.2 * (expected > 20), rows)
    return Outlook(expected, np.zeros(rows), np.ones(rows)), outcome


def mostly_nothing(rows: int, random: np.random.Generator) -> tuple[Outlook, Array]:
    """Return customers most of whom buy nothing."""
    p_none = random.uniform(0.3, 0.98, rows)
    if_any = random.lognormal(3.0, 1.0, rows)
    bought = random.random(rows) > p_none
    outcome = np.where(bought, if_any * random.gamma(2.0, 0.5, rows), 0.0)
    return Outlook((1 - p_none) * if_any, p_none, np.ones(rows)), outcome


def covered(intervals: Intervals, outlook: Outlook, outcome: Array) -> float:
    low, high = intervals.around(outlook)
    return float(((outcome >= low) & (outcome <= high)).mean())


@pytest.mark.parametrize("draw", [surely, heavy, mostly_nothing])
@pytest.mark.parametrize("seed", [1, 2])
def test_intervals_cover_nine_in_ten_in_each_fifth(draw: Draw, seed: int) -> None:
    random = np.random.default_rng(seed)
    intervals = conformal(*draw(4_000, random))
    outlook, outcome = draw(20_000, random)
    assert covered(intervals, outlook, outcome) == pytest.approx(0.90, abs=0.02)
    fifth = np.argsort(np.argsort(outlook.expected)) * 5 // len(outlook)
    for k in range(5):
        rows = fifth == k
        assert 0.86 < covered(intervals, outlook.of(rows), outcome[rows]) < 0.95


def test_who_surely_buys_has_two_ends_and_many_orders_are_narrow() -> None:
    random = np.random.default_rng(3)
    intervals = conformal(*surely(4_000, random))
    outlook = Outlook(np.array([100.0, 100.0]), np.zeros(2), np.array([1.0, 40.0]))
    low, high = intervals.around(outlook)
    assert (low > 0).all()
    assert high[0] - low[0] > 2 * (high[1] - low[1])


def test_who_has_ordered_once_has_a_wider_interval_and_both_are_covered() -> None:
    def experienced(rows: int, random: np.random.Generator) -> tuple[Outlook, Array]:
        past = random.choice([1.0, 30.0], rows)
        expected = random.lognormal(3.0, 0.5, rows)
        shape = 1.0 / (0.05 + 0.8 / past)
        return Outlook(expected, np.zeros(rows), np.full(rows, 12.0), past), (
            expected * random.gamma(shape) / shape
        )

    random = np.random.default_rng(12)
    intervals = conformal(*experienced(4_000, random))
    outlook, outcome = experienced(20_000, random)
    assert outlook.past is not None
    for past in (1.0, 30.0):
        rows = outlook.past == past
        assert covered(intervals, outlook.of(rows), outcome[rows]) == pytest.approx(0.90, abs=0.03)
    low, high = intervals.around(
        Outlook(np.full(2, 20.0), np.zeros(2), np.full(2, 12.0), np.array([1.0, 30.0]))
    )
    assert high[0] - low[0] > 1.5 * (high[1] - low[1])
    without = Intervals.from_json(intervals.to_json())
    assert without == intervals
    assert Intervals.from_json({**intervals.to_json(), "variation": [0.5, 0.5]}).variation == (
        0.5,
        0.5,
    )  # as in a bundle of before
    with pytest.raises(ValueError, match="2 or 3 parts"):
        Intervals.from_json({**intervals.to_json(), "variation": [0.5]})


def test_a_chance_of_nothing_above_the_tail_puts_the_lower_end_at_nothing() -> None:
    random = np.random.default_rng(4)
    intervals = conformal(*mostly_nothing(4_000, random))
    outlook, _ = mostly_nothing(1_000, random)
    assert (intervals.around(outlook)[0] == 0).all()


def test_where_nearly_nobody_buys_the_upper_end_is_that_of_who_may() -> None:
    random = np.random.default_rng(7)
    p_none = np.where(np.arange(600) < 40, 0.75, 0.99)
    bought = random.random(600) > p_none
    outcome = np.where(bought, 60.0 * random.gamma(4.0, 0.25, 600), 0.0)
    outlook = Outlook((1 - p_none) * 60.0, p_none, np.ones(600))
    assert (outcome == 0).mean() > 0.9
    _, high = conformal(outlook, outcome).around(outlook)
    # of a chance of a quarter, nine in ten of all outcomes are below the middle of the purchases
    assert (high[:40] > 2.5 * outlook.expected[:40]).all()
    assert (high[:40] < 90.0).all()


def test_widened_intervals_are_wider_and_null_stays_null() -> None:
    random = np.random.default_rng(5)
    intervals = conformal(*heavy(1_000, random))
    wide = Intervals(intervals.variation, intervals.edges, intervals.low, intervals.high, 2.0)
    outlook = Outlook(np.array([30.0, np.nan]), np.zeros(2), np.ones(2))
    (low, high), (wide_low, wide_high) = intervals.around(outlook), wide.around(outlook)
    assert wide_low[0] < low[0] < 30.0 < high[0] < wide_high[0]
    assert np.isnan([low[1], high[1], wide_low[1], wide_high[1]]).all()


def test_a_bin_has_rows_enough() -> None:
    random = np.random.default_rng(6)
    assert len(conformal(*heavy(5 * ROWS_PER_BIN + 3, random)).edges) == 4
    assert len(conformal(*heavy(ROWS_PER_BIN, random)).edges) == 0
    assert len(conformal(*heavy(100 * ROWS_PER_BIN, random)).edges) == 9


def test_refunds_beyond_the_spend_count_as_nothing() -> None:
    rows = 400
    outlook = Outlook(np.full(rows, 5.0), np.full(rows, 0.5), np.ones(rows))
    bought = np.r_[np.full(200, -20.0), np.full(200, 10.0)]
    same = np.r_[np.zeros(200), np.full(200, 10.0)]
    assert conformal(outlook, bought) == conformal(outlook, same)


@pytest.mark.parametrize("expected", [[], [np.nan, np.nan], [0.0, 0.0]])
def test_without_an_expectation_the_supposed_distribution_stands(expected: list[float]) -> None:
    rows = len(expected)
    intervals = conformal(
        Outlook(np.array(expected), np.zeros(rows), np.ones(rows)), np.zeros(rows)
    )
    assert (intervals.low, intervals.high) == (pytest.approx((0.05,)), pytest.approx((0.95,)))


def test_intervals_survive_json() -> None:
    intervals = conformal(*heavy(1_000, np.random.default_rng(7)))
    assert Intervals.from_json(json.loads(json.dumps(intervals.to_json()))) == intervals


def test_rows_of_several_dates_stand_one_after_the_other() -> None:
    first, second = (heavy(3, np.random.default_rng(k))[0] for k in (8, 9))
    both = joined([first, second])
    assert both.expected.tolist() == [*first.expected, *second.expected]

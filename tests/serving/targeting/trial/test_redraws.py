"""Intervals from the hold-outs that might have been drawn instead."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial import redraws
from stagecast.serving.targeting.trial.adjustment import worth_using
from stagecast.serving.targeting.trial.contrast import estimate
from stagecast.serving.targeting.trial.draw import draw_holdout
from stagecast.serving.targeting.trial.measurement import measure
from stagecast.serving.targeting.trial.redraws import normal_enough, redraw_test
from stagecast.serving.targeting.trial.sequence import looks_at
from tests.profiles import examples

TAIL = 0.025


def welch(y: Array, held_out: NDArray[np.bool_]) -> float:
    a, b = y[~held_out], y[held_out]
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return float((a.mean() - b.mean()) / error)


def all_hold_outs(n: int, size: int) -> list[NDArray[np.bool_]]:
    rows = [np.isin(np.arange(n), chosen) for chosen in combinations(range(n), size)]
    return list(rows)


def heavy(seed: int, customers: int = 300, tail: float = 1.6) -> tuple[Array, Array]:
    """Return Pareto-distributed expectations, and spend that is strongly correlated with them."""
    random = np.random.default_rng(seed)
    expected = 20.0 * (1 - random.random(customers)) ** (-1 / tail)
    spend = expected * random.gamma(2.0, 0.5, customers) * (random.random(customers) < 0.5) * 2
    return spend, expected


def test_the_ends_are_those_at_which_all_hold_outs_say_one_in_forty() -> None:
    # 12 customers, 5 held out: all 792 hold-outs tell the probability exactly
    random = np.random.default_rng(1)
    y = random.gamma(2.0, size=12)
    held_out = np.arange(12) % 5 < 2
    test = redraw_test(y[:, None], ~held_out, np.zeros(12, dtype=np.int64))
    assert test is not None
    own = estimate(y[:, None], ~held_out, np.zeros(12, dtype=np.int64))
    low, high = test.ends(0, float(own.effect[0]), float(np.sqrt(own.variance[0])), 5.0, TAIL)
    others = all_hold_outs(12, int(held_out.sum()))
    for end, sign in ((low, 1), (high, -1)):
        for factor, beyond in ((0.9, False), (1.1, True)):
            effect = own.effect[0] + factor * (end - own.effect[0])
            alone = y - effect * ~held_out
            actual = welch(alone, held_out)
            share = np.mean(
                [sign * welch(alone, other) >= sign * actual - 1e-9 for other in others]
            )
            assert (share < TAIL) == beyond


@given(st.integers(0, 10_000), st.floats(0.1, 100), st.floats(-50, 50))
@settings(max_examples=examples(10))
def test_units_and_constant_effects_move_the_ends_by_themselves(
    seed: int, factor: float, effect: float
) -> None:
    y, x = heavy(seed, 80)
    contacted, stratum = np.arange(80) % 5 > 0, np.arange(80) % 2
    outcomes = (y, factor * y + effect * contacted)
    # whether the scores are used is decided without the arms, and a large effect can hide their use
    first_uses, moved_uses = (worth_using(v, stratum, x[:, None]) for v in outcomes)
    assume(first_uses == moved_uses)
    first, moved = (
        measure(v[:, None], contacted, stratum, x[:, None]).interval(0, TAIL) for v in outcomes
    )
    scale = factor * max(first.width, 1.0)
    assert moved.low == pytest.approx(factor * first.low + effect, abs=1e-4 * scale)
    assert moved.high == pytest.approx(factor * first.high + effect, abs=1e-4 * scale)
    assert first.low <= first.estimate <= first.high


def test_the_order_of_the_customers_does_not_matter() -> None:
    y, x = heavy(3)
    contacted, stratum = np.arange(300) % 7 > 0, np.arange(300) % 2
    order = np.random.default_rng(4).permutation(300)
    first = measure(y[:, None], contacted, stratum, x[:, None]).interval(0, TAIL)
    again = measure(y[order, None], contacted[order], stratum[order], x[order, None])
    assert again.interval(0, TAIL).low == pytest.approx(first.low)
    assert again.interval(0, TAIL).high == pytest.approx(first.high)


def test_a_smaller_tail_is_never_a_narrower_interval() -> None:
    y, x = heavy(5)
    measured = measure(
        y[:, None], np.arange(300) % 7 > 0, np.zeros(300, dtype=np.int64), x[:, None]
    )
    ends = [measured.interval(0, tail) for tail in (0.1, 0.025, 0.006, 0.004, 1e-5, 1e-12)]
    for inner, outer in pairwise(ends):
        assert outer.low < inner.low < inner.high < outer.high


def test_too_few_hold_outs_are_not_redrawn() -> None:
    y = np.array([0.0, 1.0, 0.0, 50.0, 2.0, 1.0])
    contacted = np.arange(6) % 2 == 0
    assert redraw_test(y[:, None], contacted, np.zeros(6, dtype=np.int64)) is None


def test_the_normal_interval_needs_25_customers_per_squared_skewness() -> None:
    # a share p of ones has the skewness (1 - 2 p) / sqrt(p (1 - p)): 2.667 squared is 7.111, times
    # 25 is 177.8
    y = np.repeat([1.0, 0.0], [100, 900]) - 0.1
    for smaller, enough in ((178, True), (177, False)):
        assert normal_enough(y, np.arange(1000) >= smaller) == enough


@pytest.fixture
def few_redraws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redraw 399 times: a test of 5 % is as exact with them, and the interval a little wider."""
    monkeypatch.setattr(redraws, "REDRAWS", redraws.FEWEST_REDRAWS)


@pytest.mark.slow
@pytest.mark.usefixtures("few_redraws")
def test_with_heavy_tails_intervals_hold_where_nobody_was_contacted() -> None:
    # a list and its spend are fixed, the hold-out is drawn again
    draws, held = 100, {"plain": 0, "adjusted": 0, "Student": 0}
    y, x = heavy(15)
    ids, stratum = [f"{k:03d}" for k in range(300)], np.arange(300) % 3
    for seed in range(draws):
        contacted = ~draw_holdout(ids, stratum.astype(str).tolist(), 0.1, seed)
        for name, scores in (("plain", None), ("adjusted", x[:, None])):
            measured = measure(y[:, None], contacted, stratum, scores)
            interval = measured.interval(0, TAIL)
            held[name] += interval.low <= 0 <= interval.high
            # what these tails do to an interval that does not know them: t of 29 degrees
            held["Student"] += (
                name == "plain" and abs(measured.effect[0]) < 2.05 * measured.error[0]
            )
    # a standard error is 0.022
    assert held["plain"] / draws > 0.88
    assert held["adjusted"] / draws > 0.88
    assert held["Student"] / draws < 0.88


@pytest.mark.slow
@pytest.mark.usefixtures("few_redraws")
def test_with_heavy_tails_the_looks_hold_together_where_nobody_was_contacted() -> None:
    draws, held, looks = 80, 0, 3
    y, x = heavy(12, 200)
    when = np.random.default_rng(13).random(200)
    cumulative = y[:, None] * (when[:, None] < np.arange(1, looks + 1) / looks)
    elapsed, stratum = np.arange(1, looks + 1) / looks, np.zeros(200, dtype=np.int64)
    ids = [f"{k:03d}" for k in range(200)]
    for seed in range(draws):
        contacted = ~draw_holdout(ids, ["x"] * 200, 0.15, seed)
        sequence = looks_at(cumulative, elapsed, contacted, stratum, x[:, None], paths=5_000)
        held += all(look.per_customer.low <= 0 <= look.per_customer.high for look in sequence)
    # a standard error is 0.024
    assert held / draws > 0.88


def test_what_is_contained_lies_between_the_ends() -> None:
    random = np.random.default_rng(8)
    outcome = random.lognormal(3, 1.5, 200) * (random.random(200) < 0.2)
    contacted, stratum = random.random(200) < 0.8, np.zeros(200, dtype=np.int64)
    measured = measure(outcome[:, None], contacted, stratum)
    assert measured.redrawn[0] is not None
    for tail in (0.025, 0.002):
        interval = measured.interval(0, tail)
        step = interval.width / 100
        for end, inwards in ((interval.low, step), (interval.high, -step)):
            assert measured.contains(0, tail, end + inwards)
            assert not measured.contains(0, tail, end - inwards)

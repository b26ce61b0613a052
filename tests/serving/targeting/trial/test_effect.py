"""The effect of contact, plain and adjusted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial.effect import compare, effect_of

ALTERNATE = np.arange(400) % 2 == 0
NO_STRATA = np.zeros(400, dtype=np.int64)


def outcome(seed: int) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=400)
    return x + random.normal(size=400), x[:, None]


def test_the_interval_of_two_small_arms_is_welchs() -> None:
    # by hand: means 4 and 2, variances 1 and 1 over 3 each: 2 +- t(4) sqrt(2 / 3) = 2 +- 2.2669
    y = np.array([3.0, 5.0, 4.0, 1.0, 2.0, 3.0])
    contacted = np.array([True] * 3 + [False] * 3)
    effect = effect_of(y, contacted, np.zeros(6, dtype=np.int64))
    assert effect.per_customer.estimate == pytest.approx(2.0)
    assert effect.per_customer.low == pytest.approx(2 - 2.2669, abs=1e-4)
    assert effect.per_customer.high == pytest.approx(2 + 2.2669, abs=1e-4)
    assert effect.total.high == pytest.approx(3 * 4.2669, abs=1e-3)


def test_strata_are_weighted_by_their_customers_not_by_their_hold_outs() -> None:
    # 300 customers with effect 1, half of them held out; 100 with effect 5, a fifth held out
    stratum = np.repeat([0, 1], [300, 100])
    contacted = np.r_[np.arange(300) % 2 == 0, np.arange(100) % 5 > 0]
    y = contacted * np.where(stratum == 0, 1.0, 5.0) + 10.0 * stratum
    effect = effect_of(y, contacted, stratum)
    assert effect.per_customer.estimate == pytest.approx(0.75 * 1 + 0.25 * 5)


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-100, 100))
def test_another_currency_and_a_sum_for_all_change_the_unit_only(
    seed: int, factor: float, shift: float
) -> None:
    y, x = outcome(seed)
    first = compare(y, ALTERNATE, NO_STRATA, x)
    moved = compare(factor * y + shift, ALTERNATE, NO_STRATA, 3 * x - 1)
    for kind in ("plain", "adjusted"):
        a, b = (getattr(c, kind).per_customer for c in (first, moved))
        assert b.estimate == pytest.approx(factor * a.estimate, rel=1e-6, abs=1e-6 * factor)
        assert b.width == pytest.approx(factor * a.width, rel=1e-6)
    assert moved.narrower == pytest.approx(first.narrower, abs=1e-6)


@given(st.integers(0, 10_000), st.floats(-5, 5))
def test_a_constant_effect_moves_the_estimate_by_itself(seed: int, effect: float) -> None:
    y, x = outcome(seed)
    first = compare(y, ALTERNATE, NO_STRATA, x)
    moved = compare(y + effect * ALTERNATE, ALTERNATE, NO_STRATA, x)
    for kind in ("plain", "adjusted"):
        a, b = (getattr(c, kind).per_customer for c in (first, moved))
        assert b.estimate - a.estimate == pytest.approx(effect, abs=1e-9)
        assert b.width == pytest.approx(a.width)


@given(st.integers(0, 10_000))
def test_arms_exchanged_exchange_the_sign(seed: int) -> None:
    y, x = outcome(seed)
    first, other = (effect_of(y, arm, NO_STRATA, x).per_customer for arm in (ALTERNATE, ~ALTERNATE))
    assert other.estimate == pytest.approx(-first.estimate)
    assert (other.low, other.high) == pytest.approx((-first.high, -first.low))


def test_the_adjusted_interval_is_narrower_by_what_the_score_explains() -> None:
    random = np.random.default_rng(1)
    n = 20_000
    x = random.normal(size=n)
    y = 0.8 * x + 0.6 * random.normal(size=n)  # R2 = 0.64: 0.6 times as wide
    comparison = compare(y, random.random(n) < 0.8, np.zeros(n, dtype=np.int64), x[:, None])
    assert comparison.narrower == pytest.approx(0.4, abs=0.01)


def test_a_score_that_says_nothing_does_not_narrow() -> None:
    y, _ = outcome(2)
    comparison = compare(y, ALTERNATE, NO_STRATA, np.ones((400, 1)))
    assert comparison.narrower == 0.0
    assert comparison.adjusted == comparison.plain


def test_the_largest_customer_is_reported_and_not_trimmed() -> None:
    y = np.ones(400)
    y[0] = 601.0
    comparison = compare(y, ALTERNATE, NO_STRATA, outcome(1)[1])
    assert comparison.largest_share == pytest.approx(0.601)
    assert comparison.plain.per_customer.estimate == pytest.approx(3.0)


def test_equal_outcomes_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="the outcome of all 400 customers is 0"):
        effect_of(np.zeros(400), ALTERNATE, NO_STRATA)

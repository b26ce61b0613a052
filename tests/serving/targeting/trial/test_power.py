"""What a hold-out can show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.serving.targeting.trial.expected import (
    expected_buyers,
    expected_money,
    spend_cv,
)
from stagecast.serving.targeting.trial.power import (
    customers_needed,
    detectable,
    held_out_needed,
    holdout_cost,
    power_of,
)


def test_the_power_of_a_hand_computed_list() -> None:
    # p = 0.2 to 0.25 of 10,000 customers, half held out: error sqrt((0.1875 + 0.16) / 5000)
    # = 0.008337; 0.05 / error = 5.998; power Phi(5.998 - 1.960) = 0.99997
    expected = expected_buyers(np.full(10_000, 0.2))
    assert power_of(expected, 0.05, 5000) == pytest.approx(0.99997, abs=1e-5)
    # 0.02: variance 0.1716, error 0.0081437, 2.4559 - 1.9604 = 0.4955, Phi = 0.6899
    assert power_of(expected, 0.02, 5000) == pytest.approx(0.6899, abs=2e-4)


def test_the_size_of_two_equal_arms_is_that_of_the_textbook() -> None:
    # Fleiss, Levin and Paik (2003), Table A.4 without continuity correction, two-sided 5 %,
    # 80 % power: (1.96 + 0.84)^2 (0.3 0.7 + 0.4 0.6) / 0.1^2 = 353.2 in each arm
    needed = customers_needed(expected_buyers(np.full(10, 0.3)), 0.1, 0.5)
    assert needed == pytest.approx(2 * 353.2, rel=0.02)


def test_without_an_effect_the_power_is_the_error() -> None:
    expected = expected_buyers(np.full(1000, 0.2))
    assert power_of(expected, 0.0, 200) == pytest.approx(0.05, abs=0.003)


@pytest.mark.slow
@given(st.floats(0.02, 0.9), st.integers(1000, 100_000), st.floats(0.05, 0.5))
@example(0.046875, 3676, 0.0546875)
def test_the_smallest_effect_has_the_power_asked_for(
    p: float, customers: int, share: float
) -> None:
    expected = expected_buyers(np.full(customers, p))
    shown = detectable(expected, round(customers * share))
    assert shown.can_show == (shown.effect is not None)
    if shown.effect is not None:
        just_shown, just_not = (
            power_of(expected, shown.effect * factor, round(customers * share))
            for factor in (1 + 1e-9, 1 - 1e-6)
        )
        # moments are those of lists that are drawn from the scores: the power has small steps
        assert just_not <= 0.8 + 1e-6
        assert just_shown == pytest.approx(0.8, abs=0.005)
        assert just_shown >= 0.8 - 1e-6
        assert shown.total == pytest.approx(shown.effect * (customers - shown.held_out))
        assert shown.part_of_leavers == pytest.approx(shown.effect / (1 - p))


@given(st.floats(0.05, 0.9), st.floats(0.02, 0.1), st.floats(0.05, 0.5))
@example(0.9, 0.042236929318477175, 0.052035691446322446)
def test_the_size_needed_shows_the_effect_and_a_smaller_one_does_not(
    p: float, effect: float, share: float
) -> None:
    expected = expected_buyers(np.full(5, p))
    needed = customers_needed(expected, effect, share)
    assert needed is not None

    def power(n: int) -> float:
        return power_of(expected, effect, round(n * share), customers=n)

    # a hold-out is of whole customers, so that the power rises with small steps back
    assert power(needed) >= 0.8 > power(needed - round(2 / share)) - 1e-3
    assert power(round(0.9 * needed)) < 0.8


def test_the_hold_out_needed_is_the_smallest_that_shows_the_effect() -> None:
    expected = expected_buyers(np.full(20_000, 0.2))
    needed = held_out_needed(expected, 0.03)
    assert needed is not None
    assert power_of(expected, 0.03, needed) >= 0.8 > power_of(expected, 0.03, needed - 1)
    assert held_out_needed(expected, 0.001) is None
    assert customers_needed(expected, 0.0, 0.1) is None


def test_a_sharper_score_shows_smaller_effects() -> None:
    flat = detectable(expected_buyers(np.full(10_000, 0.5)), 1000)
    sharp = detectable(expected_buyers(np.repeat([0.1, 0.9], 5000)), 1000)
    assert flat.effect is not None
    assert sharp.effect is not None
    # variance 0.25 against 0.09: the effect is 0.6 times as large
    assert sharp.effect / flat.effect == pytest.approx(0.6, abs=0.02)


def test_a_list_that_cannot_show_anything_says_so() -> None:
    shown = detectable(expected_buyers(np.full(40, 0.8)), 4)
    assert not shown.can_show
    assert shown.effect is None
    assert shown.largest_effect == pytest.approx(0.2)
    assert "cannot show anything" in shown.sentence


def test_the_variance_of_spend_is_that_of_buying_and_of_the_amount() -> None:
    # p = 0.5, 20 money a buyer, cv 0.5: p y^2 (1 + cv^2) - (p y)^2 = 250 - 100
    expected = expected_money(np.array([0.5]), np.array([10.0]), cv=0.5)
    assert expected.variance() == pytest.approx(150.0)
    # half of the leavers stay: 0.75 400 1.25 - 15^2
    assert expected.variance(0.5) == pytest.approx(150.0)
    assert expected.largest_effect == pytest.approx(10.0)


def test_the_variance_and_the_spread_of_spend_are_recovered_from_a_simulated_window() -> None:
    random = np.random.default_rng(5)
    p, y = random.uniform(0.05, 0.9, 200_000), random.gamma(4.0, 10.0, 200_000)
    # gamma of shape 4: cv 0.5
    spend = (random.random(200_000) < p) * y * random.gamma(4.0, 0.25, 200_000)
    assert spend_cv(spend, p, p * y) == pytest.approx(0.5, abs=0.01)
    stated = expected_money(p, p * y, cv=0.5).variance()
    assert stated == pytest.approx(np.mean((spend - p * y) ** 2), rel=0.02)


def test_the_cost_of_a_hold_out_is_its_share_of_the_gain() -> None:
    assert holdout_cost(np.array([1.0, 2.0, -0.5]), 0.2) == pytest.approx(0.5)


def test_impossible_lists_are_refused() -> None:
    half = np.full(2, 0.5)
    with pytest.raises(UsageError, match="the list is empty"):
        expected_buyers(np.zeros(0))
    with pytest.raises(UsageError, match=r"customer 1 of the list is 1\.5"):
        expected_buyers(np.array([0.5, 1.5]))
    with pytest.raises(UsageError, match="customer 0 of the list is nan"):
        expected_buyers(np.array([np.nan, 0.5]))
    with pytest.raises(UsageError, match=r"expected spend of customer 1 of the list is -1\.0"):
        expected_money(half, np.array([1.0, -1.0]))
    with pytest.raises(UsageError, match="a spread of spend of -1"):
        expected_money(half, half, cv=-1.0)
    with pytest.raises(UsageError, match="nobody was expected to spend"):
        spend_cv(half, half, np.zeros(2))
    with pytest.raises(UsageError, match="an arm of fewer than 3"):
        power_of(expected_buyers(half), 0.1, 1)
    with pytest.raises(UsageError, match="not between 0 and 1"):
        customers_needed(expected_buyers(half), 0.1, 1.0)


def test_money_states_what_it_supposes_of_its_tails() -> None:
    p = np.full(20_000, 0.2)
    shown = detectable(expected_money(p, 10 * p, 1.5), 4_000)
    assert shown.cv == 1.5
    # variance p y^2 (1 + cv^2) - (p y)^2: 20 * 3.25 - 4 = 61, with cv 3 20 * 10 - 4 = 196
    assert "varies by 1.5 times" in shown.sentence
    assert f"effects {np.sqrt(196 / 61):.2g} times as large" in shown.sentence
    assert "supposes" not in detectable(expected_buyers(p), 4_000).sentence

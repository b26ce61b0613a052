"""Extra money up to a cap for each customer."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial.capped import capped_effect
from stagecast.serving.targeting.trial.effect import effect_of
from tests.serving.targeting.trial.test_redraws import heavy

CONTACTED = np.arange(300) % 5 > 0
ONE = np.zeros(300, dtype=np.int64)


def test_the_cap_is_that_of_nineteen_in_twenty_buyers_and_counts_the_rest_in_part() -> None:
    # buyers spend 1 to 100: numpy's 95 % quantile is 1 + 0.95 * 99 = 95.05
    money = np.r_[np.arange(1.0, 101.0), np.zeros(200)]
    capped = capped_effect(money, CONTACTED, ONE)
    assert capped is not None
    assert capped.cap == pytest.approx(95.05)
    by_hand = effect_of(np.where(money > 95.05, 95.05, money), CONTACTED, ONE)
    assert capped.effect.per_customer == by_hand.per_customer


def test_the_largest_customer_no_longer_widens_the_interval() -> None:
    money, expected = heavy(15)
    larger = money.copy()
    larger[np.argmax(money)] *= 100
    first, second = (capped_effect(v, CONTACTED, ONE, expected[:, None]) for v in (money, larger))
    assert first is not None
    assert second is not None
    assert second.effect.per_customer == first.effect.per_customer
    assert (
        first.effect.per_customer.width
        < effect_of(money, CONTACTED, ONE, expected[:, None]).per_customer.width
    )


def test_a_known_effect_on_small_spends_is_recovered() -> None:
    random = np.random.default_rng(6)
    alone = random.gamma(2.0, 5.0, 4000)
    alone[:10] = 100_000.0
    contacted = np.arange(4000) % 2 == 0
    capped = capped_effect(alone + 2.0 * contacted, contacted, np.zeros(4000, dtype=np.int64))
    assert capped is not None
    truth = np.mean(np.minimum(alone + 2.0, capped.cap) - np.minimum(alone, capped.cap))
    interval = capped.effect.per_customer
    assert interval.low < truth < interval.high
    # the deviation of a gamma of mean 10 and shape 2 is 7.07: 2 * 1.96 * 7.07 / sqrt(1000) = 0.877
    assert interval.width < 0.877


@pytest.mark.parametrize("money", [np.zeros(300), np.full(300, 5.0)])
def test_without_differences_there_is_no_capped_effect(money: Array) -> None:
    assert capped_effect(money, CONTACTED, ONE) is None

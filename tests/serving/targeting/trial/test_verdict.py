"""What a read-out says."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.serving.targeting.trial.intervals import Interval, around
from stagecast.serving.targeting.trial.verdict import judge, size_next_time

NEEDED = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.1, 0.9, "Proven"),
        (-0.9, -0.1, "Harmful"),
        (-0.1, 0.9, "Not proven yet"),
        (-0.9, 0.1, "Not proven yet"),
        (0.0, 0.5, "Not proven yet"),
    ],
)
@pytest.mark.parametrize("closed", [True, False])
def test_the_word_follows_the_interval(low: float, high: float, word: str, closed: bool) -> None:
    interval = Interval((low + high) / 2, low, high)
    verdict = judge(interval, what="buyers", standard_error=0.2, customers=100, closed=closed)
    assert verdict.word == word
    assert (verdict.customers_next_time is None) == (word != "Not proven yet")
    assert ("the window is closed" in verdict.sentence) == closed


def test_the_size_next_time_is_that_of_the_textbook() -> None:
    # an effect of one standard error needs (1.960 + 0.842)^2 = 7.849 times the customers
    assert size_next_time(1.0, 1.0, 1000) == 7849
    assert size_next_time(-2.0, 2.0, 1000) == 7849


def test_an_effect_of_nearly_nothing_has_no_size() -> None:
    assert size_next_time(0.0, 1.0, 1000) is None
    assert size_next_time(0.01, 1.0, 1000) is None
    verdict = judge(
        around(0.001, 1.0), what="buyers", standard_error=0.5, customers=100, closed=True
    )
    assert verdict.customers_next_time is None
    assert "no list of useful size" in verdict.sentence


def test_a_loss_that_is_not_proven_is_called_a_loss() -> None:
    verdict = judge(
        around(-0.5, 1.0), what="money after costs", standard_error=0.5, customers=100, closed=True
    )
    assert "What was measured is a loss" in verdict.sentence


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.integers(100, 10_000))
def test_the_size_next_time_is_the_smallest_with_the_power(
    effect: float, error: float, customers: int
) -> None:
    size = size_next_time(effect, error, customers)
    if size is None or size < 2:
        return
    shown, smaller = (effect / (error * np.sqrt(customers / n)) for n in (size, size - 1))
    assert shown >= NEEDED - 1e-9
    assert smaller <= NEEDED + 1e-9

"""Powers of many lists at once, against the formulas written out for one list in plain Python."""

from __future__ import annotations

import math
from statistics import NormalDist, fmean

import numpy as np
import pytest

from stagecast.serving.targeting.trial.drawn_tails import DrawnLists
from stagecast.serving.targeting.trial.expected import Expected, expected_buyers
from stagecast.serving.targeting.trial.intervals import LEVEL, critical_value
from stagecast.serving.targeting.trial.power import power_of
from stagecast.serving.targeting.trial.redraws import enough_customers
from stagecast.serving.targeting.trial.tails import (
    LARGEST_INSTABILITY,
    LARGEST_SKEWNESS,
    LEAST_VARIANCE,
)

Moments = tuple[float, float, float]


def above(shift: float, g: float, w: float, c: float) -> float:
    variance = max(1 - c * g + c**2 * w / 4, LEAST_VARIANCE)
    x = -(shift - c * (1 - w / 8)) / math.sqrt(variance)
    tail = NormalDist().cdf(-x) + g / 6 * (x**2 - 1) * NormalDist().pdf(x)
    return min(max(tail, 0.0), 1.0)


def power_in(
    effect: float, contacted: int, held_out: int, with_contact: Moments, alone: Moments
) -> float:
    """Return the power in one list (Hall 1992, sections 2.6 and 3.10)."""
    (v, m3, m4), (v0, m30, m40) = with_contact, alone
    squared = v / contacted + v0 / held_out
    if squared == 0.0:
        return 0.0
    g = (m3 / contacted**2 - m30 / held_out**2) / squared**1.5
    g = max(min(g, LARGEST_SKEWNESS), -LARGEST_SKEWNESS)
    w = ((m4 - v**2) / contacted**3 + (m40 - v0**2) / held_out**3) / squared**2
    w = min(w, LARGEST_INSTABILITY)
    k = ((m4 - 3 * v**2) / contacted**3 + (m40 - 3 * v0**2) / held_out**3) / squared**2
    n = contacted + held_out
    third, variance = (contacted * m3 + held_out * m30) / n, (contacted * v + held_out * v0) / n
    t = critical_value(LEVEL, min(contacted, held_out) - 2)
    moved = wider = 0.0
    if not enough_customers(min(contacted, held_out), third, variance):
        moved = g * (2 * t**2 + 1) / 6
        a = t * (2 * t**2 + 1) / 9 - t * (2 * t**2 + 1) ** 2 / 72 + t * (t**4 + 2 * t**2 - 3) / 18
        wider = max(a * g**2 - t * (t**2 - 3) * k / 12, 0.0)
    shift = effect / math.sqrt(squared)
    return min(above(shift, g, w, t - moved + wider) + above(-shift, -g, w, t + moved + wider), 1.0)


def money(customers: int, cv: float) -> Expected:
    draw = np.random.default_rng(5)
    return Expected(draw.beta(0.6, 3.0, customers), draw.lognormal(3.0, 1.0, customers), cv)


@pytest.mark.parametrize(
    ("expected", "held_out"),
    [
        (expected_buyers(np.full(400, 0.02)), 40),
        (expected_buyers(np.full(60, 0.003)), 12),
        (money(500, 1.8), 50),
        (money(900, 0.4), 450),
    ],
)
@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_the_power_is_the_mean_over_lists(expected: Expected, held_out: int, part: float) -> None:
    n = len(expected.purchase)
    effect = part * expected.largest_effect
    lists = DrawnLists(expected, n)
    both = zip(lists.moments(part).T.tolist(), lists.moments(0.0).T.tolist(), strict=True)
    powers = [power_in(effect, n - held_out, held_out, *moments) for moments in both]
    assert power_of(expected, effect, held_out) == pytest.approx(fmean(powers), rel=1e-9)


def test_a_list_of_which_nobody_can_buy_shows_nothing() -> None:
    # every second customer stands for a list of half the size
    expected = expected_buyers(np.tile([0.0, 0.02], 50))
    assert power_of(expected, 0.0, 25, customers=50) == 0.0


def test_where_t_holds_the_moments_are_those_of_the_distribution() -> None:
    expected, held_out = expected_buyers(np.full(4_000, 0.4)), 2_000
    effect = 0.05 * expected.largest_effect
    moments = [(expected.variance(k), *expected.tails(k)) for k in (0.05, 0.0)]
    power = power_in(effect, 2_000, held_out, *moments)
    assert 0.1 < power < 0.9
    assert power_of(expected, effect, held_out) == pytest.approx(power, rel=1e-9)

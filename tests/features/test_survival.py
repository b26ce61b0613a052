"""The product-limit estimate and the bound of a chance: by hand, against a direct count of those at
risk, and against chances that are known.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.survival import FEWEST_AT_RISK, outlook, survival
from tests.profiles import examples


def test_an_estimate_by_hand() -> None:
    # six gaps: 1, 2, 2 and 4 completed, 2 and 5 still open; one still open at 2 is at risk at 2
    times, probability = survival(np.array([4.0, 2.0, 1.0, 2.0]), np.array([5.0, 2.0]))
    assert times.tolist() == [1.0, 2.0, 4.0]
    assert probability.tolist() == pytest.approx([5 / 6, 5 / 6 * 3 / 5, 5 / 6 * 3 / 5 * 1 / 2])


@settings(max_examples=examples(100), deadline=None)
@given(
    completed=st.lists(st.integers(1, 12), min_size=1, max_size=30),
    still_open=st.lists(st.integers(1, 24).map(lambda half: half / 2), max_size=30),
)
def test_the_estimate_is_the_product_over_those_at_risk(
    completed: list[int], still_open: list[float]
) -> None:
    times, probability = survival(
        np.array(completed, dtype=float), np.array(still_open, dtype=float)
    )
    assert times.tolist() == sorted(set(completed))
    expected = 1.0
    for time, estimate in zip(times, probability, strict=True):
        at_risk = sum(1 for gap in [*completed, *still_open] if gap >= time)
        expected *= 1 - completed.count(int(time)) / at_risk
        assert estimate == pytest.approx(expected, rel=1e-12, abs=1e-15)


Z = 1.6448536269514722


def wilson_upper(share: float, trials: float) -> float:
    """Return the larger root p of (share - p)^2 = z^2 p (1 - p) / trials."""
    a, b, c = 1 + Z**2 / trials, -(2 * share + Z**2 / trials), share**2
    return (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)


def chance(
    completed: list[float], still_open: list[float], silence: int, least_days: float = 91
) -> float:
    curve = outlook(np.array(completed, dtype=float), np.array(still_open, dtype=float))
    return float(curve.chance_at_most(np.array([silence]), 365, least_days)[0])


def test_without_censoring_the_bound_is_that_of_a_share() -> None:
    # of 40 durations that have lasted 10 days 12 end within a year, and 3 later
    completed = [5.0] * 7 + [20.0] * 12 + [400.0] * 3
    assert chance(completed, [500.0] * 25, 10) == pytest.approx(wilson_upper(12 / 40, 40))


def test_with_none_that_ended_the_bound_depends_on_the_number_alone() -> None:
    assert chance([], [400.0] * 60, 0) == pytest.approx(Z**2 / (60 + Z**2))


def test_what_is_followed_for_a_short_time_counts_for_no_more_than_that() -> None:
    # 100 are at risk, but 95 of them only for ten days: 60 are needed for the time that is seen
    assert chance([], [10.0] * 40 + [200.0] * 60, 0) == pytest.approx(
        1 - (1 - Z**2 / (60 + Z**2)) ** (365 / 200)
    )
    assert chance([], [10.0] * 71 + [400.0] * 29, 0) == 1.0


def test_the_effective_number_falls_by_those_who_are_censored() -> None:
    # 20 of 100 end at 30 days, 40 of the 80 left are censored at 60, 10 of the 40 left end at 90:
    # S = 0.8 * 0.75, effective number 30 / 0.6 = 50
    completed = [30.0] * 20 + [90.0] * 10
    assert chance(completed, [60.0] * 40 + [365.0] * 30, 0) == pytest.approx(wilson_upper(0.4, 50))


def test_a_hazard_that_falls_is_extrapolated_as_falling() -> None:
    # of 1000 followed for 100 days 400 end in the first half and 100 in the second, so that the
    # cumulative hazard grows from log(10 / 6) to log(10 / 5): by the power log2 of 1.357
    first, second = np.log(10 / 6), np.log(6 / 5)
    deviation = second / (first + second) * np.sqrt(1 / 400 + 1 / 100)
    power = (np.log2((first + second) / first)) + Z * deviation / np.log(2)
    assert power < 0.6
    falling = [25.0] * 400 + [75.0] * 100
    assert chance(falling, [100.0] * 500, 0) == pytest.approx(
        1 - (1 - wilson_upper(0.5, 1000)) ** (3.65**power)
    )
    # few durations say too little of the second half; a rising hazard is not extrapolated as rising
    few = chance([25.0] * 20 + [75.0] * 5, [100.0] * 25, 0)
    assert few > 1 - (1 - wilson_upper(0.5, 50)) ** (3.65**0.6)
    assert chance([25.0] * 100 + [75.0] * 400, [100.0] * 500, 0) == pytest.approx(
        1 - (1 - wilson_upper(0.5, 1000)) ** 3.65
    )


@settings(max_examples=examples(100), deadline=None)
@given(
    completed=st.lists(st.integers(1, 40), max_size=60),
    still_open=st.lists(st.integers(0, 1600).map(lambda half: half / 2), max_size=60),
)
def test_the_bound_is_a_chance_and_one_where_too_few_are_at_risk(
    completed: list[int], still_open: list[float]
) -> None:
    curve = outlook(np.array(completed, dtype=float), np.array(still_open, dtype=float))
    silence = np.arange(len(curve.after))
    bound = curve.chance_at_most(silence, 365, 91)
    assert ((bound > 0) & (bound <= 1)).all()
    for days in silence:
        lasting = [t for t in completed if t > days] + [t for t in still_open if t >= days]
        assert curve.after[days] == len(lasting)
        if len(lasting) < FEWEST_AT_RISK:
            assert bound[days] == 1.0


@pytest.mark.parametrize("hazard", [0.0002, 0.001, 0.004])
def test_the_bound_covers_a_chance_that_is_known(hazard: float) -> None:
    # durations that end at a constant hazard, each followed for a time of its own
    rng = np.random.default_rng(7)
    truth, covered = 1 - np.exp(-hazard * 365), []
    for _ in range(400):
        length, followed = rng.exponential(1 / hazard, 150), rng.uniform(100, 900, 150)
        completed, still_open = length[length <= followed], followed[length > followed]
        covered.append(chance(completed.tolist(), still_open.tolist(), 0) >= truth)
    assert np.mean(covered) >= 0.93

"""Mean cumulative spend by age with censoring, and the age at which a cost is paid back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.describe.channels.curves import SpendCurve
from tests.profiles import examples


def curve(days: list[tuple[int, float, float]], followed: list[float]) -> SpendCurve:
    customer, age, spend = zip(*days, strict=True) if days else ((), (), ())
    return SpendCurve(
        np.array(customer, dtype=np.int64),
        np.array(age, dtype=np.float64),
        np.array(spend, dtype=np.float64),
        np.array(followed, dtype=np.float64),
    )


THREE = curve(
    [(0, 0, 10.0), (0, 40, 6.0), (1, 0, 20.0), (1, 20, 4.0), (2, 0, 30.0)], [100.0, 30.0, 10.0]
)


def test_each_age_is_averaged_over_those_who_are_followed_for_so_long() -> None:
    # 60 / 3; plus 4 / 2, of the two followed for 20 days; plus 6 / 1, of the one for 40
    assert [THREE.at(age) for age in (0, 19, 20, 40, 90)] == [20.0, 20.0, 22.0, 28.0, 28.0]


def test_without_censoring_it_is_the_plain_mean_with_its_standard_error() -> None:
    rng = np.random.default_rng(5)
    days = [(k, float(age), float(rng.gamma(1.0, 9.0))) for k in range(40) for age in (0, 10, 50)]
    everybody = curve(days, [100.0] * 40)
    totals = np.bincount([k for k, _, _ in days], weights=[spend for _, _, spend in days])
    assert everybody.at(60.0) == pytest.approx(totals.mean())
    assert everybody.error(60.0) == pytest.approx(totals.std(ddof=1) / math.sqrt(40))


def simulated(customers: int, seed: int) -> SpendCurve:
    """Return customers who order 8 for certain at age 0, then at a rate of 1 in 30 days, each 5."""
    rng = np.random.default_rng(seed)
    followed = rng.uniform(1.0, 500.0, size=customers)
    days = []
    for k in range(customers):
        ages = np.cumsum(rng.exponential(30.0, size=60))
        days += [(k, 0.0, 8.0), *((k, float(a), 5.0) for a in ages[ages < followed[k]])]
    return curve(days, followed.tolist())


def test_young_customers_do_not_pull_the_spend_of_a_year_down() -> None:
    truth = 8.0 + 5.0 * 365 / 30
    actual = simulated(4000, 1)
    assert actual.at(365.0) == pytest.approx(truth, abs=3 * actual.error(365.0))
    naive = actual.spend.sum() / 4000
    assert naive < 0.8 * truth


def test_the_standard_error_is_the_spread_of_repeated_samples() -> None:
    samples = [simulated(120, seed) for seed in range(60)]
    spread = np.std([sample.at(250.0) for sample in samples])
    stated = np.mean([sample.error(250.0) for sample in samples])
    assert stated == pytest.approx(spread, rel=0.3)


def test_payback_is_the_age_at_which_the_cost_is_reached() -> None:
    paid = simulated(4000, 2).payback(8.0 + 5.0 * 200 / 30, needed=60)
    assert paid.days == pytest.approx(200.0, abs=15.0)
    assert paid.low is not None
    assert paid.high is not None
    assert paid.low <= paid.days <= paid.high


def test_payback_on_the_first_day_is_zero_days() -> None:
    assert simulated(500, 3).payback(5.0, needed=60).days == 0.0


def test_payback_is_not_told_beyond_the_age_to_which_customers_are_followed() -> None:
    later = simulated(500, 4).payback(1000.0, needed=60)
    assert (later.days, later.low, later.high) == (None, None, None)
    assert 300.0 < later.followed_days < 500.0
    # the two old customers of a young group do not pay for the others
    few = curve([(0, 0, 1.0), (0, 400, 99.0), (1, 0, 1.0)], [500.0, 3.0])
    assert few.payback(50.0, needed=2).days is None
    assert few.payback(50.0, needed=1).days == 400.0


def test_a_curve_of_nobody_says_nothing() -> None:
    nobody = curve([], [])
    assert nobody.at(100.0) == 0.0
    assert nobody.figure(365.0, 2).too_few
    assert nobody.payback(1.0, 2).days is None
    assert math.isnan(nobody.error(1.0))


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(1.0, 400.0),
            st.lists(st.tuples(st.floats(0.0, 0.99), st.floats(0.0, 50.0)), max_size=5),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_spend_that_is_never_negative_makes_a_curve_that_never_falls(
    customers: list[tuple[float, list[tuple[float, float]]]],
) -> None:
    days = [
        (k, part * followed, spend)
        for k, (followed, orders) in enumerate(customers)
        for part, spend in orders
    ]
    actual = curve(days, [followed for followed, _ in customers])
    assert (np.diff(actual.mean) >= -1e-9).all()
    total = sum(spend for _, _, spend in days)
    # nobody younger is counted, so it is no less than the plain mean
    assert actual.at(500.0) >= total / len(customers) - 1e-6

"""Effects shrunk to their mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from stagecast.serving.targeting.trial.shrinkage import shrink

# Rubin (1981), Journal of Educational Statistics 6: coaching in eight schools
SCHOOLS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCHOOL_ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def test_eight_schools_are_what_quadrature_gives() -> None:
    v = SCHOOL_ERRORS**2
    scale = 4 * np.sqrt(np.mean(v))

    def density(tau: float) -> float:
        total = v + tau**2
        w = 1 / total
        mean = np.sum(w * SCHOOLS) / w.sum()
        likelihood = np.prod(norm.pdf(SCHOOLS, mean, np.sqrt(total)) * 1e2) / np.sqrt(w.sum())
        return float(likelihood * scale / (scale + tau) ** 2)

    def first_school(tau: float) -> tuple[float, float]:
        total = v + tau**2
        w = 1 / total
        mean, pull = np.sum(w * SCHOOLS) / w.sum(), v[0] / total[0]
        centre = pull * mean + (1 - pull) * SCHOOLS[0]
        return centre, np.sqrt((1 - pull) * v[0] + pull**2 / w.sum())

    whole = quad(density, 0, np.inf)[0]
    mean = quad(lambda t: density(t) * first_school(t)[0], 0, np.inf)[0] / whole
    actual = shrink(SCHOOLS, SCHOOL_ERRORS)
    assert actual.effects[0].estimate == pytest.approx(mean, abs=0.02)

    def below(limit: float) -> float:
        return quad(lambda t: density(t) * norm.cdf(limit, *first_school(t)), 0, np.inf)[0] / whole

    assert below(actual.effects[0].low) == pytest.approx(0.025, abs=5e-4)
    assert below(actual.effects[0].high) == pytest.approx(0.975, abs=5e-4)


def test_equal_segments_are_pooled_and_very_different_ones_are_left_as_they_are() -> None:
    errors = np.full(4, 1.0)
    equal = shrink(np.array([1.0, 1.1, 0.9, 1.0]), errors)
    assert [e.estimate for e in equal.effects] == pytest.approx([1.0] * 4, abs=0.1)
    assert equal.effects[0].width < 0.9 * 2 * 1.96
    apart = shrink(np.array([-100.0, 0.0, 50.0, 100.0]), errors)
    assert [e.estimate for e in apart.effects] == pytest.approx([-100, 0, 50, 100], abs=0.2)
    assert apart.between_sd > 50


def test_a_single_segment_is_itself() -> None:
    (only,) = shrink(np.array([2.0]), np.array([0.5])).effects
    assert only.estimate == pytest.approx(2.0)
    assert (only.low, only.high) == pytest.approx((2 - 0.98, 2 + 0.98), abs=1e-3)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 5)), min_size=1, max_size=8),
    st.floats(0.01, 100),
    st.floats(-10, 10),
)
def test_shrunk_effects_lie_between_their_own_and_the_others_in_every_unit(
    rows: list[tuple[float, float]], factor: float, shift: float
) -> None:
    effects, errors = np.array(rows).T
    shrunk = shrink(effects, errors)
    for interval in shrunk.effects:
        assert effects.min() - 1e-9 <= interval.estimate <= effects.max() + 1e-9
        assert interval.low < interval.estimate < interval.high
    moved = shrink(factor * effects + shift, factor * errors)
    for a, b in zip(shrunk.effects, moved.effects, strict=True):
        assert b.estimate == pytest.approx(factor * a.estimate + shift, rel=1e-6, abs=1e-6)
        assert b.width == pytest.approx(factor * a.width, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0, 1.0, 3.0])
def test_intervals_of_segments_hold_as_often_as_they_say(between: float) -> None:
    random = np.random.default_rng(7)
    errors = np.array([0.5, 1.0, 1.5, 2.0])
    covered = []
    for _ in range(200):
        truth = 1.0 + between * random.standard_normal(4)
        shrunk = shrink(truth + errors * random.standard_normal(4), errors)
        covered += [
            interval.low <= t <= interval.high
            for interval, t in zip(shrunk.effects, truth, strict=True)
        ]
    # the prior favours no one tau: 93 to 98 % by the true one; 800 intervals have 0.8 points
    assert np.mean(covered) > 0.92

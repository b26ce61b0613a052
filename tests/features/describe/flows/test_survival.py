"""The product-limit estimate: published numbers, exact fractions, quartiles at the limit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.describe.flows.survival import product_limit

lengths = st.lists(st.integers(0, 30), max_size=25)


def exact(completed: list[int], still_open: list[int]) -> list[tuple[int, Fraction]]:
    """Return the estimate in fractions at each distinct end."""
    probability, steps = Fraction(1), []
    for time in sorted(set(completed)):
        at_risk = sum(t >= time for t in completed + still_open)
        probability *= 1 - Fraction(completed.count(time), at_risk)
        steps.append((time, probability))
    return steps


def test_published_remissions_of_leukaemia() -> None:
    """Compare with estimate and interval of Stata's ``sts list``, in weeks.

    Source: Freireich et al. (1963), 6-MP arm.
    """
    ended = np.array([6, 6, 6, 7, 10, 13, 16, 22, 23])
    lasting = np.array([6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35])
    curve = product_limit(ended, lasting)
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.probability.round(4).tolist() == [
        0.8571,
        0.8067,
        0.7529,
        0.6902,
        0.6275,
        0.5378,
        0.4482,
    ]
    assert curve.low.round(4).tolist() == [0.6197, 0.5631, 0.5032, 0.4316, 0.3675, 0.2678, 0.1881]
    assert curve.high.round(4).tolist() == [0.9516, 0.9228, 0.8894, 0.8491, 0.8049, 0.7468, 0.6801]
    assert (curve.quantile(0.25), curve.quantile(0.5), curve.quantile(0.75)) == (13, 23, None)


@settings(deadline=None)
@given(lengths, lengths)
def test_curve_and_quartiles_are_those_of_exact_fractions(
    completed: list[int], still_open: list[int]
) -> None:
    curve = product_limit(np.array(completed, dtype=np.int64), np.array(still_open, dtype=np.int64))
    steps = exact(completed, still_open)
    assert curve.times.tolist() == [time for time, _ in steps]
    assert curve.probability == pytest.approx(
        [float(probability) for _, probability in steps], abs=1e-12
    )
    for share in (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)):
        by_hand = next((time for time, probability in steps if probability <= 1 - share), None)
        assert curve.quantile(float(share)) == by_hand


def test_between_two_ends_the_estimate_is_that_of_the_earlier() -> None:
    curve = product_limit(np.array([2, 5]), np.array([3, 9]))
    # 3/4 from 2 on; at 5 two are at risk: 3/8
    assert [round(curve.at(t)[0], 12) for t in (0, 1.9, 2, 4.9, 5, 100)] == [
        1,
        1,
        0.75,
        0.75,
        0.375,
        0.375,
    ]


def test_ends_a_microsecond_apart_after_centuries_are_distinct() -> None:
    far = 2**60
    assert product_limit(
        np.array([far, far + 1]), np.array([], dtype=np.int64)
    ).probability.tolist() == [
        0.5,
        0.0,
    ]

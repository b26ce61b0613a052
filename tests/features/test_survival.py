"""The product-limit estimate: by hand, and against a direct count of those at risk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.survival import survival
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

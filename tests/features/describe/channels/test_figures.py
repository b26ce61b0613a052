"""Figures with an interval, and how many customers they need."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stagecast.features.describe.channels.figures import (
    FEWEST,
    WIDEST,
    cost_figure,
    mean_figure,
    needed_for_mean,
    share_figure,
    total_figure,
    variation_of,
)
from tests.profiles import examples


def test_a_count_needs_sixteen_and_more_variation_needs_its_square() -> None:
    # (2 * 1.959964 * c)^2 = 15.37 c^2, by hand
    assert [needed_for_mean(c) for c in (0.0, 1.0, 2.0, math.inf)] == [FEWEST, 16, 62, None]


def test_with_the_needed_customers_the_interval_is_about_as_wide_as_the_mean() -> None:
    values = np.random.default_rng(3).gamma(0.5, 20.0, size=100_000)
    needed = needed_for_mean(variation_of(values))
    assert needed is not None
    sample = values.reshape(-1)[: needed * 200].reshape(200, needed).mean(axis=1)
    low, high = np.quantile(sample, [0.025, 0.975])
    assert (high - low) / values.mean() == pytest.approx(WIDEST, rel=0.2)


def test_below_the_needed_number_nothing_is_told() -> None:
    figure = mean_figure(np.full(15, 3.0), variation=1.0)
    assert (figure.value, figure.low, figure.high) == (None, None, None)
    assert figure.too_few
    assert (figure.customers, figure.needed) == (15, 16)


def test_customers_who_happen_to_be_alike_still_need_what_others_need() -> None:
    assert mean_figure(np.full(5, 3.0), variation=0.6).too_few
    assert not mean_figure(np.full(5, 3.0), variation=0.2).too_few


def test_one_customer_has_no_interval_and_is_not_told() -> None:
    assert mean_figure(np.array([5.0]), variation=0.0).needed == FEWEST
    assert mean_figure(np.array([5.0]), variation=0.0).too_few


def test_no_number_of_customers_tells_a_mean_that_is_not_above_zero() -> None:
    figure = mean_figure(np.array([-4.0, 3.0] * 100), variation=1.0)
    assert (figure.value, figure.needed) == (None, None)


def test_nobody_is_too_few() -> None:
    nobody = np.zeros(0)
    assert mean_figure(nobody, 0.0).too_few
    assert total_figure(nobody, 0.0).too_few
    assert share_figure(0, 0).too_few
    assert cost_figure(10.0, 0).too_few


def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    hits = [
        figure.low <= 10.0 <= figure.high
        for figure in (mean_figure(rng.gamma(2.0, 5.0, size=150), 0.0) for _ in range(200))
        if figure.low is not None and figure.high is not None
    ]
    assert len(hits) == 200
    # 95 % of 200, less three standard errors
    assert np.mean(hits) > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200)


def test_the_interval_of_a_total_is_wider_than_that_of_the_mean() -> None:
    values = np.full(400, 2.0)
    total = total_figure(values, 0.0, 0.5)
    assert total.value == 400.0
    assert total.low is not None
    assert total.high is not None
    # a Poisson number of 400 customers, 1.96 / 20 on either side
    assert (total.high - total.low) / 400.0 == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_the_interval_of_a_cost_is_that_of_the_number_of_customers() -> None:
    figure = cost_figure(1000.0, 100)
    # scipy.stats.chi2 gives 81.4 to 121.6 for a Poisson count of 100: 8.22 to 12.29
    assert figure.low == pytest.approx(8.22, abs=0.1)
    assert figure.high == pytest.approx(12.29, abs=0.1)


def test_a_share_has_the_interval_of_wilson() -> None:
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", Statistics in
    # Medicine 17, table I, method 3: 81 of 263 is 0.2553 to 0.3662
    figure = share_figure(81, 263)
    assert (figure.low, figure.high) == (
        pytest.approx(0.2553, abs=5e-5),
        pytest.approx(0.3662, abs=5e-5),
    )


@settings(max_examples=examples(40), deadline=None)
@example(367, 0)  # rounding
@given(st.integers(0, 500), st.integers(0, 500))
def test_a_share_lies_within_its_interval_or_is_not_told(part: int, more: int) -> None:
    figure = share_figure(part, part + more)
    if figure.value is None:
        assert figure.needed is not None
        assert figure.customers < figure.needed
    else:
        assert figure.low is not None
        assert figure.high is not None
        assert 0.0 <= figure.low <= figure.value <= figure.high <= 1.0
        assert figure.high - figure.low <= 0.2 + 1e-9

"""Ranges are those of a new date: its level is not that of the dates that taught them."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.training.value.drift import (
    FURTHEST,
    PRIOR_DATES,
    USUAL_DRIFT,
    LevelError,
    drift_of,
)
from stagecast.training.value.fit_intervals import LEVELS, conformal
from stagecast.training.value.intervals import Outlook
from tests.training.value.test_intervals import Draw, covered, mostly_nothing


def frequent(rows: int, random: np.random.Generator) -> tuple[Outlook, Array]:
    """Return customers of many orders, whose money chance moves little."""
    expected = random.lognormal(4.0, 1.0, rows)
    outlook = Outlook(expected, np.zeros(rows), np.full(rows, 25.0))
    return outlook, expected * random.gamma(16.0, 1 / 16.0, rows)


@pytest.mark.parametrize("draw", [frequent, mostly_nothing])
def test_intervals_of_a_drifting_level_cover_nine_in_ten_of_new_dates(draw: Draw) -> None:
    random = np.random.default_rng(1)
    drift = 0.4
    still = conformal(*draw(4_000, random))
    moving = conformal(*draw(4_000, random), drift)
    by_still, by_moving = [], []
    for level in np.exp(drift * random.standard_normal(120)):
        # what comes has this level, and the forecast does not know it
        actual, outcome = draw(400, random)
        forecast = actual.at_level(1.0 / float(level))
        by_still.append(covered(still, forecast, outcome))
        by_moving.append(covered(moving, forecast, outcome))
    assert np.mean(by_moving) == pytest.approx(0.90, abs=0.025)
    assert np.mean(by_still) < np.mean(by_moving) + 0.005
    if draw is frequent:
        assert np.mean(by_still) < 0.80


def test_a_level_that_does_not_drift_leaves_the_intervals_alone() -> None:
    outlook, outcome = frequent(2_000, np.random.default_rng(2))
    still, hardly = conformal(outlook, outcome), conformal(outlook, outcome, 1e-6)
    for end, same in zip(still.around(outlook), hardly.around(outlook), strict=True):
        assert end == pytest.approx(same, rel=0.02)


def test_the_levels_have_the_mean_and_variance_of_a_standard_normal() -> None:
    assert np.mean(LEVELS) == pytest.approx(0.0, abs=1e-12)
    assert np.var(LEVELS) == pytest.approx(1.0, abs=1e-3)


def test_an_outlook_at_another_level_has_its_money_and_fewer_who_buy_nothing() -> None:
    outlook = Outlook(np.array([10.0]), np.array([0.64]), np.array([1.5]), np.array([3.0]))
    half, twice = outlook.at_level(0.5), outlook.at_level(2.0)
    assert half.expected == pytest.approx([5.0])
    assert half.p_none == pytest.approx([0.8])
    assert twice.p_none == pytest.approx([0.64**2])
    # 0.54 orders expected in all become 1.08
    assert twice.orders * (1 - twice.p_none) == pytest.approx([1.08])
    assert twice.orders_so_far == pytest.approx([3.0])


def test_the_error_of_a_total_has_the_variance_of_its_customers() -> None:
    error = LevelError.of(np.array([0.0, 4.0]), np.array([1.0, 1.0]))
    assert error is not None
    # residuals -2 and 2 around twice the expectation, over a total of 4
    assert (error.log_ratio, error.variance) == pytest.approx((np.log(2.0), 0.5))
    assert error.square == 0.0
    assert error.shrunk(0.5) == pytest.approx(np.log(2.0) * 0.25 / 0.75)
    assert LevelError.of(np.zeros(2), np.ones(2)) is None
    far = LevelError.of(np.full(9, 100.0), np.ones(9))
    assert far is not None
    assert far.log_ratio == FURTHEST


def test_the_drift_lies_between_that_of_other_logs_and_the_errors_of_this_one() -> None:
    calm, wild = [LevelError(0.02, 0.01)] * 3, [LevelError(-0.6, 0.01)] * 3
    assert 0 < drift_of(calm, 2.0, None) < USUAL_DRIFT < drift_of(wild, 2.0, None) < 0.6
    expected = (PRIOR_DATES * USUAL_DRIFT**2 + 2.0 * 0.35) / (PRIOR_DATES + 2.0)
    assert drift_of(wild, 2.0, None) == pytest.approx(expected**0.5)
    # a training of the past counts as a date, less the chance in its total
    expected = (PRIOR_DATES * USUAL_DRIFT**2 + 0.24) / (PRIOR_DATES + 2.0 + 1.0)
    assert drift_of(calm, 2.0, 0.5) == pytest.approx(expected**0.5)

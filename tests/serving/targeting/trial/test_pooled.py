"""The effect over several plans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.serving.targeting.trial.pooled import between_variance, pool

# Colditz et al. (1994), JAMA 271: cases and others among the vaccinated and the controls
BCG = np.array(
    [
        [4, 119, 11, 128],
        [6, 300, 29, 274],
        [3, 228, 11, 209],
        [62, 13536, 248, 12619],
        [33, 5036, 47, 5761],
        [180, 1361, 372, 1079],
        [8, 2537, 10, 619],
        [505, 87886, 499, 87892],
        [29, 7470, 45, 7232],
        [17, 1699, 65, 1600],
        [186, 50448, 141, 27197],
        [5, 2493, 3, 2338],
        [27, 16886, 29, 17825],
    ],
    dtype=float,
)


def test_the_variance_between_the_bcg_trials_is_the_published_one() -> None:
    # Viechtbauer (2010), Journal of Statistical Software 36: empirical Bayes (the same equation)
    a, b, c, d = BCG.T
    effects = np.log(a / (a + b)) - np.log(c / (c + d))
    variances = 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    assert between_variance(effects, variances) == pytest.approx(0.3181, abs=5e-5)


def test_three_plans_by_hand() -> None:
    # effects 1, 2, 3 with variances 0.5: variance of the effects 1, tau^2 0.5, weights 1; interval
    # 2 +- t(2) sqrt(2 / 2 / 3) = 2 +- 4.30265 0.57735
    pooled = pool([1.0, 2.0, 3.0], [np.sqrt(0.5)] * 3)
    assert pooled.between_sd == pytest.approx(np.sqrt(0.5))
    assert pooled.mean.estimate == pytest.approx(2.0)
    assert pooled.mean.high == pytest.approx(2 + 4.30265 * 0.57735, abs=1e-4)
    assert pooled.next_plan is not None
    assert pooled.next_plan.width > pooled.mean.width


def test_a_single_plan_is_itself() -> None:
    pooled = pool([2.0], [0.5])
    assert (pooled.mean.low, pooled.mean.high) == pytest.approx((2 - 0.98, 2 + 0.98), abs=1e-3)
    assert (pooled.plans, pooled.between_sd, pooled.next_plan) == (1, 0.0, None)
    assert pool([2.0], [0.5], degrees=4).mean.high == pytest.approx(2 + 0.5 * 2.7764, abs=1e-4)


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 5)), min_size=2, max_size=12))
def test_the_mean_lies_among_the_plans_and_agreement_gives_no_variance_between(
    rows: list[tuple[float, float]],
) -> None:
    effects, errors = np.array(rows).T
    pooled = pool(effects, errors)
    assert effects.min() - 1e-9 <= pooled.mean.estimate <= effects.max() + 1e-9
    assert pooled.mean.low < pooled.mean.estimate < pooled.mean.high
    assert pool(np.full(len(rows), effects[0]), errors).between_sd == 0.0


@pytest.mark.parametrize("between", [0.0, 1.0])
def test_the_interval_of_the_mean_and_of_the_next_plan_hold_as_often_as_they_say(
    between: float,
) -> None:
    random = np.random.default_rng(11)
    errors = np.array([0.6, 0.8, 1.0, 1.2, 1.5])
    mean, ahead = [], []
    for _ in range(150):
        truth = 1.0 + between * random.standard_normal(6)
        pooled = pool(truth[:5] + errors * random.standard_normal(5), errors)
        assert pooled.next_plan is not None
        mean.append(pooled.mean.low <= 1.0 <= pooled.mean.high)
        ahead.append(pooled.next_plan.low <= truth[5] <= pooled.next_plan.high)
    # three standard errors of 150 are 0.053
    assert np.mean(mean) > 0.95 - 0.053
    assert np.mean(ahead) > 0.95 - 0.053


def test_no_plans_and_impossible_errors_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="no plan has been read out"):
        pool([], [])
    with pytest.raises(UsageError, match="1 standard errors of 2 plans"):
        pool([1.0, 2.0], [1.0])
    with pytest.raises(UsageError, match=r"the standard error of plan 1 is 0\.0"):
        pool([1.0, 2.0], [1.0, 0.0])

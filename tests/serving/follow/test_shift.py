"""Distances of the server against SciPy and against those of `stagecast monitor`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, spearmanr

from stagecast.serving.follow.shift import FEWEST, psi, psi_by_chance, rank_correlation
from stagecast.training.monitoring.distances import numbers_apart


def test_the_index_is_that_of_the_monitoring_with_missing_values_too():
    random = np.random.default_rng(1)
    for n, m, share in ((500, 500, 0.0), (900, 700, 0.4), (600, 600, 0.9)):
        one, other = random.gamma(1.2, 80, n), random.gamma(1.4, 80, m)
        one[random.random(n) < share], other[random.random(m) < share] = np.nan, np.nan
        theirs = numbers_apart(one, other, 0.01)
        assert psi(one, other) == pytest.approx(theirs.psi, rel=1e-9)


def test_too_few_scores_have_no_index_and_no_correlation():
    few = np.arange(FEWEST - 1.0)
    assert psi(few, few) is None
    assert rank_correlation(few, few) is None
    assert rank_correlation(np.zeros(99), np.arange(99.0)) is None
    assert psi(np.full(50, np.nan), np.full(50, np.nan)) == 0


@pytest.mark.parametrize("chance", [0.05, 0.001])
def test_the_chance_level_is_the_quantile_of_chi_squared(chance):
    exact = chi2.ppf(1 - chance, 9) * 2 / 300
    assert psi_by_chance(300, chance) == pytest.approx(exact, rel=0.01)


def test_the_correlation_of_ranks_is_that_of_scipy_with_ties():
    random = np.random.default_rng(2)
    one, other = random.integers(0, 9, 300).astype(float), random.normal(size=300)
    other += one
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)

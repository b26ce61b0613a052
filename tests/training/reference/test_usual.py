"""What is usual: medians, mean effects and mean risk by group, and of the active."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from stagecast.training.reference.usual import (
    AVERAGE,
    FEWEST_MEMBERS,
    NOTHING_USUAL,
    Risk,
    Usual,
    learn_usual,
)


def learned(sizes: dict[str, int], active: set[str]) -> Usual:
    group = np.repeat(list(sizes), list(sizes.values()))
    position = np.arange(len(group), dtype=float)
    return learn_usual(
        {"orders": position, "unknown": np.full(len(group), np.nan)},
        ("orders", "unknown"),
        np.column_stack([position, -position]),
        group,
        np.isin(group, list(active)),
        Risk(position / 100, group, np.isin(group, list(active))),
    )


def test_groups_have_their_own_figures_and_the_average_is_that_of_the_active() -> None:
    usual = learned({"new": 20, "loyal": 30, "lost": 50}, {"new", "loyal"})
    assert usual.medians["new"]["orders"] == 9.5
    assert usual.medians["lost"]["orders"] == 74.5
    assert usual.medians[AVERAGE]["orders"] == 24.5
    assert np.isnan(usual.medians["new"]["unknown"])
    assert usual.mean_effects["loyal"] == (34.5, -34.5)
    # the mean of 0 to .49, not what the mean of their log odds stands for
    np.testing.assert_allclose(expit(usual.base[AVERAGE]), 0.245)
    np.testing.assert_allclose(expit(usual.base["loyal"]), 0.345)


def test_a_group_of_few_has_none() -> None:
    usual = learned({"new": FEWEST_MEMBERS - 1, "loyal": FEWEST_MEMBERS}, {"new", "loyal"})
    assert set(usual.base) == {AVERAGE, "loyal"}


def test_the_average_is_that_of_the_active_however_few_they_are() -> None:
    usual = learned({"new": 5, "lost": 40}, {"new"})
    assert usual.medians[AVERAGE]["orders"] == 2
    np.testing.assert_allclose(expit(usual.base[AVERAGE]), 0.02)


def test_where_nobody_is_active_the_average_is_that_of_all() -> None:
    usual = learned({"lost": 45}, set())
    assert usual.medians[AVERAGE]["orders"] == 22
    np.testing.assert_allclose(expit(usual.base[AVERAGE]), 0.22)


def test_a_risk_of_0_or_1_has_log_odds() -> None:
    sure = Risk(np.array([0.0, 1.0]), np.array(["new", "lost"]), np.array([True, False]))
    assert np.isfinite([sure.base("new"), sure.base("lost"), sure.base(AVERAGE)]).all()


def test_of_nobody_nothing_is_usual() -> None:
    assert learned({}, set()) == NOTHING_USUAL
    assert not NOTHING_USUAL


def test_json_and_back_is_the_same() -> None:
    usual = learned({"new": 20, "lost": 50}, {"new"})
    again = Usual.from_json(usual.to_json())
    assert again.to_json() == usual.to_json()
    assert np.isnan(again.medians["new"]["unknown"])

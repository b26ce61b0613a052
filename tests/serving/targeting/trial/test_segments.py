"""Segments of a campaign, each shrunk to the whole."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.serving.targeting.trial.draw import draw_holdout
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.segments import by_segment
from tests.serving.targeting.trial.test_redraws import heavy


def test_segments_of_a_campaign_recover_their_effects() -> None:
    random = np.random.default_rng(3)
    n = 9000
    labels = np.array(["high", "low", "middle"])[np.arange(n) % 3]
    effect = np.select([labels == "high", labels == "middle"], [4.0, 2.0], 0.0)
    contacted = random.random(n) < 0.7
    y = effect * contacted + random.normal(size=n)
    rows = by_segment(y, contacted, np.zeros(n, dtype=np.int64), None, labels.tolist())
    assert [row.label for row in rows] == ["high", "low", "middle"]
    assert [row.shrunk.estimate for row in rows] == pytest.approx([4, 0, 2], abs=0.15)
    assert [row.contacted + row.held_out for row in rows] == [3000] * 3


def test_a_segment_too_small_for_an_estimate_gets_that_of_the_whole() -> None:
    random = np.random.default_rng(3)
    labels = ["a"] * 500 + ["b"] * 500 + ["c"] * 2
    contacted = np.arange(1002) % 2 == 0
    y = 1.0 * contacted + random.normal(size=1002)
    *large, small = by_segment(y, contacted, np.zeros(1002, dtype=np.int64), None, labels)
    assert small.alone is None
    assert small.shrunk.estimate == pytest.approx(1.0, abs=0.3)
    assert small.shrunk.width > max(row.shrunk.width for row in large)


@pytest.mark.parametrize(("held_out", "own"), [(19, False), (20, True)])
def test_a_segment_has_an_interval_of_its_own_from_twenty_in_each_arm(
    held_out: int, own: bool
) -> None:
    y = np.random.default_rng(3).normal(size=600)
    contacted = np.ones(600, dtype=bool)
    contacted[:held_out] = contacted[300:350] = False
    labels = ["a"] * 300 + ["b"] * 300
    small, large = by_segment(y, contacted, np.zeros(600, dtype=np.int64), None, labels)
    assert (small.alone is not None) == own
    assert large.alone is not None


def test_where_all_segments_are_too_small_each_gets_that_of_the_whole() -> None:
    random = np.random.default_rng(4)
    y, contacted = random.normal(size=120), np.arange(120) % 8 > 0
    labels = np.array(["a", "b"])[np.arange(120) // 60].tolist()
    first, other = by_segment(y, contacted, np.zeros(120, dtype=np.int64), None, labels)
    assert first.alone is None
    assert first.shrunk == other.shrunk
    whole = effect_of(y, contacted, np.zeros(120, dtype=np.int64)).per_customer
    assert first.shrunk.estimate == pytest.approx(whole.estimate)
    assert first.shrunk.width > whole.width


def test_segments_of_heavy_tailed_money_seldom_exclude_0_where_nobody_was_contacted() -> None:
    y, x = heavy(15)
    labels = np.array(["a", "b", "c"])[np.arange(300) % 3].tolist()
    excluded = []
    for seed in range(40):
        contacted = ~draw_holdout([f"{k:03d}" for k in range(300)], labels, 0.2, seed)
        rows = by_segment(y, contacted, np.zeros(300, dtype=np.int64), x[:, None], labels)
        excluded += [not row.shrunk.low <= 0 <= row.shrunk.high for row in rows]
    # 5 % of 120, whose errors of one draw go together
    assert np.mean(excluded) < 0.11


def test_without_any_outcome_there_are_no_segments() -> None:
    contacted = np.arange(40) % 2 == 0
    assert by_segment(np.zeros(40), contacted, np.zeros(40, dtype=np.int64), None, ["a"] * 40) == ()

"""Segments of a campaign, each shrunk to the whole."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.serving.targeting.trial.segments import by_segment


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


def test_without_any_outcome_there_are_no_segments() -> None:
    contacted = np.arange(40) % 2 == 0
    assert by_segment(np.zeros(40), contacted, np.zeros(40, dtype=np.int64), None, ["a"] * 40) == ()

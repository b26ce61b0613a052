"""Each method of a backtest is held against ours on the same dates; what is left out is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stagecast.serving.reports.backtest_report import render_backtest
from stagecast.training.judging import draws
from stagecast.training.judging.backtest import Replay
from stagecast.training.judging.compared import compared, comparison_notes
from stagecast.training.judging.evaluation_result import OURS
from stagecast.training.judging.verdict import verdict
from tests.training.judging.test_verdict import made

P = np.zeros(1)


def without(replay: Replay, *names: str) -> Replay:
    """Return a date at which these methods could not be fitted."""
    return replace(
        replay,
        p_inactive={n: p for n, p in replay.p_inactive.items() if n not in names},
        expected_spend={n: p for n, p in replay.expected_spend.items() if n not in names},
    )


@pytest.fixture
def dates(monkeypatch: pytest.MonkeyPatch) -> list[Replay]:
    monkeypatch.setattr(draws, "DRAWS", 20)
    monkeypatch.setattr(draws, "FEWEST_DRAWS", 20)
    return [made(k, rows=300, at=60.0 * k) for k in range(1, 4)]


def test_a_young_date_takes_no_baseline_out_of_all_dates(dates: list[Replay]) -> None:
    young = [without(dates[0], "bg_nbd", "btyd"), *dates[1:]]
    result = verdict(young, 60, 1)
    assert [method.name for method in result.models] == [OURS, "recency", "bg_nbd"]
    # figure for figure those of a backtest of the two other dates
    other = verdict(dates[1:], 60, 1)
    assert (result.models, result.against) == (other.models, other.against)
    assert (result.spend, result.spend_against) == (other.spend, other.spend_against)
    assert result.segments == other.segments
    assert (result.grade, result.grade_sentence) == (other.grade, other.grade_sentence)
    assert len(result.dates) == 3
    (note,) = comparison_notes(young)
    assert note.startswith(
        f"as of {result.dates[0].as_of[:10]} there is no BG/NBD (lifetimes) or customer base x "
        "Gamma-Gamma to compare with ("
    )
    assert note.endswith("the grade and the figures of the methods are of the other dates")
    assert "to compare with (" in render_backtest(result, "2020-01-01", notes=(note,))


def test_a_baseline_that_most_dates_lack_is_left_out_and_named(dates: list[Replay]) -> None:
    rare = [without(dates[0], "bg_nbd"), without(dates[1], "bg_nbd"), dates[2]]
    result = verdict(rare, 60, 1)
    assert [method.name for method in result.models] == [OURS, "recency"]
    (note,) = comparison_notes(rare)
    assert note.startswith(
        "left out of the comparison: BG/NBD (lifetimes), which only 1 of the 3 dates has ("
    )


def test_where_every_date_has_every_method_nothing_is_told(dates: list[Replay]) -> None:
    assert comparison_notes(dates) == ()
    assert compared([date.p_inactive for date in dates]).dates == (0, 1, 2)


def test_dates_that_lack_different_methods_leave_more_than_half_or_all_are_kept() -> None:
    full = {OURS: P, "share": P, "a": P, "b": P}
    no_a, no_b = ({k: v for k, v in full.items() if k != name} for name in ("a", "b"))
    assert compared([no_a, no_b, full]).dates == (0, 1, 2)
    assert compared([no_a, no_b, full]).methods == (OURS, "share")
    assert compared([no_a, no_b, full, full, full]).dates == (2, 3, 4)
    # money that a date does not have is not compared at all, as before
    assert compared([{}, full, full]).methods == ()

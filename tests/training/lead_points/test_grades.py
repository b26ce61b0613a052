"""The grades: thresholds from numbers, volumes and conversions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.training.lead_points.grades import FEWEST_LEADS, Grades, GradeTarget, threshold

POINTS = np.array([5.0, 1.0, 3.0, 4.0, 2.0, np.nan])


def test_a_number_of_points_is_the_threshold() -> None:
    assert threshold(GradeTarget("points", 7.5), POINTS) == 7.5


def test_a_volume_takes_the_best() -> None:
    assert threshold(GradeTarget("best", 2), POINTS) == 4.0
    assert threshold(GradeTarget("share", 0.6), POINTS) == 3.0
    assert threshold(GradeTarget("best", 99), POINTS) == 1.0


def test_equal_points_stay_out_rather_than_exceed_the_volume() -> None:
    points = np.array([9.0, 5.0, 5.0, 5.0, 1.0])
    assert threshold(GradeTarget("best", 3), points) == 9.0
    assert threshold(GradeTarget("best", 4), points) == 5.0


def test_the_top_is_taken_whole_where_it_alone_exceeds_the_volume() -> None:
    assert threshold(GradeTarget("best", 1), np.array([5.0, 5.0, 1.0])) == 5.0


@given(st.lists(st.integers(0, 9).map(float), min_size=1, max_size=40), st.integers(1, 50))
def test_a_volume_is_met_as_near_as_equal_points_allow(values: list[float], most: int) -> None:
    points = np.array(values)
    limit = threshold(GradeTarget("best", float(most)), points)
    taken = int((points >= limit).sum())
    next_lower = points[points < limit]
    assert taken <= most or limit == points.max()
    assert not len(next_lower) or int((points >= next_lower.max()).sum()) > most


def past() -> tuple[np.ndarray, np.ndarray]:
    """Return 100 leads with 1 to 100 points: none below 51 converted, half to 90, all above."""
    points = np.arange(1.0, 101.0)
    return points, (points > 90) | ((points > 50) & (points % 2 == 0))


def test_a_conversion_gives_the_lowest_threshold_that_has_it() -> None:
    points, converted = past()
    limit = threshold(GradeTarget("conversion", 0.5), POINTS, points, converted)
    assert converted[points >= limit].mean() >= 0.5
    assert all(converted[points >= lower].mean() < 0.5 for lower in points[points < limit])


def test_a_conversion_out_of_reach_says_what_is_in_reach() -> None:
    points, converted = past()
    with pytest.raises(
        NotEnoughDataError, match=r"90.0%: the best is 67.7%, of 31 leads at or above 70 points"
    ):
        threshold(GradeTarget("conversion", 0.9), POINTS, points, converted)


def test_few_leads_show_no_conversion() -> None:
    points, converted = past()
    with pytest.raises(
        NotEnoughDataError, match=f"29 leads of the past are too few.*{FEWEST_LEADS}"
    ):
        threshold(GradeTarget("conversion", 0.1), POINTS, points[-29:], converted[-29:])
    with pytest.raises(NotEnoughDataError, match="no past date"):
        threshold(GradeTarget("conversion", 0.1), POINTS)


def test_without_leads_there_is_no_best() -> None:
    with pytest.raises(NotEnoughDataError, match="no lead to take the best of"):
        threshold(GradeTarget("best", 5), np.array([np.nan]))


def test_an_sql_asks_for_no_less_than_an_mql() -> None:
    with pytest.raises(UsageError, match="SQL would begin at 10 points, below an MQL at 20"):
        Grades(20.0, 10.0)
    assert Grades(20.0, 20.0).of(np.array([19.0, 20.0])).tolist() == ["none", "SQL"]

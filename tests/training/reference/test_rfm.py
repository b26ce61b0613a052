"""RFM: equal values share the lowest score, one order is frequency 1, and segments by a chart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.training.reference.rfm import (
    SEGMENTS,
    RfmScale,
    RfmScales,
    learn_scales,
    rfm_segment,
    segment_definition,
)
from stagecast.training.reference.rfm_settings import MEASURES, RfmSettings, rfm_from_toml

# The usual chart of ten groups: one row per score of recency from 5 to 1, one letter per score of
# frequency.
CHART = {5: "NPPCC", 4: "RPPLL", 3: "BBALL", 2: "HHKKX", 1: "HHKKX"}
GROUPS = {
    "N": "new customers",
    "P": "potential loyalists",
    "C": "champions",
    "R": "promising",
    "L": "loyal customers",
    "B": "about to sleep",
    "A": "need attention",
    "H": "hibernating",
    "K": "at risk",
    "X": "cannot lose them",
}
ONE_TIME = {"new customers", "promising", "about to sleep", "hibernating"}


def scales(settings: RfmSettings | None = None, **features: list[float]) -> RfmScales:
    rows = max(map(len, features.values()))
    columns = {name: np.ones(rows) for name in MEASURES}
    columns |= {name: np.array(values) for name, values in features.items()}
    return learn_scales(columns, columns["orders"] > 0, settings or RfmSettings())


@pytest.mark.parametrize("recency", range(1, 6))
@pytest.mark.parametrize("frequency", range(1, 6))
def test_every_pair_of_scores_has_the_group_of_the_chart(recency: int, frequency: int) -> None:
    group = GROUPS[CHART[recency][frequency - 1]]
    assert rfm_segment(recency, frequency) == group
    assert [s.name for s in SEGMENTS if s.holds(recency, frequency)][:1] == [group]


def test_no_pair_of_scores_belongs_to_two_segments() -> None:
    pairs = [(r, f) for r in range(1, 6) for f in range(1, 6)]
    assert [sum(s.holds(r, f) for s in SEGMENTS) for r, f in pairs] == [1] * 25


def test_a_definition_names_the_ranges() -> None:
    assert segment_definition("hibernating") == "R 1 or 2, F 1 or 2"
    assert segment_definition("a segment of another version") == ""


def test_quintiles_by_hand_with_5_best() -> None:
    days = np.arange(1.0, 101.0)
    learned = scales(recency_days=days.tolist(), orders=days.tolist(), spend=days.tolist())
    rising = np.repeat([1, 2, 3, 4, 5], 20).tolist()
    assert learned.orders.score(days).tolist() == rising
    assert learned.spend.score(days).tolist() == rising
    assert learned.recency_days.score(days).tolist() == rising[::-1]
    assert learned.orders.score(np.array([-9.0, 1e9])).tolist() == [1, 5]


def test_where_most_have_one_order_it_is_the_lowest_score_and_two_are_above_it() -> None:
    # as in 400 customers of whom 87 % bought once
    learned = scales(orders=[1.0] * 348 + [2.0] * 32 + [5.0] * 20)
    assert learned.orders.score(np.array([1.0, 2.0, 5.0])).tolist() == [1, 5, 5]


def test_one_price_for_all_is_the_lowest_score_of_money() -> None:
    learned = scales(spend=[9.0] * 50, orders=[1.0] * 50, recency_days=[3.0] * 50)
    assert learned.spend.score(np.array([9.0])).tolist() == [1]
    assert learned.recency_days.score(np.array([3.0])).tolist() == [1]


@given(
    values=st.lists(st.integers(1, 12), min_size=1, max_size=80),
    bins=st.integers(2, 9),
    smaller=st.booleans(),
)
def test_a_score_counts_the_share_of_buyers_with_a_worse_value(
    values: list[int], bins: int, smaller: bool
) -> None:
    name = "recency_days" if smaller else "spend"
    learned = getattr(scales(RfmSettings(bins), **{name: [float(v) for v in values]}), name)
    for value in values:
        worse = sum(v > value if smaller else v < value for v in values)
        assert learned.score(np.array([float(value)]))[0] == 1 + bins * worse // len(values)


@given(
    orders=st.lists(st.integers(1, 30), min_size=1, max_size=60),
    days=st.lists(st.integers(0, 900), min_size=1, max_size=60),
    bins=st.integers(2, 9),
)
def test_one_order_is_the_lowest_score_and_never_a_segment_of_regulars(
    orders: list[int], days: list[int], bins: int
) -> None:
    rows = min(len(orders), len(days))
    learned = scales(
        RfmSettings(bins),
        orders=[float(n) for n in orders[:rows]],
        recency_days=[float(d) for d in days[:rows]],
    )
    assert learned.orders.score(np.array([1.0])).tolist() == [1]
    first = learned.orders.fifths()[0]
    assert {rfm_segment(place, first) for place in learned.recency_days.fifths()} <= ONE_TIME


def test_own_limits_are_reached_on_the_limit() -> None:
    settings = RfmSettings(recency_days=(30, 90), orders=(2, 3, 6), spend=(50,))
    learned = scales(settings, orders=[1.0] * 9)
    assert learned.recency_days.score(np.array([0.0, 30, 30.5, 90, 91])).tolist() == [3, 3, 2, 2, 1]
    assert learned.orders.score(np.array([1.0, 2, 5, 6, 60])).tolist() == [1, 2, 3, 4, 4]
    assert learned.spend.score(np.array([49.9, 50])).tolist() == [1, 2]


def test_any_number_of_scores_goes_from_1_to_5_for_the_segment() -> None:
    places = {bins: RfmScale((0.0,) * (bins - 1)).fifths() for bins in range(1, 10)}
    assert places[1] == (1,)
    assert places[2] == (1, 5)
    assert places[3] == (1, 3, 5)
    assert places[4] == (1, 2, 4, 5)
    assert places[5] == (1, 2, 3, 4, 5)
    assert all((p[0], p[-1]) == (1, 5) for bins, p in places.items() if bins > 1)


def test_prospects_cut_no_fifths() -> None:
    learned = scales(orders=[0, 0, 0, 4, 4, 4], spend=[0, 0, 0, 9, 9, 9])
    assert learned.orders.cuts == (4.0,) * 4
    assert learned.spend.cuts == (9.0,) * 4


def test_json_and_back_is_the_same() -> None:
    settings = RfmSettings(3, orders=(2, 4))
    learned = scales(settings, orders=[1.0, 2.0, 7.0])
    assert RfmScales.from_json(learned.to_json()) == learned
    assert RfmSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"bins": 1}, r"bins = 1 must be between 2 and 9"),
        ({"bins": 10}, r"bins = 10 must be between 2 and 9"),
        ({"bins": "five"}, r"bins = 'five' must be a whole number"),
        ({"bins": True}, r"bins = True must be a whole number"),
        ({"orders": [1, 2]}, r"orders = \[1, 2\] must begin above 1"),
        ({"orders": [3, 3]}, r"orders = \[3, 3\] must be up to 8 rising numbers"),
        ({"spend": 50}, r"spend = 50 must be up to 8 rising numbers"),
        ({"spend": ["much"]}, r"spend = \['much'\] must be"),
        ({"spend": list(range(9))}, r"must be up to 8 rising numbers"),
        ({"recency_days": [float("inf")]}, r"recency_days = \[inf\] must be"),
        ({"recency": [30]}, r"\[rfm\] has no 'recency'"),
        ([5], r"rfm = \[5\] must be a table"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(entries: Any, message: str) -> None:
    with pytest.raises(UsageError, match=r"^stagecast.toml: .*" + message):
        rfm_from_toml(entries, "stagecast.toml")

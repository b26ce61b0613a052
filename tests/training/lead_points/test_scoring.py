"""The points of a lead at an as_of, by hand and against a slow oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.features.leads import request_lead_events
from stagecast.features.requests import CustomerEvents, Event
from stagecast.training.lead_points.points import PointsTable, Rule, parse_points
from stagecast.training.lead_points.scoring import score_points
from tests.profiles import examples
from tests.training.leads.made import day, events_of


def table(*rules: Rule) -> PointsTable:
    return PointsTable(rules)


def test_points_halve_with_each_half_life() -> None:
    events = events_of({"a": [(0, "enquiry"), (20, "enquiry")]})
    scores = score_points(table(Rule("enquiry", 8.0, half_life_days=10)), events, day(30))
    assert scores.points.tolist() == pytest.approx([8 / 8 + 8 / 2])


def test_without_a_half_life_points_stay() -> None:
    events = events_of({"a": [(0, "enquiry")]})
    assert score_points(table(Rule("enquiry", 8.0)), events, day(3000)).points.tolist() == [8.0]


def test_only_the_newest_count_up_to_the_cap() -> None:
    events = events_of({"a": [(0, "visit"), (10, "visit"), (20, "visit")], "b": [(0, "visit")]})
    scores = score_points(table(Rule("visit", 4.0, half_life_days=10, most=2)), events, day(20.5))
    age = np.array([0.5, 10.5])
    assert scores.points.tolist() == pytest.approx(
        [float((4 * 0.5 ** (age / 10)).sum()), 4 * 0.5**2.05]
    )


def test_an_unsubscription_in_the_first_week_takes_points_a_later_one_does_not() -> None:
    rule = Rule("unsubscribe", -20.0, within_days=7)
    events = events_of(
        {
            "early": [(0, "visit"), (6.9, "unsubscribe")],
            "late": [(0, "visit"), (7.0, "unsubscribe")],
        }
    )
    assert score_points(table(rule), events, day(30)).points.tolist() == [-20.0, 0.0]


def test_nothing_at_or_after_the_as_of_counts() -> None:
    events = events_of({"a": [(0, "visit"), (5, "visit")], "b": [(5, "visit")]})
    points = score_points(table(Rule("visit", 1.0)), events, day(5)).points
    assert points[0] == 1.0
    assert np.isnan(points[1])


def test_what_was_recorded_late_is_not_known_before() -> None:
    customer = CustomerEvents(
        "a", (Event(day(0), "visit"), Event(day(1), "visit", recorded_at=day(9)))
    )
    events = request_lead_events([customer], day(100))
    counted = [
        score_points(table(Rule("visit", 1.0)), events, day(at)).points[0] for at in (5, 9, 9.1)
    ]
    assert counted == [1.0, 1.0, 2.0]


def test_the_largest_contributions_explain_the_points() -> None:
    points = parse_points(
        "[events]\nvisit = 1\nenquiry = 5\nunsubscribe = -7\n[attributes.channel]\nemail = 3"
    )
    customer = CustomerEvents(
        "a",
        (
            Event(day(0), "visit", channel="email"),
            Event(day(1), "visit"),
            Event(day(2), "unsubscribe"),
            Event(day(3), "enquiry"),
        ),
    )
    scores = score_points(points, request_lead_events([customer], day(9)), day(9))
    assert scores.points.tolist() == [3.0]
    assert scores.reasons(0) == [("unsubscribe", -7.0), ("enquiry", 5.0), ("channel=email", 3.0)]
    assert sum(worth for _, worth in scores.reasons(0, max_reasons=9)) == 3.0


def test_attributes_give_points_to_the_values_named() -> None:
    points = parse_points("[events]\nvisit = 1\n[attributes.origin]\nfair = 10")
    events = events_of({"a": [(0, "visit")], "b": [(0, "visit")]})
    scores = score_points(
        points, events, day(1), {"origin": np.array(["fair", "never seen"], dtype=object)}
    )
    assert scores.points.tolist() == [11.0, 1.0]


def test_an_attribute_that_was_not_handed_over_is_named() -> None:
    points = parse_points("[attributes.orgin]\nfair = 10")
    events = events_of({"a": [(0, "visit")]})
    with pytest.raises(
        UsageError, match=r"attribute 'orgin', .*known_at_start.*Did you mean 'origin'\?"
    ):
        score_points(points, events, day(1), {"origin": np.array(["fair"], dtype=object)})


_EVENTS = st.lists(
    st.tuples(st.integers(0, 40).map(float), st.sampled_from(["visit", "enquiry"])), max_size=8
)
_DAYS = st.none() | st.integers(1, 20)


@settings(max_examples=examples(60))
@given(
    log=st.lists(_EVENTS, min_size=1, max_size=4),
    rules=st.lists(
        st.builds(Rule, st.sampled_from(["visit", "enquiry"]), st.just(3.0), _DAYS, _DAYS, _DAYS),
        min_size=1,
        max_size=3,
    ),
    as_of=st.integers(1, 50),
)
def test_all_at_once_gives_what_one_by_one_gives(
    log: list[list[tuple[float, str]]], rules: list[Rule], as_of: int
) -> None:
    named = {f"c{k}": rows for k, rows in enumerate(log)}
    points = score_points(table(*rules), events_of(named), day(as_of)).points
    for k, rows in enumerate(log):
        observed = sorted(row for row in rows if row[0] < as_of)
        if not observed:
            assert np.isnan(points[k])
            continue
        expected = 0.0
        for rule in rules:
            ages = [
                as_of - at
                for at, kind in observed
                if kind == rule.event and at - observed[0][0] < (rule.within_days or 1e9)
            ]
            for age in sorted(ages)[: rule.most]:
                expected += rule.points * 0.5 ** (age / (rule.half_life_days or np.inf))
        assert points[k] == pytest.approx(expected)

"""Events that end a lead, and logs none of whose event types has points."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.features.errors import NotEnoughDataError
from stagecast.features.leads import LeadEvents
from stagecast.training.lead_points.grades import GradeTarget
from stagecast.training.lead_points.learning import learn_points
from stagecast.training.lead_points.points import PointsTable, Rule, load_points
from stagecast.training.lead_points.ranking import rank_leads, unknown_ends, without_points
from tests.training.leads.made import day, events_of

TABLE = PointsTable((Rule("visit", 1.0), Rule("enquiry", 5.0)))


def pipeline(count: int, seed: int) -> LeadEvents:
    """Return deals of a CRM: begun, a demo for half of them, then won, lost, or open."""
    random = np.random.default_rng(seed)
    log: dict[str, list[tuple[float, str]]] = {}
    for k in range(count):
        begins, demo = float(random.uniform(0, 300)), bool(random.integers(0, 2))
        rows = [(begins, "engage")] + [(begins + 1, "demo")] * demo
        closes = begins + float(random.exponential(40)) + 1
        if closes < 365:
            won = random.random() < (0.8 if demo else 0.4)
            rows.append((closes, "purchase" if won else "lost"))
        log[f"d{k:04}"] = rows
    return events_of(log)


def test_a_lead_ends_with_such_an_event_and_not_before_it() -> None:
    events = events_of(
        {
            "open": [(0, "visit")],
            "lost": [(0, "visit"), (5, "lost")],
            "later": [(0, "visit"), (20, "lost")],
            "bought": [(0, "visit"), (2, "lost"), (3, "purchase")],
        }
    )
    ranked = rank_leads(TABLE, events, day(10), 90, {}, ends_lead=("lost",))
    assert sorted(ranked.table["customer_id"].to_pylist()) == ["later", "open"]
    assert ranked.closed == 1
    everybody = rank_leads(TABLE, events, day(10), 90, {})
    assert (everybody.table.num_rows, everybody.closed) == (3, 0)


def test_where_all_leads_have_ended_the_message_says_by_what() -> None:
    events = events_of({"a": [(0, "visit"), (1, "lost")], "b": [(0, "purchase")]})
    with pytest.raises(NotEnoughDataError, match=r"no open lead: 1 were ended by lost or gone"):
        rank_leads(TABLE, events, day(10), 90, {}, ends_lead=("lost", "gone"))


def test_leads_that_had_ended_teach_no_points_and_no_threshold() -> None:
    events = pipeline(1_500, 1)
    every = learn_points(TABLE, events, day(365), 60)
    open_only = learn_points(TABLE, events, day(365), 60, ends_lead=("lost",))
    assert open_only.conversions == every.conversions
    assert open_only.leads < every.leads
    assert {"lost"} == {r.event for r in every.table.rules} - {
        r.event for r in open_only.table.rules
    }
    target = PointsTable(TABLE.rules, mql=GradeTarget("conversion", 0.01))
    graded = rank_leads(target, events, day(365), 60, {}, ends_lead=("lost",)).grades.mql
    assert graded <= rank_leads(target, events, day(365), 60, {}).grades.mql


def test_types_that_the_table_lacks_are_learned_and_named() -> None:
    learned = learn_points(TABLE, pipeline(1_500, 2), day(365), 60, ends_lead=("lost",))
    points = {rule.event: rule.points for rule in learned.learned}
    assert points["demo"] > 0
    assert set(points) <= {"demo", "engage"}
    assert learned.as_started == ("visit", "enquiry")


def test_a_log_none_of_whose_types_has_points_says_so() -> None:
    events = pipeline(50, 3)
    sentence = without_points(TABLE, events)
    assert sentence is not None
    assert "no event type of this log has points (demo, engage, lost)" in sentence
    assert "--learn" in sentence
    assert without_points(load_points(), events) is None  # a demo has points there
    by_channel = PointsTable(TABLE.rules, {"channel": {"fair": 3.0}})
    assert without_points(by_channel, events) is None
    assert without_points(PointsTable((Rule("demo", 0.0),)), events) is not None


def test_an_end_that_no_lead_has_is_named_with_a_guess() -> None:
    (sentence,) = unknown_ends(pipeline(50, 4), ("lost", "engages"))
    assert "--ends-lead 'engages': no lead has such an event" in sentence
    assert "Did you mean 'engage'?" in sentence


@pytest.mark.parametrize("event", ["page_view", "product_view"])
def test_a_page_or_product_looked_at_has_the_points_of_a_visit(event: str) -> None:
    rules = {rule.event: (rule.points, rule.half_life_days) for rule in load_points().rules}
    assert rules[event] == rules["visit"]

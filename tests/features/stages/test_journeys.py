"""Starts of stages: worked by hand, against the rules at many instants, and from later as_ofs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.standard import standard
from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.demo import cdnow_log
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.record import PurchaseDays, Record
from stagecast.features.requests import Event
from stagecast.features.stages.conditions import Clause
from stagecast.features.stages.journeys import Journeys, compute_journeys
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.features.stages.thresholds import derive
from tests.parity import oracle
from tests.parity.logs import DAY, TICK, Customers, as_ofs, event_log, logs, requests, utc
from tests.profiles import examples

LIMITS = {
    "shop_gap_days": 30.0,
    "at_risk_ratio": 2.0,
    "sleeping_ratio": 4.0,
    "lost_after_days": 300.0,
    "loyal_orders": 3.0,
    "loyal_spend": 100.0,
}
# no day of a log meets these limits exactly, so rounding does not matter
ODD = {
    **LIMITS,
    "shop_gap_days": 31.4159265,
    "at_risk_ratio": 1.7320508,
    "sleeping_ratio": 3.1622777,
}
RETAIL = load_scheme("retail")


def catalog(limits: Mapping[str, float]) -> Catalog:
    return standard(90).with_parameters(shop_gap_days=limits["shop_gap_days"])


def journeys_in_memory(
    customers: Customers, as_of: datetime, limits: Mapping[str, float]
) -> Journeys:
    memory = MemoryEvents(requests(customers), as_of)
    return compute_journeys(RETAIL.with_thresholds(limits), catalog(limits), memory.record({}))


def stage_and_since(journeys: Journeys, as_of: datetime, customers: int) -> list[tuple[str, str]]:
    stage, since = journeys.at(microseconds(as_of), customers)
    return [
        (RETAIL.ids[s] if s >= 0 else "", iso(from_microseconds(int(t))))
        for s, t in zip(stage, since, strict=True)
    ]


def bought(*instants: str, amount: float = 40.0) -> tuple[Event, ...]:
    return tuple(Event(utc(instant), "purchase", amount) for instant in instants)


WORKED = {
    "prospect": ((Event(utc("2020-05-30T08:00"), "visit"),), "2020-05-30T08:00:00Z"),
    "new": (bought("2020-05-20T10:00"), "2020-05-20T10:00:00Z"),
    # gap 20, the shop's 30
    "repeat": (bought("2020-05-01T09:00", "2020-05-21T12:00"), "2020-05-21T12:00:00Z"),
    # the third order, and 120 spent
    "loyal": (bought("2020-04-01", "2020-05-01T11:00", "2020-05-25T18:30"), "2020-05-25T18:30:00Z"),
    # own rhythm (3*30 + 7) / 4 = 24.25 days; twice that after the start of 8 March is noon of 25
    # April
    "at_risk": (bought("2020-03-01", "2020-03-08T20:00"), "2020-04-25T12:00:00Z"),
    # one order: the shop's rhythm of 30 days, four times
    "sleeping": (bought("2020-01-15T23:59"), "2020-05-14"),
    # 300 days, which is later than 120
    "lost": (bought("2019-06-01T12:00"), "2020-03-27"),
    # a gap of 161 days where 30 had been usual, more than four times
    "reactivated": (bought("2019-12-01", "2020-05-10T07:00"), "2020-05-10T07:00:00Z"),
}


@pytest.mark.parametrize("stage", RETAIL.ids)
def test_each_stage_begins_at_the_instant_worked_out_by_hand(stage: str) -> None:
    events, since = WORKED[stage]
    as_of = utc("2020-06-01")
    journeys = journeys_in_memory({"a": events}, as_of, LIMITS)
    assert stage_and_since(journeys, as_of, 1) == [(stage, since)]
    with event_log({"a": events}) as log:
        table = DailyTable(log.con, as_of)
        journeys_of_table = compute_journeys(
            RETAIL.with_thresholds(LIMITS), catalog(LIMITS), table.record({})
        )
    assert stage_and_since(journeys_of_table, as_of, 1) == [(stage, since)]


def test_a_purchase_that_changes_no_stage_moves_no_start() -> None:
    events = bought("2020-04-01", "2020-04-20T09:00", "2020-05-10", amount=1.0)
    as_of = utc("2020-06-01")
    journeys = journeys_in_memory({"a": events}, as_of, LIMITS)
    assert stage_and_since(journeys, as_of, 1) == [("repeat", "2020-04-20T09:00:00Z")]


def test_a_whole_life_worked_by_hand() -> None:
    events = (
        Event(utc("2019-01-01T06:00"), "visit"),
        *bought("2019-01-10T10:00", "2019-06-09T11:00"),
    )
    journeys = journeys_in_memory({"a": events}, utc("2022-01-01"), LIMITS)
    spells = [
        (RETAIL.ids[s], iso(from_microseconds(int(t))))
        for s, t in zip(journeys.stage, journeys.start, strict=True)
    ]
    assert spells == [
        ("prospect", "2019-01-01T06:00:00Z"),
        ("new", "2019-01-10T10:00:00Z"),
        ("at_risk", "2019-03-11"),  # 60 days after 10 January
        ("sleeping", "2019-05-10"),  # 120 days
        ("reactivated", "2019-06-09T11:00:00Z"),  # after 150 days
        ("at_risk", "2019-10-07"),  # rhythm (90 + 150) / 4 = 60 days, twice
        ("sleeping", "2020-02-04"),  # four times: 240 days
        ("lost", "2020-04-04"),  # 300 days
    ]


def by_hand(
    events: tuple[Event, ...], instant: datetime, limits: Mapping[str, float]
) -> str | None:
    """Return the stage by the rules of the retail scheme; None within rounding of a limit."""
    features = oracle.features(events, instant, 90, limits["shop_gap_days"])
    if features is None:
        return ""
    if features["orders"] == 0:
        return "prospect"
    overdue, silence, returned = (
        features["overdue_ratio"],
        features["recency_days"],
        features["return_ratio"] or 0,
    )
    distances = [
        abs(float(overdue) - limits["at_risk_ratio"]),
        abs(float(overdue) - limits["sleeping_ratio"]),
        abs(float(silence) - limits["lost_after_days"]),
    ]
    if min(distances) < 1e-12:
        return None
    if overdue > limits["sleeping_ratio"]:
        return "lost" if silence > limits["lost_after_days"] else "sleeping"
    if overdue > limits["at_risk_ratio"]:
        return "at_risk"
    if returned > limits["sleeping_ratio"]:
        return "reactivated"
    if features["orders"] >= limits["loyal_orders"] and features["spend"] >= limits["loyal_spend"]:
        return "loyal"
    return "repeat" if features["orders"] >= 2 else "new"


@st.composite
def lives(draw: st.DrawFn) -> tuple[Event, ...]:
    """One customer's events: at most one purchase a day, gaps of a day to two years, and visits."""
    instant = utc("2015-01-01") + timedelta(microseconds=draw(st.integers(0, 86_399_999_999)))
    events = []
    for _ in range(draw(st.integers(1, 9))):
        instant += timedelta(
            days=draw(
                st.one_of(st.integers(1, 60), st.sampled_from([62, 63, 94, 95, 124, 130, 300, 700]))
            )
        )
        instant = instant.replace(hour=draw(st.sampled_from([0, 5, 14, 23])))
        events.append(
            Event(
                instant, draw(st.sampled_from(["purchase", "purchase", "purchase", "visit"])), 45.0
            )
        )
    return tuple(events)


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(events=lives(), lost_after=st.sampled_from([300.5, 100.25, 1e9, float("inf")]))
def test_journeys_are_the_rules_tried_at_every_instant(
    events: tuple[Event, ...], lost_after: float
) -> None:
    limits = {**ODD, "lost_after_days": lost_after}
    end = events[-1].timestamp + 900 * DAY
    journeys = journeys_in_memory({"a": events}, end, limits)
    start = events[0].timestamp
    grid = [
        start + i * timedelta(hours=61) for i in range(int((end - start) / timedelta(hours=61)))
    ]
    edges = [from_microseconds(int(t)) + k * TICK for t in journeys.start for k in (-2, 0, 1, 2)]
    for instant in [
        *grid,
        *edges,
        *(event.timestamp + k * TICK for event in events for k in (0, 1)),
    ]:
        expected = by_hand(events, instant, limits)
        if expected is not None:
            [(stage, _)] = stage_and_since(journeys, instant, 1)
            assert stage == expected, instant
    assert (np.diff(journeys.stage) != 0).all(), "consecutive spells differ"
    for before, after in zip(journeys.stage[:-1], journeys.stage[1:], strict=True):
        assert RETAIL.ids[after] in RETAIL.stages[before].next, (
            "the scheme says what can follow at once"
        )


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_stage_of_the_journey_is_the_stage_of_the_snapshot(data: st.DataObject) -> None:
    as_of = data.draw(as_ofs())
    customers = data.draw(logs(as_of, years=4))
    known_customers = {
        name: events
        for name, events in customers.items()
        if any(event.is_known_before(as_of) for event in events)
    }
    limits = {**ODD, "lost_after_days": data.draw(st.sampled_from([300.5, 100.25, float("inf")]))}
    memory = MemoryEvents(requests(known_customers), as_of)
    scheme = RETAIL.with_thresholds(limits)
    journeys = compute_journeys(scheme, catalog(limits), memory.record({}))
    stage, since = journeys.at(microseconds(as_of), len(known_customers))
    assert stage.tolist() == scheme.assign(Evaluator(catalog(limits)).features(memory)).tolist()
    assert [RETAIL.ids[s] for s in stage] == [
        by_hand(events, as_of, limits) for events in known_customers.values()
    ]
    assert (since < microseconds(as_of)).all()
    assert (since >= memory.first_events()).all()


def test_stages_of_the_cdnow_log_agree_with_its_snapshots() -> None:
    with cdnow_log() as log:
        for day in ("1997-10-01", "1998-07-01"):
            table = DailyTable(log.con, utc(day))
            days = table.purchase_days()
            limits = derive(days, microseconds(utc(day)) / 86_400_000_000)
            scheme = RETAIL.with_thresholds(limits)
            journeys = compute_journeys(scheme, catalog(limits), table.record({}))
            stage, _ = journeys.at(microseconds(utc(day)), len(table.customers))
            expected = scheme.assign(table.features(catalog(limits), [0]))
            assert (stage != expected).sum() == 0
            assert len(set(stage.tolist())) >= 5


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), later=st.sampled_from([1, 30, 400]))
def test_a_later_as_of_moves_no_start(data: st.DataObject, later: int) -> None:
    as_of = data.draw(as_ofs()).replace(hour=0, minute=0, second=0, microsecond=0)
    drawn = data.draw(logs(as_of, late=False, years=3))
    # later refunds are left out: they alone change what is known of the past
    customers = {
        name: tuple(event for event in events if event.event != "refund" or event.timestamp < as_of)
        for name, events in drawn.items()
    }
    known_customers = {
        name: events
        for name, events in customers.items()
        if any(event.is_known_before(as_of) for event in events)
    }
    journeys = journeys_in_memory(known_customers, as_of, ODD)
    later_journeys = journeys_in_memory(known_customers, as_of + later * DAY, ODD)
    expected = stage_and_since(journeys, as_of, len(known_customers))
    assert stage_and_since(later_journeys, as_of, len(known_customers)) == expected
    # customers who are still on the same stage later have the same start, too
    for (stage, since), (later_stage, later_since), spells in zip(
        expected,
        stage_and_since(later_journeys, as_of + later * DAY, len(known_customers)),
        (later_journeys.start[later_journeys.customer == i] for i in range(len(known_customers))),
        strict=True,
    ):
        if (spells < microseconds(as_of)).sum() == len(spells):
            assert (later_stage, later_since) == (stage, since)


def test_a_late_record_changes_the_stage_only_after_it_was_recorded() -> None:
    paid = Event(utc("2020-03-01T10:00"), "purchase", 10.0, None, utc("2020-05-01"))
    events = (Event(utc("2020-01-01"), "visit"), paid)
    before, after = utc("2020-05-01"), utc("2020-05-01") + TICK
    assert stage_and_since(journeys_in_memory({"a": events}, before, LIMITS), before, 1) == [
        ("prospect", "2020-01-01")
    ]
    assert stage_and_since(journeys_in_memory({"a": events}, after, LIMITS), after, 1) == [
        ("at_risk", "2020-04-30")
    ]


def test_a_customer_not_yet_known_has_no_stage() -> None:
    journeys = journeys_in_memory(
        {"a": bought("2020-01-01"), "b": bought("2020-03-01")}, utc("2020-06-01"), LIMITS
    )
    assert journeys.at(microseconds(utc("2020-02-01")), 2)[0].tolist() == [
        RETAIL.ids.index("new"),
        -1,
    ]
    assert journeys.at(microseconds(utc("2019-02-01")), 2)[0].tolist() == [-1, -1]


def test_a_log_without_purchases_is_prospects() -> None:
    journeys = journeys_in_memory(
        {"a": (Event(utc("2020-01-01T01:00"), "visit"),)}, utc("2020-06-01"), LIMITS
    )
    assert stage_and_since(journeys, utc("2020-06-01"), 1) == [("prospect", "2020-01-01T01:00:00Z")]


def test_the_sum_of_spend_over_many_customers_does_not_overflow() -> None:
    rich = {
        str(i): bought("2020-05-01", "2020-05-02", "2020-05-03", amount=1e11) for i in range(200)
    }
    poor = {"z": bought("2020-05-01", "2020-05-02", "2020-05-03", amount=1.0)}
    as_of = utc("2020-06-01")
    stages = stage_and_since(journeys_in_memory({**rich, **poor}, as_of, LIMITS), as_of, 201)
    assert {stage for stage, _ in stages[:-1]} == {"loyal"}
    assert stages[-1][0] == "repeat"


def test_a_customer_who_spends_exactly_the_limit_is_loyal() -> None:
    limits = {**LIMITS, "loyal_spend": 0.3}
    as_of = utc("2020-06-01")
    events = tuple(Event(utc("2020-05-01") + i * DAY, "purchase", 0.1) for i in range(3))
    assert (
        stage_and_since(journeys_in_memory({"a": events}, as_of, limits), as_of, 1)[0][0] == "loyal"
    )


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("overdue_longest", "no rule can look at 'overdue_longest'"),
        ("order_rate", "no rule can look at 'order_rate'"),
        ("activity_30d", "no rule can look at 'activity_30d'"),
        ("shop_gap_days", "no rule can look at 'shop_gap_days'"),
        ("purchase_spend", "no rule can look at 'purchase_spend'"),
        ("spends", "Did you mean 'spend'?"),
    ],
)
def test_a_rule_on_a_fact_that_no_rule_can_read_is_refused(feature: str, message: str) -> None:
    stages = tuple(
        replace(s, rule=(Clause.parse(f"{feature} > 5", "here"),)) if s.id == "loyal" else s
        for s in RETAIL.stages
    )
    scheme: Scheme = replace(RETAIL, stages=stages).with_thresholds(LIMITS)
    memory = MemoryEvents(requests({"a": bought("2020-01-01")}), utc("2020-06-01"))
    with pytest.raises(UsageError) as caught:
        compute_journeys(scheme, catalog(LIMITS), memory.record({}))
    assert message in str(caught.value)


def test_a_rule_may_read_facts_that_change_at_purchases() -> None:
    stages = tuple(
        replace(
            s,
            rule=(Clause.parse("gap_mean <= 10", "here"), Clause.parse("spend_last >= 5", "here")),
        )
        if s.id == "loyal"
        else s
        for s in RETAIL.stages
    )
    scheme = replace(RETAIL, stages=stages).with_thresholds(LIMITS)
    memory = MemoryEvents(requests({"a": bought("2020-05-01", "2020-05-09")}), utc("2020-06-01"))
    journeys = compute_journeys(scheme, catalog(LIMITS), memory.record({}))
    assert [RETAIL.ids[s] for s in journeys.stage] == [
        "new",
        "loyal",
        "at_risk",
        "sleeping",
        "lost",
    ]


def test_an_empty_log_has_no_journeys() -> None:
    empty = np.zeros(0, dtype=np.int64)
    journeys = compute_journeys(
        RETAIL.with_thresholds(LIMITS),
        catalog(LIMITS),
        Record(PurchaseDays(empty, empty, np.zeros(0), empty), empty),
    )
    assert len(journeys.start) == 0

"""The six schemes: one stage per customer, as their authors define them, with exact starts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.standard import standard
from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.requests import Event
from stagecast.features.stages.history import history
from stagecast.features.stages.lifecycle import (
    Lifecycle,
    build_lifecycle,
    fit_lifecycle,
    merged_sentences,
)
from stagecast.features.stages.scheme import LANGUAGES, Scheme
from stagecast.features.stages.scheme_check import merged_stages
from stagecast.features.stages.scheme_files import known_schemes, load_scheme, scheme_from_toml
from stagecast.features.stages.thresholds import catalog_parameters
from tests.parity.logs import DAY, TICK, Customers, event_log, requests, utc
from tests.profiles import examples

pytestmark = pytest.mark.slow

IDS = {
    "retail": ["prospect", "new", "repeat", "loyal", "at_risk", "sleeping", "lost", "reactivated"],
    "clm5": ["attraction", "interest", "evaluation", "purchase", "loyalty"],
    "ltv5": ["attraction", "interest", "conversion", "retention", "loyalty", "advocate"],
    "client7": [
        "attraction",
        "first_contact",
        "prospect",
        "developing",
        "developed",
        "sleeping",
        "lost",
    ],
    "reach5": ["reach", "acquisition", "conversion", "retention", "loyalty"],
    "crm5": ["approach", "purchase", "progress", "retention", "loyalty"],
    "membership": ["prospect", "member", "returned", "former"],
}
LANGUAGE_OF = {
    "retail": "en",
    "clm5": "ru",
    "ltv5": "ru",
    "client7": "ru",
    "reach5": "ru",
    "crm5": "fa",
    "membership": "en",
}
LIMITS = {
    "shop_gap_days": 31.4159265,
    "at_risk_ratio": 1.7320508,
    "sleeping_ratio": 3.1622777,
    "lost_after_days": 200.5,
    "loyal_orders": 3.0,
    "loyal_spend": 100.0,
}
EVENT_TYPES = (
    "purchase",
    "purchase",
    "purchase",
    "ad_impression",
    "visit",
    "signup",
    "enquiry",
    "cart",
    "review",
    "referral",
)


def lifecycle_of(
    scheme: Scheme, customers: Customers, as_of: datetime, horizon: int = 90, facts: bool = False
) -> Lifecycle:
    catalog = standard(90).with_parameters(**catalog_parameters(scheme.thresholds))
    record = MemoryEvents(requests(customers), as_of).record(scheme.signal_types(catalog))
    return build_lifecycle(scheme, catalog, record, horizon, keep_facts=facts)


def scheme_with_limits(name: str, **changed: float) -> Scheme:
    return load_scheme(name).with_thresholds({**LIMITS, **changed})


def spells(lifecycle: Lifecycle) -> list[tuple[str, str]]:
    journeys = lifecycle.journeys
    ids = lifecycle.scheme.ids
    return [
        (ids[s], iso(from_microseconds(int(t))))
        for s, t in zip(journeys.stage, journeys.start, strict=True)
    ]


# --- the authors' rules, in plain Python ---------------------------------------------------------


class Facts:
    """Facts of one customer, computed event by event."""

    def __init__(self, events: tuple[Event, ...], instant: datetime) -> None:
        past = [event for event in events if event.timestamp < instant]
        self.days = sorted({event.timestamp.date() for event in past if event.event == "purchase"})
        self.orders = len(self.days)
        self.types = [event.event for event in past]
        if self.orders:
            last_day = datetime.combine(
                self.days[-1], datetime.min.time(), utc("2020-01-01").tzinfo
            )
            self.silence = (instant - last_day) / DAY
            rhythm = (3 * LIMITS["shop_gap_days"] + (self.days[-1] - self.days[0]).days) / (
                3 + self.orders - 1
            )
            self.overdue = self.silence / rhythm
        self.on_rhythm = bool(self.orders) and self.overdue <= LIMITS["at_risk_ratio"]
        self.asleep = bool(self.orders) and self.overdue > LIMITS["sleeping_ratio"]

    @property
    def on_a_limit(self) -> bool:
        """Whether the overdue ratio is within rounding of a limit."""
        limits = (LIMITS["at_risk_ratio"], LIMITS["sleeping_ratio"])
        return bool(self.orders) and min(abs(self.overdue - limit) for limit in limits) < 1e-11

    def any(self, *types: str) -> bool:
        return any(event_type in types for event_type in self.types)


def clm5(facts: Facts) -> str:
    if facts.orders:
        return "loyalty" if facts.orders > 1 else "purchase"
    if facts.any("cart"):
        return "evaluation"
    return (
        "interest"
        if facts.any("signup", "enquiry") or facts.types.count("visit") > 1
        else "attraction"
    )


def ltv5(facts: Facts) -> str:
    if facts.orders >= 3 and facts.on_rhythm:
        return "advocate" if facts.any("review", "referral") else "loyalty"
    if facts.orders:
        return "conversion" if facts.orders == 1 and facts.on_rhythm else "retention"
    return (
        "interest"
        if facts.any("signup", "enquiry", "cart") or facts.types.count("visit") > 1
        else "attraction"
    )


def client7(facts: Facts) -> str:
    if facts.asleep:
        return (
            "lost" if facts.orders == 1 or facts.silence > LIMITS["lost_after_days"] else "sleeping"
        )
    if facts.orders:
        return "developed" if facts.orders > 1 else "developing"
    if facts.any("cart"):
        return "prospect"
    return "first_contact" if facts.any("signup", "enquiry", "visit") else "attraction"


def reach5(facts: Facts) -> str:
    if facts.orders >= 2 and facts.on_rhythm and facts.any("review", "referral"):
        return "loyalty"
    if facts.orders:
        return "conversion" if facts.orders == 1 and facts.on_rhythm else "retention"
    return "acquisition" if facts.any("signup", "enquiry", "visit") else "reach"


def crm5(facts: Facts) -> str:
    if facts.orders >= 2 and facts.on_rhythm and facts.any("review", "referral"):
        return "loyalty"
    if facts.orders:
        return "progress" if facts.orders == 1 and facts.on_rhythm else "retention"
    return "purchase" if facts.any("cart") else "approach"


AUTHORS: Mapping[str, Callable[[Facts], str]] = {
    "clm5": clm5,
    "ltv5": ltv5,
    "client7": client7,
    "reach5": reach5,
    "crm5": crm5,
}


@st.composite
def lives(draw: st.DrawFn) -> tuple[Event, ...]:
    """One customer's events: up to ten of all types, hours to two years apart."""
    instant = utc("2015-01-01") + timedelta(microseconds=draw(st.integers(0, 86_399_999_999)))
    events = []
    for _ in range(draw(st.integers(1, 10))):
        events.append(Event(instant, draw(st.sampled_from(EVENT_TYPES)), 45.0))
        instant += timedelta(days=draw(st.sampled_from([0, 1, 5, 20, 30, 55, 95, 120, 210, 700])))
        instant += timedelta(microseconds=draw(st.integers(0, 86_399_999_999)))
    return tuple(events)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(events=lives())
@pytest.mark.parametrize("name", list(AUTHORS))
def test_stages_are_those_of_the_authors_rules_at_every_instant(
    name: str, events: tuple[Event, ...]
) -> None:
    scheme = scheme_with_limits(name)
    end = events[-1].timestamp + 900 * DAY
    lifecycle = lifecycle_of(scheme, {"a": events}, end)
    start = events[0].timestamp + TICK
    grid = [
        start + i * timedelta(days=13, hours=7)
        for i in range(int((end - start) / timedelta(days=13, hours=7)))
    ]
    edges = [from_microseconds(int(t)) + k * TICK for t in lifecycle.journeys.start for k in (0, 1)]
    for instant in [
        *grid,
        *edges,
        *(event.timestamp + k * TICK for event in events for k in (0, 1)),
    ]:
        stage, _ = lifecycle.journeys.at(microseconds(instant), 1)
        if instant <= events[0].timestamp:
            assert stage[0] == -1
        elif not (facts := Facts(events, instant)).on_a_limit:
            assert scheme.ids[int(stage[0])] == AUTHORS[name](facts), instant


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    customer_events=st.lists(lives(), min_size=1, max_size=4),
    lost_after=st.sampled_from([30.5, 200.5, float("inf")]),
)
@pytest.mark.parametrize("name", list(IDS))
def test_only_stages_that_the_scheme_allows_follow_each_other(
    name: str, customer_events: list[tuple[Event, ...]], lost_after: float
) -> None:
    scheme = scheme_with_limits(name, lost_after_days=lost_after)
    end = max(events[-1].timestamp for events in customer_events) + 900 * DAY
    journeys = lifecycle_of(
        scheme, {f"c{k}": events for k, events in enumerate(customer_events)}, end
    ).journeys
    same_customer = journeys.customer[1:] == journeys.customer[:-1]
    for before, after in zip(
        journeys.stage[:-1][same_customer], journeys.stage[1:][same_customer], strict=True
    ):
        assert scheme.ids[after] in scheme.stages[before].next
    assert (journeys.start[1:][same_customer] > journeys.start[:-1][same_customer]).all()


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    customer_events=st.lists(lives(), min_size=1, max_size=4),
    days=st.integers(1, 1500),
    ahead=st.sampled_from([30, 365]),
)
@pytest.mark.parametrize("name", list(IDS))
def test_standing_agrees_with_the_journeys_now_and_after_silence(
    name: str, customer_events: list[tuple[Event, ...]], days: int, ahead: int
) -> None:
    """The spells, the rules at the instant, and a log that ends there give the same stages."""
    scheme = scheme_with_limits(name)
    customers = {
        f"c{k}": (Event(utc("2014-12-31"), "ad_impression"), *events)
        for k, events in enumerate(customer_events)
    }
    as_of = utc("2015-01-01") + days * DAY
    full_lifecycle = lifecycle_of(scheme, customers, utc("2025-01-01"), ahead)
    lifecycle = lifecycle_of(scheme, customers, as_of, ahead)
    standing = full_lifecycle.standing(as_of)
    assert standing.stage.tolist() == scheme.assign(standing.facts).tolist()
    assert (
        standing.stage.tolist()
        == lifecycle.journeys.at(microseconds(as_of), len(customers))[0].tolist()
    )
    assert standing.since.tolist() == lifecycle.standing(as_of).since.tolist()
    later_stage, _ = lifecycle.journeys.at(microseconds(as_of + ahead * DAY), len(customers))
    assert standing.stage_if_silent.tolist() == later_stage.tolist()


@settings(max_examples=examples(10), deadline=None, suppress_health_check=list(HealthCheck))
@given(customer_events=st.lists(lives(), min_size=1, max_size=4))
def test_the_engine_and_the_memory_give_the_same_journeys(
    customer_events: list[tuple[Event, ...]],
) -> None:
    customers = {f"c{k}": events for k, events in enumerate(customer_events)}
    as_of = max(events[-1].timestamp for events in customer_events) + DAY
    with event_log(customers) as log:
        table = DailyTable(log.con, as_of)
        for name in IDS:
            engine = fit_lifecycle(table, scheme_with_limits(name), 90).journeys
            memory = lifecycle_of(scheme_with_limits(name), customers, as_of).journeys
            for column in ("customer", "stage", "start"):
                assert getattr(engine, column).tolist() == getattr(memory, column).tolist(), (
                    name,
                    column,
                )


CLAUSE = re.compile(
    r"\w+ (-?[0-9.]+) (is(?: at least| at most| above| below)?) (-?[0-9.]+|never)( \(\w+\))?"
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(customer_events=st.lists(lives(), min_size=1, max_size=3))
@pytest.mark.parametrize("name", list(IDS))
def test_every_rule_in_the_history_holds(
    name: str, customer_events: list[tuple[Event, ...]]
) -> None:
    scheme = scheme_with_limits(name)
    customers = {f"c{k}": events for k, events in enumerate(customer_events)}
    end = max(events[-1].timestamp for events in customer_events) + 900 * DAY
    table = history(
        lifecycle_of(scheme, customers, end, facts=True),
        np.array(list(customers), dtype=object),
        end,
    )
    compare: dict[str, Callable[[float, float], bool]] = {
        "is": lambda a, b: a == b,
        "is at least": lambda a, b: a >= b,
        "is at most": lambda a, b: a <= b,
        "is above": lambda a, b: (
            a >= b
        ),  # rounded to two decimals, a value just past a limit reads as the limit
        "is below": lambda a, b: a <= b,
    }
    for rule in table["rule"].to_pylist():
        for clause in rule.split(" and "):
            match = CLAUSE.fullmatch(clause)
            assert match is not None, clause
            value, words, bound = match.group(1, 2, 3)
            assert compare[words](float(value), math.inf if bound == "never" else float(bound)), (
                rule
            )


def test_the_stage_after_silence_is_exact_within_rounding_of_a_limit() -> None:
    """(3 * 14 + 28) / 17 days of rhythm, times 1.7, is a whole day, and a bit more as a ratio."""
    first = utc("1970-01-01") + 7 * DAY
    bought = tuple(Event(first + 2 * k * DAY, "purchase", 5.0) for k in range(15))
    scheme = load_scheme("retail").with_thresholds(
        {**LIMITS, "shop_gap_days": 14.0, "at_risk_ratio": 1.7}
    )
    lifecycle = lifecycle_of(scheme, {"a": bought}, utc("1971-01-01"), horizon=0)
    for day in range(30, 60):
        standing = lifecycle.standing(utc("1970-01-01") + day * DAY)
        assert standing.stage_if_silent.tolist() == standing.stage.tolist(), day


@pytest.mark.parametrize("name", list(IDS))
@pytest.mark.parametrize("later", [1, 30, 400])
def test_a_lasting_stage_has_the_same_start_at_later_as_ofs(name: str, later: int) -> None:
    random = np.random.default_rng(3)
    customers = {}
    for number in range(60):
        first = utc("2019-01-01") + timedelta(days=float(random.uniform(0, 300)))
        steps = np.cumsum(random.exponential(25, int(random.integers(1, 8))))
        customers[f"c{number:02d}"] = tuple(
            Event(first + timedelta(days=float(s)), str(random.choice(EVENT_TYPES)), 40.0)
            for s in steps
        )
    as_of = utc("2020-03-01")
    known_customers = {
        name: events for name, events in customers.items() if events[0].timestamp < as_of
    }
    standing = lifecycle_of(scheme_with_limits(name), known_customers, as_of).standing(as_of)
    later_standing = lifecycle_of(
        scheme_with_limits(name), known_customers, as_of + later * DAY
    ).standing(as_of + later * DAY)
    lasting = standing.since == later_standing.since
    assert lasting.sum() > 10
    assert (standing.stage == later_standing.stage)[lasting].all()
    # the others came to their stage after the first as_of
    assert (later_standing.since[~lasting] >= microseconds(as_of)).all()


# --- the schemes themselves -----------------------------------------------------------------------


def test_the_schemes_are_those_of_the_contract() -> None:
    assert {name: list(load_scheme(name).ids) for name in known_schemes()} == IDS
    assert known_schemes()[0] == "retail"


@pytest.mark.parametrize("name", list(IDS))
def test_stages_have_titles_in_each_language_and_say_what_to_do(name: str) -> None:
    scheme = load_scheme(name)
    assert scheme.language == LANGUAGE_OF[name]
    for part in (scheme, *scheme.stages, *scheme.groups):
        assert set(part.title) == set(LANGUAGES)
        assert all(part.title.values())
    for stage in scheme.stages:
        assert stage.meaning["en"].endswith(".")
        assert stage.action["en"].endswith(".")
        assert stage.id in stage.next, "customers can stay on a stage"


EXPLAINED: list[tuple[str, tuple[tuple[str, str], ...], list[tuple[str, str]], str]] = [
    (
        "clm5",
        (
            ("2019-01-01T09:00", "ad_impression"),
            ("2019-01-05T10:00", "enquiry"),
            ("2019-01-09", "cart"),
        ),
        [
            ("attraction", "2019-01-01T09:00:00Z"),
            ("interest", "2019-01-05T10:00:00Z"),
            ("evaluation", "2019-01-09"),
        ],
        "orders 0 is 0 and weighing 1 is at least 1",
    ),
    (
        "clm5",
        (("2019-01-01", "visit"), ("2019-01-05T10:00", "visit")),
        [("attraction", "2019-01-01"), ("interest", "2019-01-05T10:00:00Z")],
        "orders 0 is 0 and visits 2 is at least 2",
    ),
    (
        # the second order is the habit's beginning, the third the habit, a review makes an
        # advocate; then silence: rhythm (3 * 30 + 20) / 5 = 22 days, twice that after the 21st
        "ltv5",
        (
            *((f"2019-01-{d}T12:00", "purchase") for d in ("01", "11", "21")),
            ("2019-01-22T15:00", "review"),
        ),
        [
            ("conversion", "2019-01-01T12:00:00Z"),
            ("retention", "2019-01-11T12:00:00Z"),
            ("loyalty", "2019-01-21T12:00:00Z"),
            ("advocate", "2019-01-22T15:00:00Z"),
            ("retention", "2019-03-06"),
        ],
        "orders 3 is at least 1",
    ),
    (
        # one deal and never again: lost at four times the shop's 30 days
        "client7",
        (
            ("2019-01-01T08:00", "visit"),
            ("2019-01-02T08:00", "cart"),
            ("2019-01-03T08:00", "purchase"),
        ),
        [
            ("first_contact", "2019-01-01T08:00:00Z"),
            ("prospect", "2019-01-02T08:00:00Z"),
            ("developing", "2019-01-03T08:00:00Z"),
            ("lost", "2019-05-03"),
        ],
        "overdue_ratio 14.10 is above 4 (sleeping_ratio) and orders 1 is 1",
    ),
    (
        # twice, ten days apart: rhythm (90 + 10) / 4 = 25 days; asleep after 100 days, lost after
        # 300
        "client7",
        (("2019-01-01T08:00", "purchase"), ("2019-01-11T08:00", "purchase")),
        [
            ("developing", "2019-01-01T08:00:00Z"),
            ("developed", "2019-01-11T08:00:00Z"),
            ("sleeping", "2019-04-21"),
            ("lost", "2019-11-07"),
        ],
        (
            "overdue_ratio 16.60 is above 4 (sleeping_ratio) and recency_days 415 is above "
            "300 (lost_after_days)"
        ),
    ),
    (
        "reach5",
        (
            ("2019-12-20", "ad_impression"),
            ("2020-01-20", "visit"),
            ("2020-02-20T10:00", "purchase"),
        ),
        [
            ("reach", "2019-12-20"),
            ("acquisition", "2020-01-20"),
            ("conversion", "2020-02-20T10:00:00Z"),
        ],
        "orders 1 is 1 and overdue_ratio 0.33 is at most 2 (at_risk_ratio)",
    ),
    (
        "crm5",
        (("2020-01-20", "enquiry"), ("2020-02-20", "demo"), ("2020-02-25T10:00", "purchase")),
        [
            ("approach", "2020-01-20"),
            ("purchase", "2020-02-20"),
            ("progress", "2020-02-25T10:00:00Z"),
        ],
        "orders 1 is 1 and overdue_ratio 0.17 is at most 2 (at_risk_ratio)",
    ),
]


@pytest.mark.parametrize(("name", "events", "expected", "rule"), EXPLAINED)
def test_a_customer_worked_out_by_hand(
    name: str, events: tuple[tuple[str, str], ...], expected: list[tuple[str, str]], rule: str
) -> None:
    limits = {
        "shop_gap_days": 30.0,
        "at_risk_ratio": 2.0,
        "sleeping_ratio": 4.0,
        "lost_after_days": 300.0,
    }
    as_of = utc("2020-03-01")
    lifecycle = lifecycle_of(
        scheme_with_limits(name, **limits),
        {"a": tuple(Event(utc(time), event_type, 50.0) for time, event_type in events)},
        as_of,
        facts=True,
    )
    past_spells = [spell for spell in spells(lifecycle) if spell[1] < "2020-03-01"]
    assert past_spells == expected
    standing = lifecycle.standing(as_of)
    assert lifecycle.scheme.explain(standing.stage, standing.facts).to_pylist() == [rule]
    table = history(lifecycle, np.array(["a"], dtype=object), as_of).to_pylist()
    assert [(row["stage"], iso(row["from"])) for row in table] == expected
    assert [row["to"] for row in table] == [row["from"] for row in table[1:]] + [None]
    assert all(row["customer_id"] == "a" and row["rule"] for row in table)


def test_groups_stand_beside_the_stages() -> None:
    scheme = scheme_with_limits("reach5")
    customers = {
        "a": (Event(utc("2020-01-01"), "signup"),),
        "b": (Event(utc("2020-01-01"), "visit"),),
        "c": (Event(utc("2020-01-01"), "purchase", 5.0),),
        "d": tuple(Event(utc(time), "purchase", 5.0) for time in ("2020-01-01", "2020-02-01")),
        "e": tuple(Event(utc(time), "purchase", 5.0) for time in ("2019-01-01", "2020-02-01")),
    }
    facts = lifecycle_of(scheme, customers, utc("2020-03-01")).standing(utc("2020-03-01")).facts
    names = [*(group.id for group in scheme.groups), None]
    assert [names[int(g)] for g in scheme.group(facts)] == [
        "registered",
        None,
        "new",
        "active",
        "reactivated",
    ]


def test_stages_that_a_log_cannot_distinguish_are_merged_and_reported() -> None:
    bought = tuple(Event(utc("2020-01-01") + k * 20 * DAY, "purchase", 5.0) for k in range(3))
    lifecycle = lifecycle_of(scheme_with_limits("ltv5"), {"a": bought}, utc("2020-03-01"))
    assert lifecycle.merged == {"advocate": ("loyalty",), "interest": ("attraction",)}
    sentences = merged_sentences(lifecycle.scheme, lifecycle.merged)
    assert sentences[0].startswith("'Advocate' cannot be told apart from 'Loyalty' in this log")
    assert "advocacy: referral, recommendation" in sentences[0]
    with_review = {"a": (*bought, Event(utc("2020-02-20"), "review"))}
    assert lifecycle_of(scheme_with_limits("ltv5"), with_review, utc("2020-03-01")).merged == {
        "interest": ("attraction",)
    }
    assert lifecycle_of(scheme_with_limits("retail"), {"a": bought}, utc("2020-03-01")).merged == {}


def test_a_signal_that_only_helps_merges_nothing() -> None:
    # visits alone can show interest, so it is not merged without reactions
    assert merged_stages(load_scheme("clm5"), ["reactions", "weighing"]) == {
        "evaluation": ("attraction", "interest")
    }


# --- users' schemes ------------------------------------------------------------------------------


def own_scheme(**changed: Any) -> dict[str, Any]:
    """Return a valid scheme of three stages with keys changed; ``id__key`` is one of a stage."""
    stages = {
        "lead": ("prospect", ["orders == 0"], ["lead", "buyer"]),
        "buyer": ("active", ["orders >= 1"], ["buyer", "regular"]),
        "regular": ("active", ["orders_30d >= 2"], ["buyer", "regular"]),
    }
    data = {
        "id": "mine",
        "title": {"en": "Mine"},
        "order": ["regular", "lead", "buyer"],
        "stage": [
            {
                "id": stage_id,
                "state": state,
                "title": {"en": stage_id},
                "meaning": {"en": stage_id},
                "action": {"en": stage_id},
                "rule": rule,
                "next": following,
            }
            for stage_id, (state, rule, following) in stages.items()
        ],
    }
    for key, value in changed.items():
        stage, _, name = key.partition("__")
        if name:
            next(entry for entry in data["stage"] if entry["id"] == stage)[name] = value  # type: ignore[index, attr-defined]
        else:
            data[key] = value
    return data


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"regular__rule": ["ordrs >= 2"]},
            "no rule can look at 'ordrs'; rules can look at T_days, activity, ",
        ),
        ({"regular__rule": ["ordrs >= 2"]}, "Did you mean 'orders'?"),
        (
            {"order": ["buyer", "regular", "lead"]},
            "stage 'regular': nobody can be on it, since the rules before it",
        ),
        ({"order": ["buyer", "regular", "lead"]}, "name 'regular' before 'buyer' in 'order'"),
        ({"regular__rule": ["orders == 0", "orders >= 2"]}, "its conditions contradict each other"),
        ({"buyer__rule": ["orders >= 3"]}, "no rule holds for a customer with orders 1"),
        (
            {"buyer__rule": ["orders >= 3"]},
            "give the last stage of 'order' a rule that takes everybody",
        ),
        ({"lead__rule": []}, "'rule' is empty"),
        (
            {"regular__state": "prospect"},
            "its state is 'prospect', but a customer with an order can be on it",
        ),
        ({"buyer__rule": ["orders >= 0"], "order": ["regular", "buyer", "lead"]}, "'buyer'"),
        ({"buyer__next": ["buyer"]}, "stage 'regular': nobody can come to it"),
        ({"signals": {"calls": ["call"]}}, "no rule looks at 'calls'"),
        ({"signals": {"orders": ["call"]}}, "'orders' is a feature of the catalogue"),
        ({"signals": {"calls": "call"}}, "it must be a list of event types"),
        ({"signals": {"my calls": ["call"]}}, "'my calls' is no name for a rule"),
        ({"title": {"de": "Meins"}}, "'title' has 'de', which is none of en, ru, fa"),
        ({"title": {"ru": "Моё"}}, "'title' has no English text"),
        ({"language": "de"}, "language 'de' is none of en, ru, fa"),
        ({"thresholds": {"at_risk": 2}}, "'at_risk' is no threshold"),
        (
            {"thresholds": {"at_risk_ratio": -1}},
            "'at_risk_ratio' is -1; it must be a number above 0",
        ),
        ({"thresholds": {"at_risk_ratio": True}}, "it must be a number above 0"),
        (
            {"thresholds": {"lost_after_days": float("inf")}},
            "it must be a number above 0, a large one for never",
        ),
        ({"thresholds": {"lost_after_days": float("nan")}}, "it must be a number above 0"),
        ({"thresholds": {"at_risk_ratio": 10**400}}, "it must be a number above 0"),
        ({"thresholds": 5}, "'thresholds' is 5; it must be a table"),
        # nobody has been active in a log of purchases, and the spread of gaps begins with the third
        # order
        (
            {
                "buyer__rule": ["orders >= 1", "silence_days > 30"],
                "regular__rule": ["orders >= 1", "silence_days <= 30"],
            },
            "no rule holds for a customer with orders 1, silence_days unknown",
        ),
        (
            {
                "buyer__rule": ["orders >= 1", "gap_spread > 5"],
                "regular__rule": ["orders >= 1", "gap_spread <= 5"],
            },
            "no rule holds for a customer with gap_spread unknown, orders 1",
        ),
        ({"lead__id": "my lead"}, "stage id 'my lead' names columns"),
        ({"stage": []}, "a scheme needs at least one [[stage]]"),
    ],
)
def test_an_error_in_a_users_scheme_is_named_with_what_to_try(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        scheme_from_toml(own_scheme(**changed), "mine.toml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("mine.toml")


def test_pinned_thresholds_do_not_depend_on_the_log() -> None:
    rule = ["orders >= 1", "overdue_ratio <= at_risk_ratio"]
    scheme = scheme_from_toml(
        own_scheme(regular__rule=rule, thresholds={"at_risk_ratio": 9}), "mine.toml"
    )
    assert scheme.with_thresholds(LIMITS).thresholds == {**LIMITS, "at_risk_ratio": 9.0}
    with_two_pins = scheme.with_pins({"loyal_orders": 7.0}).with_thresholds(LIMITS)
    assert with_two_pins.thresholds == {**LIMITS, "at_risk_ratio": 9.0, "loyal_orders": 7.0}


def test_a_number_beside_a_threshold_is_allowed_if_some_shop_has_customers_between() -> None:
    rules = {
        "regular__rule": ["orders >= 1", "recency_days > 450"],
        "buyer__next": ["buyer", "lead", "regular"],
    }
    data = own_scheme(**rules, order=["gone", "regular", "lead", "buyer"])
    data["stage"].append(
        {
            "id": "gone",
            "state": "lapsed",
            "title": {"en": "Gone"},
            "meaning": {"en": "x"},
            "action": {"en": "x"},
            "rule": ["orders >= 1", "recency_days > lost_after_days"],
            "next": ["gone", "buyer"],
        }
    )
    data["stage"][2]["next"] = ["regular", "gone", "buyer"]
    assert scheme_from_toml(data, "mine.toml").ids == ("lead", "buyer", "regular", "gone")
    data["stage"][3]["rule"] = ["orders >= 1", "recency_days > 300"]
    with pytest.raises(UsageError, match="stage 'regular': nobody can be on it"):
        scheme_from_toml(data, "mine.toml")


def test_a_pin_that_leaves_no_room_is_refused_with_what_to_pin_as_well() -> None:
    bought = tuple(Event(utc("2020-01-01") + k * 20 * DAY, "purchase", 5.0) for k in range(3))
    with event_log({f"c{k}": bought for k in range(60)}) as log:
        # of sixty silences of more than a usual gap none has ended
        table = DailyTable(log.con, utc("2021-06-01"))
        message = "at_risk_ratio 5 is not below sleeping_ratio 1.8.*pin sleeping_ratio as well"
        with pytest.raises(UsageError, match=message):
            fit_lifecycle(table, load_scheme("retail").with_pins({"at_risk_ratio": 5.0}), 90)
        with_two_pins = load_scheme("retail").with_pins(
            {"at_risk_ratio": 5.0, "sleeping_ratio": 6.0}
        )
        assert fit_lifecycle(table, with_two_pins, 90).scheme.thresholds["sleeping_ratio"] == 6.0


def test_a_rule_too_rare_to_be_drawn_is_no_contradiction() -> None:
    signals = {f"s{k}": [f"kind{k}"] for k in range(14)}
    data = own_scheme(signals=signals, order=["rare", "regular", "lead", "buyer"])
    rare = {
        "id": "rare",
        "state": "prospect",
        "title": {"en": "Rare"},
        "meaning": {"en": "x"},
        "action": {"en": "x"},
    }
    data["stage"].append(
        {**rare, "rule": ["orders == 0", *(f"{name} == 5" for name in signals)], "next": ["rare"]}
    )
    data["stage"][0]["next"] = ["lead", "rare", "buyer"]
    assert "rare" in scheme_from_toml(data, "mine.toml").ids


def test_rules_can_read_windows_and_every_clock() -> None:
    """Worked by hand: a window of 30 days, activity, and each of the clocks."""
    customers = {
        "a": (
            Event(utc("2020-01-01T10:00"), "visit"),
            Event(utc("2020-01-05T10:00"), "purchase", 10.0),
            Event(utc("2020-01-20T09:00"), "purchase", 10.0),
            Event(utc("2020-02-10T07:00"), "visit"),
        )
    }
    expected = {
        # the purchase of the 5th is 30 days old until the midnight after 4 February begins
        "orders_30d >= 2": ["2020-01-20T09:00:00Z", "2020-02-04"],
        "spend_30d >= 20": ["2020-01-20T09:00:00Z", "2020-02-04"],
        "orders_prev_90d >= 1": ["2020-04-04", "2020-07-18"],
        "tenure_days > 10": ["2020-01-11"],
        "T_days > 10": ["2020-01-15"],
        "recency_days > 10": ["2020-01-15", "2020-01-20T09:00:00Z", "2020-01-30"],
        # since the first visit, and anew since the second
        "silence_days > 10": ["2020-01-11", "2020-02-10T07:00:00Z", "2020-02-20"],
        "activity >= 2": ["2020-02-10T07:00:00Z"],
        "gap_last >= 15": ["2020-01-20T09:00:00Z"],
    }
    for condition, changes in expected.items():
        data = own_scheme(
            regular__rule=["orders >= 1", condition], lead__next=["lead", "buyer", "regular"]
        )
        scheme = scheme_from_toml(data, "mine.toml").with_thresholds(LIMITS)
        all_spells = spells(lifecycle_of(scheme, customers, utc("2021-01-01")))
        after_first = [
            start
            for stage, start in all_spells
            if stage != "lead" and start > "2020-01-05T10:00:00Z"
        ]
        assert after_first == changes, condition


def test_a_stage_whose_rule_counts_the_users_event_types() -> None:
    data = own_scheme(
        signals={"calls": ["Call", "meeting"]},
        regular__rule=["orders >= 1", "calls >= 2 or orders >= 9"],
    )
    scheme = scheme_from_toml(data, "mine.toml").with_thresholds(LIMITS)
    customers = {
        "a": (
            Event(utc("2020-01-01"), "call"),
            Event(utc("2020-01-05"), "purchase", 1.0),
            Event(utc("2020-01-06T11:00"), "meeting"),
        )
    }
    assert spells(lifecycle_of(scheme, customers, utc("2021-01-01"))) == [
        ("lead", "2020-01-01"),
        ("buyer", "2020-01-05"),
        ("regular", "2020-01-06T11:00:00Z"),
    ]

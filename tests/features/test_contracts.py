"""Contract spells: compared with a slow loop, at ties, and without events after the as_of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.contract_spells import spells
from stagecast.features.contracts import NEVER, Spells, Terms
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.requests import CustomerEvents
from stagecast.features.requests import Event as RequestEvent
from stagecast.training.cancellation.landmarks import current
from tests.profiles import examples

START = datetime(2024, 1, 1, tzinfo=UTC)
Event = tuple[str, float, str, float | None]
"""Customer, day since the start, type, and the day on which it was recorded."""


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def customers(events: Sequence[Event], as_of: float) -> list[CustomerEvents]:
    """Return the events by customer, without customers who are not known before the as_of."""
    by_customer: dict[str, list[RequestEvent]] = {}
    for name, number, event_type, recorded in events:
        recorded_at = None if recorded is None else day(recorded)
        event = RequestEvent(day(number), event_type, recorded_at=recorded_at)
        by_customer.setdefault(name, []).append(event)
    return [
        CustomerEvents(name, tuple(of_customer))
        for name, of_customer in sorted(by_customer.items())
        if any(event.is_known_before(day(as_of)) for event in of_customer)
    ]


def in_memory(events: Sequence[Event], as_of: float = 100.0, terms: Terms | None = None) -> Spells:
    """Return the spells of events in memory; :func:`on_duckdb` gives the same."""
    return spells(MemoryEvents(customers(events, as_of), day(as_of)), terms)


def on_duckdb(events: Sequence[Event], as_of: float) -> Spells:
    frame = {
        "customer_id": [name for name, _, _, _ in events],
        "timestamp": [day(number).isoformat() for _, number, _, _ in events],
        "event": [event_type for _, _, event_type, _ in events],
        "recorded_at": [
            "" if recorded is None else day(recorded).isoformat() for _, _, _, recorded in events
        ],
    }
    with from_frame(pd.DataFrame(frame), ReadOptions(duplicates="keep")) as log:
        table = DailyTable(log.con, day(as_of))
        try:
            return spells(table)
        finally:
            table.close()


def log(name: str, *events: str) -> list[Event]:
    """Return events of one customer written as ``"3 cancel"``: the day, and the event type."""
    return [(name, float(event.split()[0]), event.split()[1], None) for event in events]


def as_tuples(result: Spells) -> list[tuple[str, float, float | None, int]]:
    """Return customer, start and end in days, and the number of earlier spells, of each spell."""
    zero = microseconds(START)
    return [
        (
            str(result.customers[result.customer[k]]),
            (int(result.start[k]) - zero) / DAY_MICROSECONDS,
            None if result.end[k] == NEVER else (int(result.end[k]) - zero) / DAY_MICROSECONDS,
            int(result.earlier[k]),
        )
        for k in range(len(result))
    ]


def test_a_spell_lasts_from_the_first_start_to_the_next_cancellation() -> None:
    result = in_memory(
        [
            ("a", 1, "signup", None),
            ("a", 2, "purchase", None),
            ("a", 32, "renew", None),
            ("a", 40, "cancel", None),
        ]
    )
    assert as_tuples(result) == [("a", 1.0, 40.0, 0)]
    assert result.cancellations == 1
    assert result.returning_customers == 0
    assert result.ignored_cancellations == 0


def test_a_start_after_a_cancellation_is_that_of_a_returning_customer() -> None:
    result = in_memory(
        [("a", 1, "subscribe", None), ("a", 5, "cancel", None), ("a", 9, "signup", None)]
    )
    assert as_tuples(result) == [("a", 1.0, 5.0, 0), ("a", 9.0, None, 1)]
    assert result.returning_customers == 1
    assert result.open.tolist() == [False, True]


def test_a_purchase_within_a_month_of_a_cancellation_is_the_last_bill() -> None:
    events = (
        log("late bill", "1 signup", "20 cancel", "35 purchase")
        + log("two bills", "1 signup", "20 cancel", "35 purchase", "50 renew")
        + log("comes back", "1 signup", "20 cancel", "35 purchase", "51 purchase", "81 purchase")
        + log("starts anew", "1 signup", "20 cancel", "35 subscribe", "36 purchase")
        + log("twice", "20 cancel", "30 cancel", "55 purchase", "61 purchase")
    )
    assert as_tuples(in_memory(events)) == [
        ("comes back", 1.0, 20.0, 0),
        ("comes back", 51.0, None, 1),
        ("late bill", 1.0, 20.0, 0),
        ("starts anew", 1.0, 20.0, 0),
        ("starts anew", 35.0, None, 1),
        ("twice", 61.0, None, 0),
        ("two bills", 1.0, 20.0, 0),
    ]
    at_once = in_memory(events, terms=Terms(last_bill_days=0))
    assert ("late bill", 35.0, None, 1) in as_tuples(at_once)
    assert Terms.from_json(Terms(last_bill_days=7).to_json()) == Terms(last_bill_days=7)
    with pytest.raises(UsageError, match="last_bill_days = -1"):
        Terms(last_bill_days=-1)


def test_a_cancellation_recorded_before_the_as_of_announces_the_end() -> None:
    events: list[Event] = [
        *log("a", "1 signup"),
        ("a", 60, "cancel", 40),
        ("a", 80, "cancel", 45),
        *log("open", "1 signup", "2 visit"),
        ("late", 1, "signup", None),
        ("late", 60, "cancel", 50),
        *log("over", "1 signup", "30 cancel"),
        ("over", 90, "cancel", 20),
        *log("silent", "1 visit"),
        ("silent", 90, "cancel", 20),
        ("unrecorded", 1, "signup", None),
        ("unrecorded", 60, "cancel", None),
    ]
    result = in_memory(events, 50)
    contracts = result.standing()
    zero = microseconds(START)
    assert contracts.announced.tolist() == [True] + [False] * 5
    assert contracts.ends_at[0] == zero + 60 * DAY_MICROSECONDS
    assert contracts.days_left[0] == 10.0
    assert np.isnan(contracts.days_left[1:]).all()
    assert result.open.tolist() == [True, True, True, False, True]
    assert len(current(result)) == 3
    # before it was recorded, the contract was at risk like any other
    assert result.at_risk(zero + 40 * DAY_MICROSECONDS)[0]
    assert not result.at_risk(zero + 41 * DAY_MICROSECONDS)[0]
    # later it has ended, and the notice is known still
    later = in_memory(events, 70)
    assert as_tuples(later)[0] == ("a", 1.0, 60.0, 0)
    assert not later.at_risk(zero + 41 * DAY_MICROSECONDS)[0]
    assert later.before(result.as_of).standing().ends_at[0] == contracts.ends_at[0]


def test_cancellations_without_an_open_contract_are_ignored() -> None:
    result = in_memory(
        log("a", "1 cancel") + log("b", "1 signup", "3 cancel", "4 cancel", "4 cancel", "9 signup")
    )
    assert as_tuples(result) == [("b", 1.0, 3.0, 0), ("b", 9.0, None, 1)]
    assert result.ignored_cancellations == 3


def test_events_of_the_same_instant_as_a_cancellation() -> None:
    result = in_memory(
        log("new", "1 subscribe", "7 subscribe", "7 cancel")
        + log("paid", "1 subscribe", "7 renew", "7 cancel")
        + log("same day", "7 cancel", "7 subscribe")
    )
    assert as_tuples(result) == [
        ("new", 1.0, 7.0, 0),
        ("new", 7.0, None, 1),
        ("paid", 1.0, 7.0, 0),
        ("same day", 7.0, 7.0, 0),
    ]


def test_events_at_the_as_of_are_left_out() -> None:
    result = in_memory(
        [("a", 1, "signup", None), ("a", 10, "cancel", None), ("b", 10, "signup", None)], as_of=10
    )
    assert as_tuples(result) == [("a", 1.0, None, 0)]
    assert current(result).age_days.tolist() == [9.0]


def test_a_start_recorded_late_is_not_at_risk_before_it_was_known() -> None:
    result = in_memory([("a", 1, "signup", 20)])
    zero = microseconds(START)
    assert result.at_risk(zero + 20 * DAY_MICROSECONDS).tolist() == [False]
    assert result.at_risk(zero + 21 * DAY_MICROSECONDS).tolist() == [True]


def test_customers_are_all_known_ones_in_the_order_of_the_daily_table() -> None:
    result = on_duckdb(
        [
            ("b", 1, "signup", None),
            ("a", 2, "visit", None),
            ("c", 3, "purchase", None),
            ("d", 80, "signup", None),
        ],
        50,
    )
    assert result.customers.tolist() == ["a", "b", "c"]
    assert as_tuples(result) == [("b", 1.0, None, 0), ("c", 3.0, None, 0)]


def test_types_can_be_chosen_and_cannot_both_begin_and_cancel() -> None:
    events: list[Event] = [
        ("a", 1.0, "joined", None),
        ("a", 9.0, "left", None),
        ("a", 11.0, "purchase", None),
    ]
    result = in_memory(events, 50.0, Terms(("joined",), (), ("left",)))
    assert as_tuples(result) == [("a", 1.0, 9.0, 0)]
    with pytest.raises(UsageError, match="'left' cannot both"):
        Terms(starts=("left",), ends=("left",))
    with pytest.raises(UsageError, match="name at least one"):
        Terms(ends=())
    with pytest.raises(UsageError, match="name at least one"):
        Terms(starts=(), renewals=())
    with pytest.raises(UsageError, match="is blank"):
        Terms(ends=("cancel", " "))
    assert Terms(ends=(" Left ",)).ends == ("left",)


def test_a_log_without_contract_events() -> None:
    result = in_memory([("a", 1, "visit", None)], 50.0)
    assert len(result) == 0
    assert result.cancellations == 0
    assert result.ignored_cancellations == 0
    assert result.history_days == 0.0
    assert len(result.customers) == 1
    assert not result.standing().ever_had.any()


def logs(events_of: Mapping[str, Sequence[str]]) -> list[Event]:
    """Return the events of several customers, see :func:`log`."""
    return [event for name, events in events_of.items() for event in log(name, *events)]


def test_the_state_of_contracts_at_the_as_of() -> None:
    events = logs(
        {
            "open": ("1 signup",),
            "back": ("1 signup", "5 cancel", "9 signup"),
            "over": ("2 renew", "6 cancel"),
            "before": ("3 visit", "4 cancel"),
            "never": ("3 visit",),
        }
    )
    contracts = in_memory(events, as_of=10).standing()
    # in the order back, before, never, open, over; "before" cancelled a contract that began before
    # the log did
    assert contracts.open.tolist() == [True, False, False, True, False]
    assert contracts.ever_had.tolist() == [True, True, False, True, True]
    assert contracts.age_days[contracts.open].tolist() == [1.0, 9.0]
    assert np.isnan(contracts.age_days[~contracts.open]).all()
    assert contracts.earlier.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    subset = contracts.of(np.array([4, 0]))
    assert (subset.open.tolist(), subset.earlier.tolist()) == ([False, True], [1.0, 1.0])


def test_cancellations_within_a_window_of_contracts_begun_before_it() -> None:
    events = logs(
        {
            "in": ("1 signup", "20 cancel"),
            "before": ("1 signup", "9 cancel"),
            "after": ("1 signup", "40 cancel"),
            "new": ("12 signup", "20 cancel"),
            "at once": ("1 signup", "10 cancel", "11 signup"),
        }
    )
    result = in_memory(events)
    since, until = (microseconds(START) + days * DAY_MICROSECONDS for days in (10, 40))
    assert result.customers[result.cancelled(since, until)].tolist() == ["at once", "in"]
    assert result.customers[result.had_contract(since)].tolist() == ["after", "at once", "in"]


# --- a slow loop over the same events

TYPES = ("signup", "subscribe", "renew", "purchase", "cancel", "visit")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 12).map(float),
        st.sampled_from(TYPES),
        st.one_of(st.none(), st.integers(0, 14).map(float)),
    ),
    max_size=25,
)


def is_known(event: Event, as_of: float) -> bool:
    _, number, _, recorded = event
    return number < as_of and (recorded is None or recorded < as_of)


LAST_BILL_DAYS = 5
TERMS = Terms(last_bill_days=LAST_BILL_DAYS)


def spells_by_loop(
    events: Sequence[Event], as_of: float
) -> list[tuple[str, float, float | None, int]]:
    """Return the spells from a loop over the events, as :func:`as_tuples` does."""
    types_by_day: dict[str, dict[float, set[str]]] = {}
    for name, number, event_type, _ in (event for event in events if is_known(event, as_of)):
        types_by_day.setdefault(name, {}).setdefault(number, set()).add(event_type)
    result: list[tuple[str, float, float | None, int]] = []
    for name in sorted(types_by_day):
        start: float | None = None
        count = 0
        last_cancellation = -np.inf
        for number, types in sorted(types_by_day[name].items()):
            openers = {"signup", "subscribe"}
            if number - last_cancellation >= LAST_BILL_DAYS:
                openers |= {"renew", "purchase"}
            if "cancel" in types:
                last_cancellation = number
            if start is None and types & openers:
                was_open, start = False, number
            else:
                was_open = start is not None
            if "cancel" in types and start is not None:
                result.append((name, start, number, count))
                count += 1
                start = number if was_open and types & {"signup", "subscribe"} else None
        if start is not None:
            result.append((name, start, None, count))
    return result


@settings(max_examples=examples(80), deadline=None)
@given(events=EVENTS, as_of=st.integers(1, 14))
def test_the_spells_are_those_of_a_slow_loop(events: list[Event], as_of: int) -> None:
    result = in_memory(events, float(as_of), TERMS)
    assert as_tuples(result) == spells_by_loop(events, float(as_of))
    assert (result.known >= result.start).all()
    cancellations = sum(event[2] == "cancel" and is_known(event, as_of) for event in events)
    assert result.ignored_cancellations == cancellations - result.cancellations


@settings(max_examples=examples(40), deadline=None)
@given(events=EVENTS, future=EVENTS, as_of=st.integers(1, 12))
def test_events_that_happen_or_are_recorded_at_or_after_the_as_of_change_nothing(
    events: list[Event], future: list[Event], as_of: int
) -> None:
    later = [
        (name, number + as_of, event_type, recorded)
        for name, number, event_type, recorded in future
    ]
    # a cancellation that is recorded before the as_of is no event of the future
    later = [
        (name, number, event_type, None if event_type == "cancel" else recorded)
        for name, number, event_type, recorded in later
    ]
    late = [
        (name, number, event_type, float(as_of) + (recorded or 0.0))
        for name, number, event_type, recorded in future
    ]
    expected = in_memory(events, float(as_of))
    result = in_memory([*events, *later, *late], float(as_of))
    assert as_tuples(result) == as_tuples(expected)
    assert result.ignored_cancellations == expected.ignored_cancellations
    assert result.customers.tolist() == expected.customers.tolist()
    assert result.known.tolist() == expected.known.tolist()
    assert result.notice.tolist() == expected.notice.tolist()
    assert result.announced_end.tolist() == expected.announced_end.tolist()


@settings(max_examples=examples(40), deadline=None)
@given(events=EVENTS, at=st.integers(1, 14))
def test_spells_before_an_instant_are_those_at_an_earlier_as_of(
    events: list[Event], at: int
) -> None:
    on_time = [(name, number, event_type, None) for name, number, event_type, _ in events]
    latest, earlier = in_memory(on_time), in_memory(on_time, float(at))
    instant = microseconds(day(at))
    assert latest.before(instant).as_of == earlier.as_of
    assert latest.before(instant).cancellations == earlier.cancellations
    assert int(latest.at_risk(instant).sum()) == int(earlier.open.sum())
    assert (
        np.sort(latest.age_days(instant)[latest.at_risk(instant)]).tolist()
        == np.sort(current(earlier).age_days).tolist()
    )


@settings(max_examples=examples(15), deadline=None)
@given(events=EVENTS.filter(lambda events: len(events) > 0))
def test_duckdb_and_memory_give_the_same_spells(events: list[Event]) -> None:
    events = [*events, ("d", 0.0, "visit", None)]
    memory, duckdb = in_memory(events, 10.0), on_duckdb(events, 10.0)
    columns = ("customers", "customer", "start", "end", "known", "earlier")
    for name in (*columns, "notice", "announced_end"):
        assert getattr(memory, name).tolist() == getattr(duckdb, name).tolist(), name
    assert memory.as_of == duckdb.as_of
    assert memory.ignored_cancellations == duckdb.ignored_cancellations

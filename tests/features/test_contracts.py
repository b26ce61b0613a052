"""Contract spells read off a log: against a slow walk, at ties, and with nothing of the future
in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.contracts import NEVER, Spells, Terms, spells
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.requests import CustomerEvents
from stagecast.features.requests import Event as RequestEvent
from stagecast.training.cancellation.landmarks import current

START = datetime(2024, 1, 1, tzinfo=UTC)
Event = tuple[str, float, str, float | None]
"""Customer, day since the start, type, and the day on which it was recorded."""


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def customers(events: Sequence[Event], as_of: float) -> list[CustomerEvents]:
    """Return the events by customer, of those of whom anything is known at the as_of."""
    of: dict[str, list[RequestEvent]] = {}
    for who, at, what, known in events:
        recorded = None if known is None else day(known)
        of.setdefault(who, []).append(RequestEvent(day(at), what, recorded_at=recorded))
    return [
        CustomerEvents(who, tuple(some))
        for who, some in sorted(of.items())
        if any(max(one.timestamp, one.recorded_at or one.timestamp) < day(as_of) for one in some)
    ]


def found(events: Sequence[Event], as_of: float = 100.0, terms: Terms | None = None) -> Spells:
    """Return the spells of events in memory; :func:`on_duckdb` gives the same."""
    return spells(MemoryEvents(customers(events, as_of), day(as_of)), terms)


def on_duckdb(events: Sequence[Event], as_of: float) -> Spells:
    frame = {
        "customer_id": [one[0] for one in events],
        "timestamp": [day(one[1]).isoformat() for one in events],
        "event": [one[2] for one in events],
        "recorded_at": ["" if one[3] is None else day(one[3]).isoformat() for one in events],
    }
    with from_frame(pd.DataFrame(frame), ReadOptions(duplicates="keep")) as log:
        table = DailyTable(log.con, day(as_of))
        try:
            return spells(table)
        finally:
            table.close()


def log(who: str, *events: str) -> list[Event]:
    """Return events of one customer written as ``"3 cancel"``: the day, and what happened."""
    return [(who, float(one.split()[0]), one.split()[1], None) for one in events]


def told(of: Spells) -> list[tuple[str, float, float | None, int]]:
    """Return customer, beginning and end in days, and how many earlier ones, of each spell."""
    zero = microseconds(START)
    return [
        (
            str(of.customers[of.customer[k]]),
            (int(of.start[k]) - zero) / DAY_MICROSECONDS,
            None if of.end[k] == NEVER else (int(of.end[k]) - zero) / DAY_MICROSECONDS,
            int(of.earlier[k]),
        )
        for k in range(len(of))
    ]


def test_a_spell_lasts_from_the_first_start_to_the_next_cancellation() -> None:
    of = found(
        [
            ("a", 1, "signup", None),
            ("a", 2, "purchase", None),
            ("a", 32, "renew", None),
            ("a", 40, "cancel", None),
        ]
    )
    assert told(of) == [("a", 1.0, 40.0, 0)]
    assert (of.cancellations, of.returned, of.ignored) == (1, 0, 0)


def test_a_start_after_a_cancellation_is_a_customer_who_came_back() -> None:
    of = found([("a", 1, "subscribe", None), ("a", 5, "cancel", None), ("a", 9, "purchase", None)])
    assert told(of) == [("a", 1.0, 5.0, 0), ("a", 9.0, None, 1)]
    assert of.returned == 1
    assert of.open.tolist() == [False, True]


def test_a_cancellation_with_nothing_open_is_ignored_and_several_are_one() -> None:
    of = found(
        log("a", "1 cancel") + log("b", "1 signup", "3 cancel", "4 cancel", "4 cancel", "9 signup")
    )
    assert told(of) == [("b", 1.0, 3.0, 0), ("b", 9.0, None, 1)]
    assert of.ignored == 3


def test_at_one_instant_a_new_contract_stands_and_a_last_payment_does_not() -> None:
    of = found(
        log("new", "1 subscribe", "7 subscribe", "7 cancel")
        + log("paid", "1 subscribe", "7 renew", "7 cancel")
        + log("same day", "7 cancel", "7 subscribe")
    )
    assert told(of) == [
        ("new", 1.0, 7.0, 0),
        ("new", 7.0, None, 1),
        ("paid", 1.0, 7.0, 0),
        ("same day", 7.0, 7.0, 0),
    ]


def test_at_the_as_of_what_happens_is_still_to_come() -> None:
    of = found(
        [("a", 1, "signup", None), ("a", 10, "cancel", None), ("b", 10, "signup", None)], as_of=10
    )
    assert told(of) == [("a", 1.0, None, 0)]
    assert current(of).age_days.tolist() == [9.0]


def test_a_start_recorded_late_is_not_at_risk_before_it_was_known() -> None:
    of = found([("a", 1, "signup", 20)])
    zero = microseconds(START)
    assert of.at_risk(zero + 20 * DAY_MICROSECONDS).tolist() == [False]
    assert of.at_risk(zero + 21 * DAY_MICROSECONDS).tolist() == [True]


def test_customers_are_all_that_were_known_in_the_order_of_the_daily_table() -> None:
    of = on_duckdb(
        [
            ("b", 1, "signup", None),
            ("a", 2, "visit", None),
            ("c", 3, "purchase", None),
            ("d", 80, "signup", None),
        ],
        50,
    )
    assert of.customers.tolist() == ["a", "b", "c"]
    assert told(of) == [("b", 1.0, None, 0), ("c", 3.0, None, 0)]


def test_types_are_the_callers_and_cannot_do_both() -> None:
    events: list[Event] = [
        ("a", 1.0, "joined", None),
        ("a", 9.0, "left", None),
        ("a", 11.0, "purchase", None),
    ]
    of = found(events, 50.0, Terms(("joined",), (), ("left",)))
    assert told(of) == [("a", 1.0, 9.0, 0)]
    with pytest.raises(UsageError, match="'left' cannot both"):
        Terms(starts=("left",), ends=("left",))
    with pytest.raises(UsageError, match="name at least one"):
        Terms(ends=())
    with pytest.raises(UsageError, match="name at least one"):
        Terms(starts=(), renewals=())
    with pytest.raises(UsageError, match="is blank"):
        Terms(ends=("cancel", " "))
    assert Terms(ends=(" Left ",)).ends == ("left",)


def test_a_log_that_says_nothing_of_contracts() -> None:
    of = found([("a", 1, "visit", None)], 50.0)
    assert (len(of), of.cancellations, of.ignored, of.history_days, len(of.customers)) == (
        0,
        0,
        0,
        0.0,
        1,
    )
    assert not of.standing().had.any()


def test_how_contracts_stand() -> None:
    ways = {
        "open": ("1 signup",),
        "back": ("1 signup", "5 cancel", "9 renew"),
        "over": ("2 renew", "6 cancel"),
        "before": ("3 visit", "4 cancel"),
        "never": ("3 visit",),
    }
    of = found([one for who, way in ways.items() for one in log(who, *way)], as_of=10).standing()
    # back, before, never, open, over; a cancellation tells of a contract that began before the log
    # did
    assert of.open.tolist() == [True, False, False, True, False]
    assert of.had.tolist() == [True, True, False, True, True]
    assert of.age_days[of.open].tolist() == [1.0, 9.0]
    assert np.isnan(of.age_days[~of.open]).all()
    assert of.earlier.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    some = of.of(np.array([4, 0]))
    assert (some.open.tolist(), some.earlier.tolist()) == ([False, True], [1.0, 1.0])


def test_who_cancelled_in_a_window_what_they_had_before_it() -> None:
    ways = {
        "in": ("1 signup", "20 cancel"),
        "before": ("1 signup", "9 cancel"),
        "after": ("1 signup", "40 cancel"),
        "new": ("12 signup", "20 cancel"),
        "at once": ("1 signup", "10 cancel", "11 signup"),
    }
    of = found([one for who, way in ways.items() for one in log(who, *way)])
    zero = microseconds(START)
    hit = of.cancelled(zero + 10 * DAY_MICROSECONDS, zero + 40 * DAY_MICROSECONDS)
    assert of.customers[hit].tolist() == ["at once", "in"]
    assert of.customers[of.held(zero + 10 * DAY_MICROSECONDS)].tolist() == [
        "after",
        "at once",
        "in",
    ]


# --- a slow walk over the same events

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


def walked(events: Sequence[Event], as_of: float) -> list[tuple[str, float, float | None, int]]:
    """Return the spells event by event, as one would by hand."""
    known = [one for one in events if one[1] < as_of and (one[3] is None or one[3] < as_of)]
    result: list[tuple[str, float, float | None, int]] = []
    for who in sorted({one[0] for one in known}):
        begun: float | None = None
        count = 0
        for at in sorted({one[1] for one in known if one[0] == who}):
            types = {one[2] for one in known if one[0] == who and one[1] == at}
            if begun is None and types & {"signup", "subscribe", "renew", "purchase"}:
                was_open, begun = False, at
            else:
                was_open = begun is not None
            if "cancel" in types and begun is not None:
                result.append((who, begun, at, count))
                count += 1
                begun = at if was_open and types & {"signup", "subscribe"} else None
        if begun is not None:
            result.append((who, begun, None, count))
    return result


@settings(max_examples=80, deadline=None)
@given(events=EVENTS, as_of=st.integers(1, 14))
def test_the_spells_are_those_of_a_slow_walk(events: list[Event], as_of: int) -> None:
    of = found(events, float(as_of))
    assert told(of) == walked(events, float(as_of))
    assert (of.known >= of.start).all()
    cancels = sum(
        e[2] == "cancel" and e[1] < as_of and (e[3] is None or e[3] < as_of) for e in events
    )
    assert of.ignored == cancels - of.cancellations


@settings(max_examples=40, deadline=None)
@given(events=EVENTS, future=EVENTS, as_of=st.integers(1, 12))
def test_what_happens_or_is_recorded_at_or_after_the_as_of_changes_nothing(
    events: list[Event], future: list[Event], as_of: int
) -> None:
    later = [(w, at + as_of, e, known) for w, at, e, known in future]
    late = [(w, at, e, float(as_of) + (known or 0.0)) for w, at, e, known in future]
    one, other = found(events, float(as_of)), found([*events, *later, *late], float(as_of))
    assert told(one) == told(other)
    assert one.ignored == other.ignored
    assert one.customers.tolist() == other.customers.tolist()
    assert one.known.tolist() == other.known.tolist()


@settings(max_examples=40, deadline=None)
@given(events=EVENTS, at=st.integers(1, 14))
def test_looking_back_shows_who_was_open_then(events: list[Event], at: int) -> None:
    events = [(who, when, what, None) for who, when, what, _ in events]
    whole, then = found(events), found(events, float(at))
    instant = microseconds(day(at))
    assert whole.before(instant).as_of == then.as_of
    assert whole.before(instant).cancellations == then.cancellations
    assert int(whole.at_risk(instant).sum()) == int(then.open.sum())
    assert (
        np.sort(whole.age_days(instant)[whole.at_risk(instant)]).tolist()
        == np.sort(current(then).age_days).tolist()
    )


@settings(max_examples=15, deadline=None)
@given(events=EVENTS.filter(lambda events: len(events) > 0))
def test_duckdb_and_memory_tell_the_same(events: list[Event]) -> None:
    events = [*events, ("d", 0.0, "visit", None)]
    one, other = found(events, 10.0), on_duckdb(events, 10.0)
    for name in ("customers", "customer", "start", "end", "known", "earlier"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
    assert (one.as_of, one.ignored) == (other.as_of, other.ignored)

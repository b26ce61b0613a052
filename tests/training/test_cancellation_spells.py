"""Contract spells read off a log: against a slow walk, at ties, and with nothing of the future in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.clock import DAY_MICROSECONDS, microseconds
from features.engines.duckdb import DailyTable
from features.errors import UsageError
from features.events import from_frame
from training.cancellation.landmarks import current
from training.cancellation.spells import NEVER, Spells, spells

START = datetime(2024, 1, 1, tzinfo=UTC)
Event = tuple[str, float, str, float | None]
"""Customer, day since the start, type, and the day on which it was recorded."""


def day(number: float) -> datetime:
    return START + timedelta(days=number)


@cache
def database() -> duckdb.DuckDBPyConnection:
    """Return one database for all logs of this file: to open one takes longer than all that is asked of it."""
    return duckdb.connect()


def log_of(events: Sequence[Event]) -> duckdb.DuckDBPyConnection:
    """Return a connection with these events."""
    times = pa.timestamp("us")
    table = pa.table(
        {
            "customer_id": pa.array([one[0] for one in events], pa.string()),
            "timestamp": pa.array([day(one[1]).replace(tzinfo=None) for one in events], times),
            "event": pa.array([one[2] for one in events], pa.string()),
            "recorded_at": pa.array([None if e[3] is None else day(e[3]).replace(tzinfo=None) for e in events], times),
        }
    )
    connection = database().cursor()
    connection.register("events", table)
    return connection


def found(events: Sequence[Event], as_of: float = 100.0) -> Spells:
    with log_of(events) as connection:
        return spells(connection, day(as_of))


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
        [("a", 1, "signup", None), ("a", 2, "purchase", None), ("a", 32, "renew", None), ("a", 40, "cancel", None)]
    )
    assert told(of) == [("a", 1.0, 40.0, 0)]
    assert (of.cancellations, of.returned, of.ignored) == (1, 0, 0)


def test_a_start_after_a_cancellation_is_a_customer_who_came_back() -> None:
    of = found([("a", 1, "subscribe", None), ("a", 5, "cancel", None), ("a", 9, "purchase", None)])
    assert told(of) == [("a", 1.0, 5.0, 0), ("a", 9.0, None, 1)]
    assert of.returned == 1
    assert of.open.tolist() == [False, True]


def test_a_cancellation_with_nothing_open_is_ignored_and_several_are_one() -> None:
    of = found(log("a", "1 cancel") + log("b", "1 signup", "3 cancel", "4 cancel", "4 cancel", "9 signup"))
    assert told(of) == [("b", 1.0, 3.0, 0), ("b", 9.0, None, 1)]
    assert of.ignored == 3


def test_at_one_instant_a_new_contract_stands_and_a_last_payment_does_not() -> None:
    of = found(
        log("new", "1 subscribe", "7 subscribe", "7 cancel")
        + log("paid", "1 subscribe", "7 renew", "7 cancel")
        + log("same day", "7 cancel", "7 subscribe")
    )
    assert told(of) == [("new", 1.0, 7.0, 0), ("new", 7.0, None, 1), ("paid", 1.0, 7.0, 0), ("same day", 7.0, 7.0, 0)]


def test_at_the_as_of_what_happens_is_still_to_come() -> None:
    of = found([("a", 1, "signup", None), ("a", 10, "cancel", None), ("b", 10, "signup", None)], as_of=10)
    assert told(of) == [("a", 1.0, None, 0)]
    assert current(of).age_days.tolist() == [9.0]


def test_a_start_recorded_late_is_not_at_risk_before_it_was_known() -> None:
    of = found([("a", 1, "signup", 20)])
    zero = microseconds(START)
    assert of.at_risk(zero + 20 * DAY_MICROSECONDS).tolist() == [False]
    assert of.at_risk(zero + 21 * DAY_MICROSECONDS).tolist() == [True]


def test_customers_are_all_that_were_known_in_the_order_of_the_daily_table() -> None:
    frame = {
        "customer_id": ["b", "a", "c", "d"],
        "timestamp": [day(n).isoformat() for n in (1, 2, 3, 80)],
        "event": ["signup", "visit", "purchase", "signup"],
    }
    with from_frame(pd.DataFrame(frame)) as log:
        of = spells(log.con, day(50))
        table = DailyTable(log.con, day(50))
        assert of.customers.tolist() == table.customers.tolist() == ["a", "b", "c"]
        table.close()
    assert told(of) == [("b", 1.0, None, 0), ("c", 3.0, None, 0)]


def test_types_are_the_callers_and_cannot_do_both() -> None:
    events = [("a", 1.0, "joined", None), ("a", 9.0, "left", None), ("a", 11.0, "purchase", None)]
    with log_of(events) as connection:
        of = spells(connection, day(50), starts=["joined"], renewals=[], ends=["left"])
        assert told(of) == [("a", 1.0, 9.0, 0)]
        with pytest.raises(UsageError, match="'left' cannot both"):
            spells(connection, day(50), starts=["left"], ends=["left"])
        with pytest.raises(UsageError, match="name at least one"):
            spells(connection, day(50), ends=[])


def test_a_log_without_recorded_at_and_an_empty_one() -> None:
    with duckdb.connect() as connection:
        connection.execute("create table events (customer_id varchar, timestamp timestamp, event varchar)")
        of = spells(connection, day(50))
        assert (len(of), of.cancellations, of.ignored, of.history_days, len(of.customers)) == (0, 0, 0, 0.0, 0)
        connection.execute("insert into events values ('a', '2024-01-03', 'signup')")
        assert told(spells(connection, day(50))) == [("a", 2.0, None, 0)]


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
    cancels = sum(e[2] == "cancel" and e[1] < as_of and (e[3] is None or e[3] < as_of) for e in events)
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
    assert np.sort(whole.age_days(instant)[whole.at_risk(instant)]).tolist() == np.sort(current(then).age_days).tolist()

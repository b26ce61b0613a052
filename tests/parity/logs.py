"""Logs for the tests: Hypothesis strategies that seek the edges, and the same events as an
:class:`EventLog`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from stagecast.features.events import CustomersTable, EventLog, ReadOptions, from_frame
from stagecast.features.requests import CustomerEvents, Event

Customers = Mapping[str, tuple[Event, ...]]
Attributes = Mapping[str, Mapping[str, Any]]
"""Customer -> column -> what the table of customers says; a customer who is not in it has none."""

TICK, DAY = timedelta(microseconds=1), timedelta(days=1)
ODD = r"it's 1 of 2, a\nd -- ;"
KINDS = (
    *(
        "purchase",
        "refund",
        "visit",
        "email_open",
        "ticket",
        "unsubscribe",
        "contact",
        "email_sent",
    ),
    *("signup", "enquiry", "cancel", "отказ", ODD),
)
TEXTS = (None, None, "web", "shop", "", " ", " web ", "ы", "a'b", "NULL")
"""Channels and categories; one of blanks alone tells nothing."""
WHOLE_DAYS = (
    "2016-02-29",
    "2016-03-01",
    "2017-01-01",
    "2014-11-20",
    "2020-02-29",
    "1998-06-30",
    "1972-12-31",
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def midnights() -> st.SearchStrategy[datetime]:
    return st.sampled_from(WHOLE_DAYS).map(utc)


def as_ofs() -> st.SearchStrategy[datetime]:
    """Midnights, leap days, and any instant of a day."""
    time_of_day = st.one_of(
        st.just(timedelta(0)),
        st.just(timedelta(0)),
        st.sampled_from([TICK, DAY - TICK, timedelta(hours=12)]),
        st.integers(0, 86_399_999_999).map(lambda us: timedelta(microseconds=us)),
    )
    return st.builds(lambda day, time: day + time, midnights(), time_of_day)


def instants(as_of: datetime, years: int = 20) -> st.SearchStrategy[datetime]:
    """Instants around the as_of and its windows, on the tick, before and after; at midnights;
    anywhere; leap days.
    """
    ago = st.one_of(
        st.integers(-3, 12),
        st.sampled_from([0, 1, 30, 31, 90, 91, 180, 181, 275, 276, 335, 365, 366, -30, -90]),
        st.integers(-60, 365 * years),
    ).map(lambda days: as_of - days * DAY)
    midnight = ago.map(lambda t: t.replace(hour=0, minute=0, second=0, microsecond=0))
    tick = st.sampled_from([-TICK, timedelta(0), TICK])
    anywhere = st.builds(
        lambda t, us: t + timedelta(microseconds=us), ago, st.integers(0, 86_399_999_999)
    )
    leap = st.sampled_from([utc("2012-02-29"), utc("2016-02-29T23:59:59.999999")])
    return st.one_of(
        st.builds(lambda t, d: t + d, ago, tick),
        st.builds(lambda t, d: t + d, midnight, tick),
        anywhere,
        leap,
    )


def amounts(large: bool = True) -> st.SearchStrategy[float]:
    """Money with six decimals, none, little, and very much of it, of which sums leave what a
    double holds exactly.
    """
    return st.one_of(
        st.integers(0, 3_000_000_000).map(lambda millionths: millionths / 1e6),
        st.sampled_from([0.0, 0.000001, 0.1, 0.2, 9.99, 10.0]),
        st.integers(10**9, 10**11).map(float) if large else st.just(10.0),
    )


def events(
    as_of: datetime,
    with_amounts: bool = True,
    late: bool = True,
    kinds: tuple[str, ...] = KINDS,
    years: int = 20,
    large: bool = True,
    told: bool = True,
) -> st.SearchStrategy[Event]:
    """Events of some kinds, half of them of the first; ``told`` are those with channel, category
    or discount.
    """

    def build(
        at: datetime,
        kind: str,
        amount: float | None,
        delay: timedelta | None,
        more: dict[str, Any] | None,
    ) -> Event:
        if kind == "purchase" and with_amounts and amount is None:
            amount = 1.5  # in a log with amounts, a purchase without one is refused
        if kind == "cancel" and amount is not None:
            amount = -amount
        recorded = None if delay is None or not late else at + delay
        return Event(at, kind, amount if with_amounts else None, recorded_at=recorded, **more or {})

    delays = st.one_of(
        st.none(),
        st.none(),
        st.sampled_from([timedelta(0), TICK, -DAY, timedelta(hours=3), 30 * DAY]),
        st.integers(0, 400).map(lambda days: days * DAY),
    )
    kind = st.one_of(st.just(kinds[0]), st.sampled_from(kinds))
    money = st.none() | amounts(large)
    texts = st.sampled_from(TEXTS)
    more = st.none() | st.fixed_dictionaries(
        {"channel": texts, "category": texts, "discount": money}
    )
    return st.builds(
        build, instants(as_of, years), kind, money, delays, more if told else st.none()
    )


@st.composite
def refunds(draw: st.DrawFn, some: list[Event], late: bool) -> list[Event]:
    """Refunds of some of the purchases: of a part, of all, of more; at once, days later, before;
    known late or not.
    """
    bought = [event for event in some if event.event == "purchase"]
    returned = draw(st.lists(st.sampled_from(bought), max_size=6)) if bought else []
    share = st.sampled_from([1.0, 1.0, 0.5, 0.001, 1.7, 30.0])
    after = st.sampled_from([0, 0, 1, 2, 7, 30, 90, 400, -1, -40]).map(lambda days: days * DAY)
    clock = st.sampled_from([timedelta(0), TICK, -TICK, timedelta(hours=5)])
    found = []
    for event in returned:
        amount = None if event.amount is None else min(round(event.amount * draw(share), 6), 1e11)
        at = event.timestamp + draw(after) + draw(clock)
        delay = (
            draw(st.sampled_from([None, None, timedelta(hours=3), 3 * DAY, 100 * DAY]))
            if late
            else None
        )
        found.append(Event(at, "refund", amount, None, None if delay is None else at + delay))
    return found


@st.composite
def logs(
    draw: st.DrawFn,
    as_of: datetime,
    *,
    late: bool = True,
    kinds: tuple[str, ...] = KINDS,
    most: int = 6,
    years: int = 20,
) -> Customers:
    """One to some customers with some events each, of which many are refunds; one event of one
    customer is always seen.

    Half of the logs have customers with refunds of their own purchases, so that most of what
    refunds can do is met; half have very large amounts, and half channels, categories and
    discounts. Plain logs, of which SQL makes less work, have ``kinds`` without refunds and are not
    ``late``.
    """
    with_amounts = draw(st.booleans() | st.just(True))
    one = events(
        as_of, with_amounts, late, kinds, years, large=draw(st.booleans()), told=draw(st.booleans())
    )
    several = draw(st.lists(st.lists(one, min_size=1, max_size=14), min_size=1, max_size=most))
    if "refund" in kinds and draw(st.booleans()):
        several = [some + draw(refunds(some, late)) for some in several]
    customers = {f"c{i}": tuple(some) for i, some in enumerate(several)}
    always = Event(
        as_of - 365 * years * DAY,
        "visit" if "visit" in kinds else kinds[0],
        1.5 if with_amounts else None,
    )
    return {**customers, "z": (always,)}


KIND_OF = {
    "plan": pa.string(),
    'it\'s "told"': pa.string(),
    "member": pa.bool_(),
    "acquisition_cost": pa.float64(),
}
"""The columns of the tables of customers that are drawn."""


def attributes(customers: Customers) -> st.SearchStrategy[Attributes]:
    """Attributes of some of the customers, and of one who has no events; of each, some of the
    columns.
    """
    texts = st.sampled_from([*TEXTS, "pro", "Pro", "1", "true"])
    numbers = st.sampled_from([0.0, -1.5, 1, 1e300, 0.1]) | st.floats(-1e9, 1e9)
    of_kind = {pa.string(): texts, pa.bool_(): st.booleans(), pa.float64(): numbers}
    columns = {name: st.none() | of_kind[kind] for name, kind in KIND_OF.items()}
    one = st.fixed_dictionaries({}, optional=columns)
    some = {name: st.none() | one for name in customers}
    drawn = st.fixed_dictionaries({**some, "stranger": one})
    return drawn.map(lambda found: {name: told for name, told in found.items() if told is not None})


@contextmanager
def customers_table(told: Attributes) -> Iterator[CustomersTable]:
    """Give the attributes as a table that the reader reads."""
    columns = {
        name: pa.array([one.get(name) for one in told.values()], kind)
        for name, kind in KIND_OF.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.parquet"
        pq.write_table(pa.table({"customer_id": list(told), **columns}), path)
        yield CustomersTable(str(path), flags=("member",), known_at_start=tuple(KIND_OF))


def event_log(
    customers: Customers, told: Attributes | None = None, *, reverse: bool = False
) -> EventLog:
    """Return the events as a log, through the reader that users go through; it has the columns that
    any event needs.

    ``told`` is its table of customers, if it has one.
    """
    if told is None:
        return _event_log(customers, None, reverse=reverse)
    with customers_table(told) as table:
        return _event_log(customers, table, reverse=reverse)


def _event_log(customers: Customers, table: CustomersTable | None, *, reverse: bool) -> EventLog:
    rows = [(customer, event) for customer, some in customers.items() for event in some]
    rows = rows[::-1] if reverse else rows
    instant = pa.timestamp("us", tz="UTC")
    columns = {
        "customer_id": pa.array([customer for customer, _ in rows]),
        "timestamp": pa.array([event.timestamp for _, event in rows], instant),
        "event": pa.array([event.event for _, event in rows]),
        "amount": _money(event.amount for _, event in rows),
        "recorded_at": pa.array([event.recorded_at for _, event in rows], instant),
        "channel": pa.array([event.channel for _, event in rows], pa.string()),
        "category": pa.array([event.category for _, event in rows], pa.string()),
        "discount": _money(event.discount for _, event in rows),
    }
    needed = {name: column for name, column in columns.items() if column.null_count < len(rows)}
    log = from_frame(pa.table(needed), ReadOptions(duplicates="keep"), table)
    assert log.report.rows_rejected == 0, log.report.rejected_by_reason
    return log


def _money(some: Iterable[float | None]) -> pa.Array:
    exact = [
        None if money is None else Decimal(round(money * 1_000_000)).scaleb(-6) for money in some
    ]
    return pa.array(exact, pa.decimal128(24, 6))


def requests(customers: Customers, told: Attributes | None = None) -> list[CustomerEvents]:
    """Return the events without blanks around their texts, which the reader and the API cut off."""
    told = told or {}
    return [
        CustomerEvents(name, tuple(map(_stripped, some)), told.get(name, {}))
        for name, some in customers.items()
    ]


def _stripped(event: Event) -> Event:
    channel, category = (text and text.strip() for text in (event.channel, event.category))
    return replace(event, channel=channel, category=category)

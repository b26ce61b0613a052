"""Hypothesis strategies for logs with edge cases, and their events as an :class:`EventLog`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from msgspec.structs import replace

from stagecast.features.events import CustomersTable, EventLog, ReadOptions, from_frame
from stagecast.features.requests import CustomerEvents, Event

Customers = Mapping[str, tuple[Event, ...]]
Attributes = Mapping[str, Mapping[str, Any]]
"""Customer -> column -> value in the table of customers; customers may be missing."""

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
"""Channels and categories; a blank text is no value."""
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
    """Draw midnights, leap days, and other times of a day."""
    time_of_day = st.one_of(
        st.just(timedelta(0)),
        st.just(timedelta(0)),
        st.sampled_from([TICK, DAY - TICK, timedelta(hours=12)]),
        st.integers(0, 86_399_999_999).map(lambda us: timedelta(microseconds=us)),
    )
    return st.builds(lambda day, time: day + time, midnights(), time_of_day)


def instants(as_of: datetime, years: int = 20) -> st.SearchStrategy[datetime]:
    """Draw instants around the as_of and the ends of windows, at midnights, and anywhere."""
    ago = st.one_of(
        st.integers(-3, 12),
        st.sampled_from([0, 1, 30, 31, 90, 91, 180, 181, 275, 276, 335, 365, 366, -30, -90]),
        st.integers(-60, 365 * years),
    ).map(lambda days: as_of - days * DAY)
    midnight = ago.map(lambda t: t.replace(hour=0, minute=0, second=0, microsecond=0))
    tick = st.sampled_from([-TICK, timedelta(0), TICK])
    any_time = st.builds(
        lambda t, us: t + timedelta(microseconds=us), ago, st.integers(0, 86_399_999_999)
    )
    leap_day = st.sampled_from([utc("2012-02-29"), utc("2016-02-29T23:59:59.999999")])
    return st.one_of(
        st.builds(lambda t, d: t + d, ago, tick),
        st.builds(lambda t, d: t + d, midnight, tick),
        any_time,
        leap_day,
    )


def amounts(large: bool = True) -> st.SearchStrategy[float]:
    """Draw money with six decimals: 0, small, and with ``large`` amounts whose sums exceed 2^53.

    Above 2^53 millionths doubles are not exact.
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
    with_details: bool = True,
) -> st.SearchStrategy[Event]:
    """Draw events, half of them of the first kind.

    Parameters
    ----------
    as_of
        The instant around which events happen.
    with_amounts
        Whether events have amounts.
    late
        Whether events may be recorded late.
    kinds
        Event types.
    years
        How far back events go.
    large
        Whether amounts may be very large.
    with_details
        Whether events may have channel, category and discount.
    """

    def build(
        at: datetime,
        kind: str,
        amount: float | None,
        delay: timedelta | None,
        details: dict[str, Any] | None,
    ) -> Event:
        if kind == "purchase" and with_amounts and amount is None:
            amount = 1.5  # in a log with amounts, a purchase without one is refused
        if kind == "cancel" and amount is not None:
            amount = -amount
        recorded = None if delay is None or not late else at + delay
        return Event(
            at, kind, amount if with_amounts else None, recorded_at=recorded, **details or {}
        )

    delays = st.one_of(
        st.none(),
        st.none(),
        st.sampled_from([timedelta(0), TICK, -DAY, timedelta(hours=3), 30 * DAY]),
        st.integers(0, 400).map(lambda days: days * DAY),
    )
    kind = st.one_of(st.just(kinds[0]), st.sampled_from(kinds))
    money = st.none() | amounts(large)
    texts = st.sampled_from(TEXTS)
    details = st.none() | st.fixed_dictionaries(
        {"channel": texts, "category": texts, "discount": money}
    )
    return st.builds(
        build, instants(as_of, years), kind, money, delays, details if with_details else st.none()
    )


@st.composite
def refunds(draw: st.DrawFn, events_of_customer: list[Event], late: bool) -> list[Event]:
    """Draw refunds of a customer's purchases.

    They are of a part, of all or of more than was paid; at once, later or earlier; and with
    ``late`` possibly recorded late.
    """
    purchases = [event for event in events_of_customer if event.event == "purchase"]
    refunded = draw(st.lists(st.sampled_from(purchases), max_size=6)) if purchases else []
    share = st.sampled_from([1.0, 1.0, 0.5, 0.001, 1.7, 30.0])
    days_after = st.sampled_from([0, 0, 1, 2, 7, 30, 90, 400, -1, -40]).map(lambda days: days * DAY)
    clock = st.sampled_from([timedelta(0), TICK, -TICK, timedelta(hours=5)])
    drawn = []
    for event in refunded:
        amount = None if event.amount is None else min(round(event.amount * draw(share), 6), 1e11)
        at = event.timestamp + draw(days_after) + draw(clock)
        delay = (
            draw(st.sampled_from([None, None, timedelta(hours=3), 3 * DAY, 100 * DAY]))
            if late
            else None
        )
        drawn.append(Event(at, "refund", amount, None, None if delay is None else at + delay))
    return drawn


@st.composite
def logs(
    draw: st.DrawFn,
    as_of: datetime,
    *,
    late: bool = True,
    kinds: tuple[str, ...] = KINDS,
    max_customers: int = 6,
    years: int = 20,
) -> Customers:
    """Draw customers with their events; one event of customer ``z`` is always before the as_of.

    Half of the logs have refunds of the customers' own purchases, to cover the cases of refunds;
    half have very large amounts, and half have channels, categories and discounts. For plain logs,
    for which SQL skips steps, pass ``kinds`` without refunds and ``late=False``.
    """
    with_amounts = draw(st.booleans() | st.just(True))
    event = events(
        as_of,
        with_amounts,
        late,
        kinds,
        years,
        large=draw(st.booleans()),
        with_details=draw(st.booleans()),
    )
    event_lists = draw(
        st.lists(st.lists(event, min_size=1, max_size=14), min_size=1, max_size=max_customers)
    )
    if "refund" in kinds and draw(st.booleans()):
        event_lists = [drawn + draw(refunds(drawn, late)) for drawn in event_lists]
    customers = {f"c{i}": tuple(drawn) for i, drawn in enumerate(event_lists)}
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
"""Columns of the drawn tables of customers."""


def attribute_tables(customers: Customers) -> st.SearchStrategy[Attributes]:
    """Draw tables of customers with missing rows and values, and a row without events."""
    texts = st.sampled_from([*TEXTS, "pro", "Pro", "1", "true"])
    numbers = st.sampled_from([0.0, -1.5, 1, 1e300, 0.1]) | st.floats(-1e9, 1e9)
    of_kind = {pa.string(): texts, pa.bool_(): st.booleans(), pa.float64(): numbers}
    columns = {name: st.none() | of_kind[kind] for name, kind in KIND_OF.items()}
    row = st.fixed_dictionaries({}, optional=columns)
    rows = {name: st.none() | row for name in customers}
    drawn = st.fixed_dictionaries({**rows, "stranger": row})
    return drawn.map(
        lambda table: {name: values for name, values in table.items() if values is not None}
    )


@contextmanager
def customers_table(attributes: Attributes) -> Iterator[CustomersTable]:
    """Write the attributes to a file, and yield it as the reader's table of customers."""
    columns = {
        name: pa.array([values.get(name) for values in attributes.values()], kind)
        for name, kind in KIND_OF.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.parquet"
        pq.write_table(pa.table({"customer_id": list(attributes), **columns}), path)
        yield CustomersTable(str(path), flags=("member",), known_at_start=tuple(KIND_OF))


def event_log(
    customers: Customers,
    attributes: Attributes | None = None,
    *,
    reverse: bool = False,
    day_zone: str | None = None,
) -> EventLog:
    """Return the events as a log, read as a user's log is.

    Columns without any value are left out.

    Parameters
    ----------
    customers
        Events by customer.
    attributes
        Table of customers; None: the log has none.
    reverse
        Whether to reverse the order of rows.
    day_zone
        Zone whose days are counted.
    """
    if attributes is None:
        return _event_log(customers, None, reverse=reverse, day_zone=day_zone)
    with customers_table(attributes) as table:
        return _event_log(customers, table, reverse=reverse, day_zone=day_zone)


def _event_log(
    customers: Customers, table: CustomersTable | None, *, reverse: bool, day_zone: str | None
) -> EventLog:
    rows = [(name, event) for name, events_of_name in customers.items() for event in events_of_name]
    rows = rows[::-1] if reverse else rows
    instant = pa.timestamp("us", tz="UTC")
    columns = {
        "customer_id": pa.array([name for name, _ in rows]),
        "timestamp": pa.array([event.timestamp for _, event in rows], instant),
        "event": pa.array([event.event for _, event in rows]),
        "amount": _money(event.amount for _, event in rows),
        "recorded_at": pa.array([event.recorded_at for _, event in rows], instant),
        "channel": pa.array([event.channel for _, event in rows], pa.string()),
        "category": pa.array([event.category for _, event in rows], pa.string()),
        "discount": _money(event.discount for _, event in rows),
    }
    not_empty = {name: column for name, column in columns.items() if column.null_count < len(rows)}
    options = ReadOptions(duplicates="keep", day_zone=day_zone)
    log = from_frame(pa.table(not_empty), options, table)
    assert log.report.rows_rejected == 0, log.report.rejected_by_reason
    return log


def _money(amounts_of_rows: Iterable[float | None]) -> pa.Array:
    exact = [
        None if amount is None else Decimal(round(amount * 1_000_000)).scaleb(-6)
        for amount in amounts_of_rows
    ]
    return pa.array(exact, pa.decimal128(24, 6))


def known_customers(customers: Customers, as_of: datetime) -> Customers:
    """Return the customers with an event known before the as_of, with all their events."""
    return {
        name: events_of_name
        for name, events_of_name in customers.items()
        if any(event.is_known_before(as_of) for event in events_of_name)
    }


def requests(customers: Customers, attributes: Attributes | None = None) -> list[CustomerEvents]:
    """Return the customers as requests, with texts stripped as the reader and the API do."""
    attributes = attributes or {}
    return [
        CustomerEvents(name, tuple(map(_stripped, events_of_name)), attributes.get(name, {}))
        for name, events_of_name in customers.items()
    ]


def _stripped(event: Event) -> Event:
    channel, category = (text and text.strip() for text in (event.channel, event.category))
    return replace(event, channel=channel, category=category)

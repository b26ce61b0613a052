"""Bodies in which nothing has to be corrected, decoded straight to events.

msgspec decodes the instants of RFC 3339 (``1997-06-01T12:00:00Z``) a hundred times as fast as
Python reads them one by one. A body that it cannot decode, or in which anything is wrong, is read
again by :mod:`stagecast.serving.http.incoming`, which knows all forms of ISO 8601 and names each
fault; the events are the same where both read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from operator import eq
from typing import Annotated, Any

import msgspec

from stagecast.features.clock import to_utc
from stagecast.features.intake.reasons import LARGEST_AMOUNT
from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock
from stagecast.features.shop.customer_ids import clean_id, id_problem
from stagecast.serving.http import bodies
from stagecast.serving.http.incoming import (
    LARGEST_TOTAL,
    ScoreRequest,
    history_faults,
    read_request,
    without_duplicates,
)
from stagecast.training.card import EqualEvents

# Python cuts an instant after the microsecond, where msgspec rounds it
_LONG_FRACTION = re.compile(rb"\.[0-9]{7}")

_Text = Annotated[str, msgspec.Meta(max_length=256)]


class _Event(Event, frozen=True, forbid_unknown_fields=True, gc=False):
    timestamp: datetime
    event: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "purchase"
    amount: float | None = None
    channel: _Text | None = None
    recorded_at: datetime | None = None
    event_id: _Text | None = None
    category: _Text | None = None
    discount: float | None = None


class _Customer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    customer_id: Annotated[str, msgspec.Meta(min_length=1, max_length=bodies.ID_LENGTH_MAX)]
    events: Annotated[tuple[_Event, ...], msgspec.Meta(max_length=bodies.EVENTS_MAX)]
    attributes: dict[str, Any] = {}


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    customers: Annotated[
        tuple[_Customer, ...], msgspec.Meta(min_length=1, max_length=bodies.CUSTOMERS_MAX)
    ]
    as_of: datetime | None = None
    currency: bodies.CurrencyCode | None = None


class _PlainEvent(_Event, frozen=True, forbid_unknown_fields=True, gc=False):
    """An event as most are: of an instant with a zone, and with no more than type and amount."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    event: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "purchase"
    amount: Annotated[float, msgspec.Meta(ge=0.0, le=LARGEST_AMOUNT)] | None = None
    channel: None = None
    recorded_at: None = None
    event_id: None = None
    category: None = None
    discount: None = None


class _PlainCustomer(_Customer, frozen=True, forbid_unknown_fields=True):
    events: Annotated[tuple[_PlainEvent, ...], msgspec.Meta(max_length=bodies.EVENTS_MAX)]


class _PlainBody(_Body, frozen=True, forbid_unknown_fields=True):
    customers: Annotated[
        tuple[_PlainCustomer, ...], msgspec.Meta(min_length=1, max_length=bodies.CUSTOMERS_MAX)
    ]


_decoder, _plain_decoder = msgspec.json.Decoder(_Body), msgspec.json.Decoder(_PlainBody)


def read_score(
    raw: bytes,
    default_as_of: datetime,
    clock: ShopClock = UTC_CLOCK,
    *,
    equal_events: EqualEvents = "one",
) -> ScoreRequest:
    """Return the customers of a scoring request with their events.

    Parameters
    ----------
    raw
        The body.
    default_as_of
        The as_of if the body has none.
    clock
        Clock of the shop: times without a zone are what it shows.
    equal_events
        See :func:`stagecast.serving.http.incoming.read_request`.

    Raises
    ------
    ProblemError
        See :func:`stagecast.serving.http.bodies.decode_score` and
        :func:`stagecast.serving.http.incoming.read_request`.
    """
    request = _clean_request(raw, default_as_of, clock, equal_events)
    if request is not None:
        return request
    body = bodies.decode_score(raw)
    return read_request(body, default_as_of, clock, equal_events=equal_events)


def _clean_request(
    raw: bytes, default_as_of: datetime, clock: ShopClock, equal_events: EqualEvents
) -> ScoreRequest | None:
    """Return the request; None where something is to be said, or to be read more carefully."""
    try:
        body = _decoded(raw)
        if not clock.is_utc and _has_local_times(body):
            return None
        as_of = default_as_of if body.as_of is None else to_utc(body.as_of)
        ids = [clean_id(customer.customer_id) for customer in body.customers]
        if len(set(ids)) < len(ids) or any(map(id_problem, ids)):
            return None
        if not FIRST_YEAR <= as_of.year <= LAST_YEAR:
            return None
        events = None
        if isinstance(body, _PlainBody):
            events = _plain_events(raw, body, as_of, equal_events)
        if events is None:
            events = _corrected_events(raw, body, as_of, equal_events)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _UncleanError, OverflowError):
        return None
    customers = [
        CustomerEvents(name, own, customer.attributes)
        for name, customer, own in zip(ids, body.customers, events, strict=True)
    ]
    return ScoreRequest(as_of, customers, body.currency)


def _decoded(raw: bytes) -> _Body:
    """Return a body, as a plain one if it is."""
    try:
        return _plain_decoder.decode(raw)
    except msgspec.ValidationError:
        return _decoder.decode(raw)


def _plain_events(
    raw: bytes, body: _PlainBody, as_of: datetime, equal_events: EqualEvents
) -> list[tuple[Event, ...]] | None:
    """Return the events of each customer as they were decoded; None where one might be corrected.

    Columns are looked at, which takes less time than one event after the other.
    """
    customers = [customer.events for customer in body.customers]
    events = [event for own in customers for event in own]
    if not all(map(_is_plain_type, {event.event for event in events})):
        return None
    if {event.timestamp.tzinfo for event in events} - {UTC}:
        return None
    # the sum of each customer is no more than that of all
    amounts = [event.amount for event in events]
    if sum(filter(None, amounts)) > LARGEST_TOTAL:
        return None
    if None in amounts and _has_mixed_purchases(events):
        return None
    for own in customers:
        # to order instants takes a third of the time that their hashes take
        times = sorted([event.timestamp for event in own])
        if not times or not times[0] < as_of:
            return None
        if times[0].year < FIRST_YEAR or times[-1].year > LAST_YEAR:
            return None
        if equal_events == "one" and any(map(eq, times, times[1:])):
            return None
    if _is_cut(raw, events, as_of):
        return None
    return list(customers)


def _is_plain_type(name: str) -> bool:
    return name.islower() and name == name.strip()


def _has_mixed_purchases(events: Iterable[Event]) -> bool:
    """Return whether some purchases have an amount, and others none."""
    return len({event.amount is None for event in events if event.event == "purchase"}) == 2


def _is_cut(raw: bytes, events: Iterable[Event], as_of: datetime) -> bool:
    """Return whether an instant may have had more digits than it has room for."""
    if not _LONG_FRACTION.search(raw):
        return False
    times = [time for event in events for time in (event.timestamp, event.recorded_at) if time]
    return any(time.microsecond for time in [as_of, *times])


def _corrected_events(
    raw: bytes, body: _Body, as_of: datetime, equal_events: EqualEvents
) -> list[tuple[Event, ...]]:
    """Return the events of each customer without duplicates.

    Raises
    ------
    _UncleanError
        Something is to be said, or to be read more carefully.
    """
    events = [_clean_events(customer.events) for customer in body.customers]
    everyone = [event for own in events for event in own]
    years = {event.timestamp.year for event in everyone}
    years |= {e.recorded_at.year for e in everyone if e.recorded_at is not None}
    if years and (min(years) < FIRST_YEAR or max(years) > LAST_YEAR):
        raise _UncleanError
    if _is_cut(raw, everyone, as_of) or _has_mixed_purchases(everyone):
        raise _UncleanError
    unique = [without_duplicates(own, equal_events) for own in events]
    if any(history_faults("", own, as_of, "") for own in unique):
        raise _UncleanError
    return unique


def _has_local_times(body: _Body) -> bool:
    """Return whether a time has no zone."""
    times = [body.as_of]
    for customer in body.customers:
        for event in customer.events:
            times += [event.timestamp, event.recorded_at]
    return any(time is not None and time.tzinfo is None for time in times)


class _UncleanError(Exception):
    """A value that :mod:`stagecast.serving.http.incoming` refuses or corrects."""


def _clean_events(events: tuple[_Event, ...]) -> tuple[Event, ...]:
    return tuple(event if _is_clean(event) else _cleaned(event) for event in events)


def _is_clean(event: _Event) -> bool:
    """Return whether an event can stay as it is."""
    kind, amount = event.event, event.amount
    return (
        event.timestamp.tzinfo is UTC
        and event.recorded_at is None
        and event.discount is None
        and event.channel is None
        and event.category is None
        and event.event_id is None
        and (kind == "purchase" or (kind.islower() and kind == kind.strip()))
        and (amount is None or 0.0 <= amount <= LARGEST_AMOUNT)
    )


def _cleaned(event: _Event) -> Event:
    kind, amount, discount = event.event.strip().lower(), event.amount, event.discount
    if amount is not None and kind == "refund":
        amount = abs(amount)
    if discount is not None:
        discount = abs(discount)
    if (
        not kind
        or (amount is not None and abs(amount) > LARGEST_AMOUNT)
        or (amount is not None and kind == "purchase" and amount < 0)
        or (discount is not None and discount > LARGEST_AMOUNT)
    ):
        raise _UncleanError
    recorded_at = event.recorded_at
    return _Event(
        to_utc(event.timestamp),
        kind,
        amount,
        _text(event.channel),
        None if recorded_at is None else to_utc(recorded_at),
        _text(event.event_id),
        _text(event.category),
        discount,
    )


def _text(value: str | None) -> str | None:
    return None if value is None else value.strip() or None

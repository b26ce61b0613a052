"""Bodies in which nothing has to be corrected, decoded straight to events.

msgspec decodes the instants of RFC 3339 (``1997-06-01T12:00:00Z``) a hundred times as fast as
Python reads them one by one. A body that it cannot decode, or in which anything is wrong, is read
again by :mod:`stagecast.serving.http.incoming`, which knows all forms of ISO 8601 and names each
fault; the events are the same where both read them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
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
        list[_Customer], msgspec.Meta(min_length=1, max_length=bodies.CUSTOMERS_MAX)
    ]
    as_of: datetime | None = None
    currency: bodies.CurrencyCode | None = None


_decoder = msgspec.json.Decoder(_Body)


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
        body = _decoder.decode(raw)
        if not clock.is_utc and _has_local_times(body):
            return None
        events = [_clean_events(customer.events) for customer in body.customers]
        as_of = default_as_of if body.as_of is None else to_utc(body.as_of)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _UncleanError, OverflowError):
        return None
    instants = [as_of, *(event.timestamp for own in events for event in own)]
    instants += [e.recorded_at for own in events for e in own if e.recorded_at is not None]
    if min(instants).year < FIRST_YEAR or max(instants).year > LAST_YEAR:
        return None
    if any(instant.microsecond for instant in instants) and _LONG_FRACTION.search(raw):
        return None
    purchases = {e.amount is None for own in events for e in own if e.event == "purchase"}
    if len(purchases) == 2:  # some purchases have an amount, and others none
        return None
    ids = [clean_id(customer.customer_id) for customer in body.customers]
    if len(set(ids)) < len(ids) or any(map(id_problem, ids)):
        return None
    customers = []
    for name, customer, own in zip(ids, body.customers, events, strict=True):
        unique = without_duplicates(own, equal_events)
        if history_faults(name, unique, as_of, ""):
            return None
        customers.append(CustomerEvents(name, unique, customer.attributes))
    return ScoreRequest(as_of, customers, body.currency)


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

"""Conversion of a decoded body to events, by the rules of the reader of event logs.

An event means the same in a file (:mod:`stagecast.features.intake.reading`) and in a body: texts
are trimmed, types are lower case, times without a zone are those of the shop, refunds and discounts
are magnitudes, and duplicates count once. The reader counts the bad rows of a file and goes on; a
request with a bad event is refused, and the response gives the place of the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from stagecast.features.clock import instant_text
from stagecast.features.intake.reasons import LARGEST_AMOUNT
from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.shop.clock import UTC_CLOCK, ShopClock
from stagecast.features.shop.customer_ids import clean_id, id_problem
from stagecast.serving.http.bodies import CustomerBody, EventBody, ScoreBody, body_problem
from stagecast.serving.http.problems import Fault
from stagecast.training.card import EqualEvents

# sums are whole millionths in 64-bit integers, which overflow at 9e12; this is far below
LARGEST_TOTAL = 1e12


@dataclass(frozen=True)
class ScoreRequest:
    """A request for scores: the as_of, the customers without duplicates, and the currency."""

    as_of: datetime
    customers: list[CustomerEvents]
    currency: str | None = None


def read_request(
    body: ScoreBody,
    default_as_of: datetime,
    clock: ShopClock = UTC_CLOCK,
    *,
    equal_events: EqualEvents = "one",
) -> ScoreRequest:
    """Return the customers of a body with their events.

    Parameters
    ----------
    body
        The decoded body.
    default_as_of
        The as_of if the body has none.
    clock
        Clock of the shop: times without a zone are what it shows.
    equal_events
        Whether events that are equal in every field are one event, or each one of its own.

    Raises
    ------
    ProblemError
        422, with every fault and its place: an instant that cannot be read, a customer who occurs
        twice or has no event before the as_of, an amount that is missing, negative or too large.
    """
    faults: list[Fault] = []
    as_of = default_as_of if body.as_of is None else _as_of(body.as_of, clock, faults)
    readings = read_each(body.customers, as_of, clock, equal_events=equal_events)
    faults += [fault for reading in readings for fault in reading.faults]
    if faults:
        raise body_problem(faults)
    return ScoreRequest(as_of, [reading.customer for reading in readings], body.currency)


@dataclass(frozen=True)
class Reading:
    """One customer of a body, and what is wrong with them."""

    customer: CustomerEvents
    faults: tuple[Fault, ...]


def read_each(
    customers: Sequence[CustomerBody],
    as_of: datetime,
    clock: ShopClock = UTC_CLOCK,
    *,
    positions: Sequence[int] | None = None,
    equal_events: EqualEvents = "one",
) -> list[Reading]:
    """Return each customer with the faults that concern them, in the same order.

    Parameters
    ----------
    customers
        Decoded customers of one body.
    as_of
        Instant of the scores.
    clock
        Clock of the shop: times without a zone are what it shows.
    positions
        Place of each in the body, which their faults name; None: 0, 1, 2, ...
    equal_events
        See :func:`read_request`.
    """
    with_amounts = any(
        event.amount is not None and _event_type(event) == "purchase"
        for customer in customers
        for event in customer.events
    )
    customer_ids: set[str] = set()
    readings = []
    for position, customer in zip(positions or range(len(customers)), customers, strict=True):
        faults: list[Fault] = []
        location, customer_id = f"customers[{position}]", clean_id(customer.customer_id)
        id_location = f"{location}.customer_id"
        if problem := id_problem(customer_id):
            faults.append(Fault(id_location, problem, customer.customer_id))
        if customer_id in customer_ids:
            faults.append(Fault(id_location, "stands twice in the request", customer_id))
        customer_ids.add(customer_id)
        fault_count = len(faults)
        all_events = [
            _event(event, f"{location}.events[{number}]", with_amounts, clock, faults)
            for number, event in enumerate(customer.events)
        ]
        events = without_duplicates(all_events, equal_events)
        if len(faults) == fault_count:
            faults += history_faults(customer_id, events, as_of, f"{location}.events")
        read = CustomerEvents(customer_id, events, customer.attributes)
        readings.append(Reading(read, tuple(faults)))
    return readings


def as_of_of(text: str | None, default_as_of: datetime, clock: ShopClock) -> datetime:
    """Return the as_of of a body, or the default where it has none.

    Raises
    ------
    ProblemError
        422: it cannot be read.
    """
    faults: list[Fault] = []
    as_of = default_as_of if text is None else _as_of(text, clock, faults)
    if faults:
        raise body_problem(faults)
    return as_of


def history_faults(
    customer_id: str, events: tuple[Event, ...], as_of: datetime, location: str
) -> list[Fault]:
    """Return the fault of events that all lie after the as_of or sum to too large an amount.

    Parameters
    ----------
    customer_id
        The customer, whom the fault names.
    events
        Events without duplicates.
    as_of
        Instant of the scores.
    location
        Place of the events in the body.
    """
    if not any(event.is_known_before(as_of) for event in events):
        instant = instant_text(as_of)
        return [
            Fault(
                location,
                f"no event stands before the as_of {instant}; there is nothing to go by",
                customer_id,
            )
        ]
    for name, amounts in (
        ("amounts", [event.amount for event in events if event.amount]),
        ("discounts", [event.discount for event in events if event.discount]),
    ):
        if sum(map(abs, amounts)) > LARGEST_TOTAL:
            problem = f"the {name} come to more than {LARGEST_TOTAL:.0e}"
            return [Fault(location, problem, customer_id)]
    return []


def without_duplicates(
    events: Sequence[Event], equal_events: EqualEvents = "one"
) -> tuple[Event, ...]:
    """Return the events without those that have the ``event_id`` of an earlier one, or equal it.

    Parameters
    ----------
    events
        Events of one customer.
    equal_events
        Whether events without an ``event_id`` that are equal in every field are one event; those
        of a log whose equal events are two are not.
    """
    distinct = list(dict.fromkeys(events)) if equal_events == "one" else events
    numbers = [event.event_id for event in distinct]
    if not any(numbers):
        return tuple(distinct)
    # of one number the event that was known first, as in a log; it may stand anywhere in the body
    first: dict[str, int] = {}
    for position, (event, number) in enumerate(zip(distinct, numbers, strict=True)):
        if number is not None and (
            number not in first or _known_at(event) < _known_at(distinct[first[number]])
        ):
            first[number] = position
    return tuple(
        event
        for position, (event, number) in enumerate(zip(distinct, numbers, strict=True))
        if number is None or first[number] == position
    )


def _known_at(event: Event) -> datetime:
    return max(event.timestamp, event.recorded_at or event.timestamp)


def _event_type(body: EventBody) -> str:
    return body.event.strip().lower()


def _text(value: str | None) -> str | None:
    return (value.strip() or None) if value is not None else None


def _event(
    body: EventBody, location: str, with_amounts: bool, clock: ShopClock, faults: list[Fault]
) -> Event:
    event_type, amount = _event_type(body), body.amount
    if not event_type:
        faults.append(
            Fault(f"{location}.event", "names no type; leave it out for a purchase", body.event)
        )
    if amount is None:
        if with_amounts and event_type == "purchase":
            faults.append(
                Fault(
                    f"{location}.amount",
                    "a purchase without an amount, while others have one; write 0 if free",
                )
            )
    elif abs(amount) > LARGEST_AMOUNT:
        faults.append(Fault(f"{location}.amount", f"is beyond {LARGEST_AMOUNT:.0e}", repr(amount)))
    elif event_type == "purchase" and amount < 0:
        problem = "a purchase with a negative amount; send money paid back as an event 'refund'"
        faults.append(Fault(f"{location}.amount", problem, repr(amount)))
    elif event_type == "refund":
        amount = abs(amount)
    discount = None if body.discount is None else abs(body.discount)
    if discount is not None and discount > LARGEST_AMOUNT:
        faults.append(
            Fault(f"{location}.discount", f"is beyond {LARGEST_AMOUNT:.0e}", repr(body.discount))
        )
    return Event(
        timestamp=_instant(body.timestamp, f"{location}.timestamp", clock, faults),
        event=event_type,
        amount=amount,
        channel=_text(body.channel),
        recorded_at=None
        if body.recorded_at is None
        else _instant(body.recorded_at, f"{location}.recorded_at", clock, faults),
        event_id=_text(body.event_id),
        category=_text(body.category),
        discount=discount,
    )


def _as_of(text: str, clock: ShopClock, faults: list[Fault]) -> datetime:
    instant = _instant(text, "as_of", clock, faults)
    if faults:
        return instant
    # a date is the beginning of the shop's day, also where clocks skip or repeat midnight
    return clock.instant(clock.shop(datetime.fromisoformat(text.strip().upper())))


def _instant(text: str, location: str, clock: ShopClock, faults: list[Fault]) -> datetime:
    try:
        instant = _iso_instant(text, clock)
    except (ValueError, OverflowError):
        hint = "is not an ISO 8601 date; write it like 1997-06-01 or 1997-06-01T12:00:00Z"
        faults.append(Fault(location, hint, text))
        return datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        faults.append(Fault(location, f"stands outside {FIRST_YEAR} to {LAST_YEAR}", text))
    return instant


@lru_cache(maxsize=4096)
def _iso_instant(text: str, clock: ShopClock) -> datetime:
    """Return the instant of a text; without a zone it is what the clock shows.

    The same midnights stand in a body of days many times.

    Raises
    ------
    ValueError, OverflowError
        The text is not ISO 8601, or no instant in UTC.
    """
    # RFC 3339 allows a lower-case t and z
    return clock.wall(datetime.fromisoformat(text.strip().upper()))

"""From a decoded body to events: the rules of the batch reader
(:mod:`stagecast.features.intake.reading`), held to by a request.

An event means the same in a file and in a body: texts are trimmed, types are lower case, times
without a zone are UTC, a refund and a discount are magnitudes, what is sent twice is one event. A
file's bad row is set aside and counted; a request's is refused, with its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from stagecast.features.clock import to_utc
from stagecast.features.intake.reasons import LARGEST_AMOUNT, NO_CUSTOMER
from stagecast.features.intake.zones import FIRST_YEAR, LAST_YEAR
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.http.bodies import EventBody, ScoreBody, refused
from stagecast.serving.http.problems import Fault

# sums are kept as whole millionths in 64 bits; this is far below where they end
LARGEST_TOTAL = 1e12


@dataclass(frozen=True)
class ScoreRequest:
    """What is asked of the scorer: the instant to stand at, and the customers, each once."""

    as_of: datetime
    customers: list[CustomerEvents]


def read_request(body: ScoreBody, now: datetime) -> ScoreRequest:
    """Return the customers of a body with their events.

    Parameters
    ----------
    body
        as decoded.
    now
        the as_of where the body has none.

    Raises
    ------
    ProblemError
        422, with every fault and where it stands: an instant that cannot be read, a customer who
        stands there twice or has no event before the as_of, an amount that cannot be.
    """
    faults: list[Fault] = []
    as_of = now if body.as_of is None else _instant(body.as_of, "as_of", faults)
    with_amounts = any(
        event.amount is not None and _kind(event) == "purchase"
        for customer in body.customers
        for event in customer.events
    )
    seen: set[str] = set()
    customers = []
    for position, customer in enumerate(body.customers):
        where, customer_id = f"customers[{position}]", customer.customer_id.strip()
        if customer_id.lower() in ("", *NO_CUSTOMER):
            faults.append(Fault(f"{where}.customer_id", "names no customer", customer.customer_id))
        if customer_id in seen:
            faults.append(Fault(f"{where}.customer_id", "stands twice in the request", customer_id))
        seen.add(customer_id)
        before = len(faults)
        events = _once(
            _event(event, f"{where}.events[{number}]", with_amounts, faults)
            for number, event in enumerate(customer.events)
        )
        if len(faults) == before:
            faults += _as_a_whole(customer_id, events, as_of, f"{where}.events")
        customers.append(CustomerEvents(customer_id, events, customer.attributes))
    if faults:
        raise refused(faults)
    return ScoreRequest(as_of, customers)


def _as_a_whole(
    customer_id: str, events: tuple[Event, ...], as_of: datetime, where: str
) -> list[Fault]:
    if not any(event.is_known_before(as_of) for event in events):
        instant = as_of.isoformat().replace("+00:00", "Z")
        return [
            Fault(
                where,
                f"no event stands before the as_of {instant}; there is nothing to go by",
                customer_id,
            )
        ]
    for what, money in (
        ("amounts", (event.amount for event in events)),
        ("discounts", (event.discount for event in events)),
    ):
        if sum(abs(one or 0.0) for one in money) > LARGEST_TOTAL:
            return [Fault(where, f"the {what} come to more than {LARGEST_TOTAL:.0e}", customer_id)]
    return []


def _once(events: Iterable[Event]) -> tuple[Event, ...]:
    """Leave out what is the same in everything, or has the number of an event before it."""
    ids: set[str] = set()
    kept = []
    for event in dict.fromkeys(events):
        if event.event_id is not None:
            if event.event_id in ids:
                continue
            ids.add(event.event_id)
        kept.append(event)
    return tuple(kept)


def _kind(body: EventBody) -> str:
    return body.event.strip().lower()


def _text(value: str | None) -> str | None:
    return (value.strip() or None) if value is not None else None


def _event(body: EventBody, where: str, with_amounts: bool, faults: list[Fault]) -> Event:
    kind, amount = _kind(body), body.amount
    if not kind:
        faults.append(
            Fault(f"{where}.event", "names no type; leave it out for a purchase", body.event)
        )
    if amount is None:
        if with_amounts and kind == "purchase":
            faults.append(
                Fault(
                    f"{where}.amount",
                    "a purchase without an amount, while others have one; write 0 if free",
                )
            )
    elif abs(amount) > LARGEST_AMOUNT:
        faults.append(Fault(f"{where}.amount", f"is beyond {LARGEST_AMOUNT:.0e}", repr(amount)))
    elif kind == "purchase" and amount < 0:
        problem = "a purchase with a negative amount; send money paid back as an event 'refund'"
        faults.append(Fault(f"{where}.amount", problem, repr(amount)))
    elif kind == "refund":
        amount = abs(amount)
    discount = None if body.discount is None else abs(body.discount)
    if discount is not None and discount > LARGEST_AMOUNT:
        faults.append(
            Fault(f"{where}.discount", f"is beyond {LARGEST_AMOUNT:.0e}", repr(body.discount))
        )
    return Event(
        timestamp=_instant(body.timestamp, f"{where}.timestamp", faults),
        event=kind,
        amount=amount,
        channel=_text(body.channel),
        recorded_at=None
        if body.recorded_at is None
        else _instant(body.recorded_at, f"{where}.recorded_at", faults),
        event_id=_text(body.event_id),
        category=_text(body.category),
        discount=discount,
    )


def _instant(text: str, where: str, faults: list[Fault]) -> datetime:
    try:
        instant = to_utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        hint = "is not an ISO 8601 date; write it like 1997-06-01 or 1997-06-01T12:00:00Z"
        faults.append(Fault(where, hint, text))
        return datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        faults.append(Fault(where, f"stands outside {FIRST_YEAR} to {LAST_YEAR}", text))
    return instant

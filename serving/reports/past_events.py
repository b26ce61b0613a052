"""The events of a customer's timeline: what kind each is, and one list with all else that is known.

stored events + entries of the timeline -> rows of the table, the earliest first
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stagecast.features.shop.clock import ShopClock
from stagecast.serving.reports.shop_days import day_on
from stagecast.serving.store.timelines import Past
from stagecast.serving.targeting.plan.logged_contacts import CONTACT_EVENTS

KINDS = ("order", "refund", "contact", "rating", "other")
"""Kinds of events; each has a mark of its own."""
RATINGS = ("rating", "review", "feedback", "survey", "nps", "csat")
"""Types of events whose amount, where they have one, is what the customer gave."""
_KIND_OF = {
    "purchase": "order",
    "refund": "refund",
    **dict.fromkeys(CONTACT_EVENTS, "contact"),
    **dict.fromkeys(RATINGS, "rating"),
}
ROW_KINDS = (
    *("first_event", "order", "last_order", "refund", "contact", "told", "rating", "other"),
    *("stage", "score", "plan", "today", "next_order", "horizon"),
)
"""Kinds of rows, in the order in which those of one day stand."""


def kind_of_event(event: str) -> str:
    """Return the kind of a type of events, one of :data:`KINDS`.

    >>> kind_of_event("purchase"), kind_of_event("sms_sent"), kind_of_event("visit")
    ('order', 'contact', 'other')
    """
    return _KIND_OF.get(event, "other")


def past_events(past: Past | None) -> list[dict[str, Any]] | None:
    """Return the stored events of a customer as the API answers them, the latest day first.

    Returns
    -------
    Objects with ``day`` (of the shop, ISO 8601), ``kind`` (:data:`KINDS`), ``event`` (the type),
    ``count`` and ``amount`` (see :class:`stagecast.serving.store.timelines.DayEvents`); None where
    no events are stored.
    """
    if past is None:
        return None
    return [
        {
            "day": each.day,
            "kind": kind_of_event(each.event),
            "event": each.event,
            "count": each.count,
            "amount": each.amount,
        }
        for each in past.events
    ]


def story_rows(
    entries: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]] | None,
    clock: ShopClock,
) -> list[dict[str, Any]]:
    """Return entries of a timeline and events as rows of one table, the earliest first.

    What the events say already is said once: the last order, contacts that the log told of, and the
    first event if its day is among theirs.

    Parameters
    ----------
    entries
        As :func:`stagecast.serving.reports.customer_story.timeline` returns them.
    events
        As :func:`past_events` returns them.
    clock
        Clock of the shop, whose days are those of the rows.

    Returns
    -------
    Rows with ``day``, ``kind`` (:data:`ROW_KINDS`; ``told`` is a contact that a plan or an upload
    told of), ``what``, ``count`` and ``amount``.
    """
    rows = []
    days = {event["day"] for event in events or ()}
    for entry in entries:
        day = day_on(clock, entry["at"])
        if events and (
            entry["kind"] == "last_order"
            or (entry["kind"] == "contact" and entry["what"] == "log")
            or (entry["kind"] == "first_event" and day in days)
        ):
            continue
        kind = "told" if entry["kind"] == "contact" else entry["kind"]
        rows.append({"day": day, "kind": kind, "what": entry["what"], "count": 1, "amount": None})
    for event in events or ():
        shown = {name: event[name] for name in ("day", "kind", "count", "amount")}
        rows.append({**shown, "what": event["event"]})
    rows.sort(key=lambda row: (row["day"], ROW_KINDS.index(row["kind"])))
    return rows

"""Schemas of a customer's last events, for the description of the API."""

from __future__ import annotations

from typing import Any

from stagecast.serving.http.schema_parts import object_schema
from stagecast.serving.reports.past_events import KINDS


def past_event_schemas() -> dict[str, Any]:
    """Return the fields of ``CustomerAnswer`` that hold events -> their schemas."""
    event: dict[str, Any] = {
        "day": {"type": "string", "format": "date", "description": "day of the shop"},
        "kind": {"type": "string", "enum": list(KINDS)},
        "event": {"type": "string", "description": "type of the event, as in the log"},
        "count": {"type": "integer", "description": "events of this type on the day"},
        "amount": {
            "type": ["number", "null"],
            "description": "the sum in money for an order and a refund (what was paid back, never "
            "negative), for other events the mean of what they have as amount",
        },
    }
    return {
        "past_events": {
            "type": ["array", "null"],
            "description": "The last events before the as_of, the latest day first; null where the "
            "store holds none: a run that is not the newest, or was published from a file",
            "items": object_schema(event, "The events of one type on one day"),
        },
        "past_days_left_out": {
            "type": ["integer", "null"],
            "description": "earlier days with events that are not among past_events",
        },
    }

"""The raw events of a few customers, as a caller hands them over: what the one-row features are
computed from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a customer did.

    Parameters
    ----------
    timestamp
        instant at which it happened, timezone-aware, UTC.
    event
        its type: ``purchase``, ``refund``, ``visit``, ... free text.
    amount
        money, in the shop's own currency; a refund states how much was paid back, not negative.
    channel
        where it happened, free text.
    recorded_at
        instant at which the shop came to know of it, timezone-aware, UTC; None: at once.
    event_id
        the shop's own number of it; events of the same number are one event.
    category
        what was bought or looked at, free text.
    discount
        money taken off the price, in the shop's own currency, not negative.
    """

    timestamp: datetime
    event: str = "purchase"
    amount: float | None = None
    channel: str | None = None
    recorded_at: datetime | None = None
    event_id: str | None = None
    category: str | None = None
    discount: float | None = None

    def seen_from(self, as_of: datetime) -> bool:
        """Tell whether somebody who stands at ``as_of`` can know of the event.

        >>> from datetime import UTC
        >>> Event(datetime(1998, 1, 1, tzinfo=UTC)).seen_from(datetime(1998, 1, 1, tzinfo=UTC))
        False
        """
        return self.timestamp < as_of and (self.recorded_at is None or self.recorded_at < as_of)


@dataclass(frozen=True, slots=True)
class CustomerEvents:
    """One customer with their events, in any order; of ``attributes`` only what was known from
    the start is read.
    """

    customer_id: str
    events: tuple[Event, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

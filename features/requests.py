"""Raw events of a few customers, as a caller passes them in to compute features in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of a customer.

    Parameters
    ----------
    timestamp
        When it happened, timezone-aware, UTC.
    event
        Its type: ``purchase``, ``refund``, ``visit``, ... Free text.
    amount
        Money in the shop's own currency. For a refund, the amount paid back, not negative.
    channel
        Where it happened, free text.
    recorded_at
        When the shop recorded it, timezone-aware, UTC; None: as soon as it happened.
    event_id
        The shop's own id of the event; events with the same id are one event.
    category
        What was bought or viewed, free text.
    discount
        Money taken off the price, in the shop's own currency, not negative.
    """

    timestamp: datetime
    event: str = "purchase"
    amount: float | None = None
    channel: str | None = None
    recorded_at: datetime | None = None
    event_id: str | None = None
    category: str | None = None
    discount: float | None = None

    def is_known_before(self, as_of: datetime) -> bool:
        """Tell whether the event happened and was recorded before ``as_of``.

        Parameters
        ----------
        as_of
            The instant, timezone-aware.

        >>> from datetime import UTC
        >>> as_of = datetime(1998, 1, 1, tzinfo=UTC)
        >>> Event(as_of).is_known_before(as_of)
        False
        """
        return self.timestamp < as_of and (self.recorded_at is None or self.recorded_at < as_of)


@dataclass(frozen=True, slots=True)
class CustomerEvents:
    """One customer with their events and attributes.

    Parameters
    ----------
    customer_id
        Id of the customer.
    events
        In any order.
    attributes
        Name -> value. Only attributes declared as known at the start are read.
    """

    customer_id: str
    events: tuple[Event, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

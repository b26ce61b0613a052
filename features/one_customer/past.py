"""The events of one customer before an as_of, with times, types and amounts as in a log.

The same as :class:`stagecast.features.engines.memory.MemoryEvents`, of one customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from stagecast.features.attributes import MISSING
from stagecast.features.catalog.feature import MILLION, NO_ACTIVITY
from stagecast.features.clock import DAY_MICROSECONDS, EPOCH, microseconds
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.requests import CustomerEvents, Event

_DAY_SECONDS = 86_400
# Larger doubles cannot represent halves.
_WHOLE = 2.0**51
# Sums of money beyond this are no 64-bit integers any more.
_LARGEST_SUM = 2**62


class OwnEvent(NamedTuple):
    """One event: day and instant in microseconds since 1970, and money in millionths.

    ``amount`` is 0 for an event without one, which ``has_amount`` tells.
    """

    day: int
    happened: int
    kind: str
    amount: int
    has_amount: bool
    event: Event


class NetDay(NamedTuple):
    """A purchase day: its spend net of refunds in millionths, and its first purchase."""

    day: int
    spend: int
    first_purchase: int


class TooMuchMoneyError(ArithmeticError):
    """Amounts whose sum is no 64-bit integer; arrays count them as Python's integers."""


class Past:
    """What is known of one customer at an as_of, ordered by day.

    Parameters
    ----------
    customer
        The customer, with times in shop time.
    as_of
        Events that happened or were recorded at or after it are left out, in shop time.

    Raises
    ------
    NotEnoughDataError
        The customer has no event before the as_of.
    TooMuchMoneyError
        See there.
    """

    def __init__(self, customer: CustomerEvents, as_of: datetime) -> None:
        self.customer, self.as_of, self.instant = customer, as_of, microseconds(as_of)
        events = [
            _own(event)
            for event in customer.events
            if event.timestamp < as_of and (event.recorded_at is None or event.recorded_at < as_of)
        ]
        if not events:
            raise NotEnoughDataError(
                f"customer '{customer.customer_id}' has no event before the as_of "
                f"{as_of.isoformat()}"
            )
        events.sort(key=_day_of)
        self.events = events
        self.days = [event.day for event in events]
        self.first_event = min(event.happened for event in events)
        self.last_event = max(event.happened for event in events)
        if sum(abs(event.amount) for event in events) >= _LARGEST_SUM:
            raise TooMuchMoneyError

    @cached_property
    def first_channel(self) -> str:
        """Channel of the first event, blank for an event without one."""
        # a missing channel comes last, as nulls do in the table of events
        channels = ((own, own.event.channel or "") for own in self.events)
        keys = ((own.happened, own.kind, not channel, channel) for own, channel in channels)
        return min(keys)[3] or MISSING

    def of_types(self, types: Sequence[str]) -> list[bool]:
        """Return for each event whether it is of some types."""
        return [event.kind in types for event in self.events]

    @cached_property
    def is_activity(self) -> list[bool]:
        """For each event whether it is neither purchase nor refund nor made by the marketer."""
        return [event.kind not in NO_ACTIVITY for event in self.events]

    @cached_property
    def discounts(self) -> list[int]:
        """Money taken off the price of each purchase, in millionths; 0 for other events."""
        return [
            millionths(own.event.discount)
            if own.kind == "purchase" and own.event.discount is not None
            else 0
            for own in self.events
        ]

    @cached_property
    def net_days(self) -> list[NetDay]:
        """Purchase days net of refunds, in order; a day that was refunded in full has none.

        :func:`stagecast.features.engines.sql.net_day_steps` says how refunds are handled.
        """
        days: list[NetDay] = []
        for event in self.events:
            if event.kind != "purchase":
                continue
            if days and days[-1].day == event.day:
                day, spend, first = days[-1]
                days[-1] = NetDay(day, spend + event.amount, min(first, event.happened))
            else:
                days.append(NetDay(event.day, event.amount, event.happened))
        refunds = [(e.day, e.amount) for e in self.events if e.kind == "refund"]
        return _net(days, refunds) if days and refunds else days

    def instants_of(self, types: Sequence[str] | None) -> list[int]:
        """Return the instants of the events of some types, or of activity, in order."""
        return sorted(
            event.happened
            for event, is_active in zip(self.events, self.is_activity, strict=True)
            if (is_active if types is None else event.kind in types)
        )


def _day_of(event: OwnEvent) -> int:
    return event.day


def _own(event: Event) -> OwnEvent:
    passed: timedelta = event.timestamp - EPOCH
    day, seconds = passed.days, passed.seconds
    happened = (day * _DAY_SECONDS + seconds) * MILLION + passed.microseconds
    amount = event.amount
    return OwnEvent(
        happened // DAY_MICROSECONDS,
        happened,
        event.event,
        0 if amount is None else millionths(amount),
        amount is not None,
        event,
    )


def millionths(amount: float) -> int:
    """Return money in whole millionths, halves rounded away from zero.

    >>> millionths(0.0000005), millionths(-1.25)
    (1, -1250000)
    """
    scaled = amount * MILLION
    if scaled != scaled:
        return 0
    if abs(scaled) < _WHOLE:
        return int(scaled + (0.5 if scaled >= 0 else -0.5))
    return int(scaled)


def _net(days: list[NetDay], refunds: list[tuple[int, int]]) -> list[NetDay]:
    """Return purchase days after refunds, as arrays are: the latest purchases are reversed first.

    A refund between two purchase days has the effect of one on the earlier day; a refund before all
    of them has none.
    """
    refunded = [0] * len(days)
    position = -1
    for day, amount in refunds:
        while position + 1 < len(days) and days[position + 1].day <= day:
            position += 1
        if position >= 0:
            refunded[position] += amount
    balance = list(accumulate(day.spend - back for day, back in zip(days, refunded, strict=True)))
    lowest = list(accumulate(reversed(balance), min))[::-1]
    result = []
    for own, back, left, low in zip(days, refunded, balance, lowest, strict=True):
        net = max(min(own.spend, low - (left - own.spend + back)), 0)
        if net > 0 or own.spend == 0:
            result.append(NetDay(own.day, net, own.first_purchase))
    return result

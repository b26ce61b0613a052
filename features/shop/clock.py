"""The clock of the shop: days of a time zone, as days of 24 hours.

    instants in UTC -> shop time -> days, windows, stages, models -> instants in UTC

Shop time is what the clock on the shop's wall shows, written as if it were UTC, so that each local
day is one day of :data:`stagecast.features.clock.DAY_MICROSECONDS`, and all arithmetic on days
holds in every zone. Of the two hours that happen twice when clocks go back, both are run through
once at half speed; the hour that is skipped when clocks go forward is skipped. Shop time therefore
never goes back: what happened before an as_of stands before it, and nothing else does.

A ``datetime`` in shop time has the time zone :data:`stagecast.features.clock.SHOP`; every other one
is an instant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property

import msgspec
import numpy as np

from stagecast.features.arrays import Integers
from stagecast.features.clock import (
    DAY_MICROSECONDS,
    SHOP,
    from_microseconds,
    microseconds,
    to_utc,
)
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.shop.offsets import find_zone, is_utc, offset_changes


@dataclass(frozen=True)
class Stretches:
    """Stretches of time in which shop time goes on evenly, in order.

    Parameters
    ----------
    utc, shop
        Beginning of each stretch as an instant and in shop time, microseconds since 1970, shape
        (n_stretches,). The first is the beginning of all times.
    halved
        1 where the shop's clock runs at half speed, else 0.
    """

    utc: Integers
    shop: Integers
    halved: Integers


@dataclass(frozen=True)
class ShopClock:
    """Shop time of a zone.

    Parameters
    ----------
    zone
        Name such as ``America/Los_Angeles``, or an offset such as ``+02:00``; with ``UTC`` shop
        time is UTC, and nothing is marked or converted.

    Raises
    ------
    UsageError
        There is no such zone.
    """

    zone: str = "UTC"

    def __post_init__(self) -> None:
        find_zone(self.zone)

    @property
    def is_utc(self) -> bool:
        """Whether shop time is UTC."""
        return is_utc(self.zone)

    @cached_property
    def stretches(self) -> Stretches:
        """The stretches of the zone."""
        return _stretches(self.zone)

    def shop_microseconds(self, instants: Integers) -> Integers:
        """Return instants in shop time, shape as given; microseconds since 1970.

        >>> hour = 3_600_000_000
        >>> ShopClock("+02:00").shop_microseconds(np.array([0, hour])) // hour
        array([2, 3])
        """
        if self.is_utc:
            return instants
        parts = self.stretches
        row = np.searchsorted(parts.utc, instants, side="right") - 1
        return np.asarray(parts.shop[row] + ((instants - parts.utc[row]) >> parts.halved[row]))

    def instant_microseconds(self, shop: Integers) -> Integers:
        """Return the instants of shop times, shape as given; microseconds since 1970.

        A time that is skipped has the instant at which the clocks change.
        """
        if self.is_utc:
            return shop
        parts = self.stretches
        row = np.searchsorted(parts.shop, shop, side="right") - 1
        instant = parts.utc[row] + ((shop - parts.shop[row]) << parts.halved[row])
        ends = np.append(parts.utc[1:], np.iinfo(np.int64).max)
        return np.asarray(np.minimum(instant, ends[row]))

    def shop(self, instant: datetime | date) -> datetime:
        """Return a time in shop time.

        Parameters
        ----------
        instant
            With a time zone: an instant. Without one, or a date: what the shop's clock shows. In
            shop time: returned as it is. The first instant of a day is its midnight, also where the
            clocks skip midnight.

        >>> ShopClock("America/Los_Angeles").shop(date(2024, 1, 1)).isoformat()
        '2024-01-01T00:00:00+00:00'
        """
        if self.is_utc:
            return to_utc(instant)
        if not isinstance(instant, datetime):
            instant = datetime(instant.year, instant.month, instant.day)
        if instant.tzinfo is None or instant.tzinfo is SHOP:
            return instant.replace(tzinfo=SHOP)
        at = microseconds(instant)
        shop = int(self.shop_microseconds(np.array([at]))[0])
        midnight = shop - shop % DAY_MICROSECONDS
        if int(self.instant_microseconds(np.array([midnight]))[0]) == at:
            shop = midnight
        return from_microseconds(shop).replace(tzinfo=SHOP)

    def instant(self, time: datetime) -> datetime:
        """Return the instant of a time, in UTC; a time that is not in shop time is one already.

        >>> la = ShopClock("America/Los_Angeles")
        >>> la.instant(la.shop(date(2024, 1, 1))).isoformat()
        '2024-01-01T08:00:00+00:00'
        """
        if self.is_utc or time.tzinfo is not SHOP:
            return to_utc(time)
        shop = np.array([microseconds(time)])
        return from_microseconds(int(self.instant_microseconds(shop)[0]))

    def wall(self, time: datetime) -> datetime:
        """Return the instant of a time of an event, as the reader of files reads it.

        Without a time zone it is what the shop's clock shows: the first of two times that happen
        twice.
        """
        if time.tzinfo is None:
            time = time.replace(tzinfo=find_zone(self.zone))
        return to_utc(time)

    def events(self, customers: Sequence[CustomerEvents]) -> Sequence[CustomerEvents]:
        """Return customers with the times of their events in shop time."""
        if self.is_utc:
            return customers
        instants = [
            microseconds(time)
            for customer in customers
            for event in customer.events
            for time in (event.timestamp, event.recorded_at)
            if time is not None
        ]
        shop = self.shop_microseconds(np.array(instants, dtype=np.int64))
        times = (from_microseconds(time).replace(tzinfo=SHOP) for time in shop.tolist())

        def in_shop_time(event: Event) -> Event:
            happened = next(times)
            recorded = None if event.recorded_at is None else next(times)
            return msgspec.structs.replace(event, timestamp=happened, recorded_at=recorded)

        return [
            dataclasses.replace(customer, events=tuple(map(in_shop_time, customer.events)))
            for customer in customers
        ]

    def sql(self, micros: str, first: int, last: int, half: str) -> str:
        """Return SQL of instants in shop time, microseconds since 1970.

        Parameters
        ----------
        micros
            SQL of the instants, microseconds since 1970, all between ``first`` and ``last``.
        first, last
            The earliest and the latest instant, microseconds since 1970.
        half
            SQL that halves a whole number of 0 or more, with ``{}`` for the number.
        """
        parts = self.stretches
        low, high = (int(np.searchsorted(parts.utc, at, side="right")) - 1 for at in (first, last))

        def choose(start: int, end: int) -> str:
            if start == end:
                utc, shop = int(parts.utc[start]), int(parts.shop[start])
                if parts.halved[start]:
                    return f"{shop} + {half.format(f'({micros} - ({utc}))')}"
                return f"{micros} + ({shop - utc})"
            middle = (start + end + 1) // 2
            before, after = choose(start, middle - 1), choose(middle, end)
            return f"case when {micros} < {int(parts.utc[middle])} then {before} else {after} end"

        return f"({choose(low, high)})"


UTC_CLOCK = ShopClock()
"""The clock of a shop whose days are those of UTC."""


@cache
def clock_named(zone: str) -> ShopClock:
    """Return the clock of a zone, made once."""
    return ShopClock(zone)


@cache
def _stretches(zone: str) -> Stretches:
    offset, changes = offset_changes(zone)
    before = _whole(offset)
    least = -(2**62)
    rows = [(least, least + before, 0)]
    for instant, changed in changes:
        at, after = microseconds(instant), _whole(changed)
        back = before - after
        if back > 0:
            rows += [(at - back, at + after, 1), (at + back, at + before, 0)]
        elif back < 0:
            rows.append((at, at + after, 0))
        before = after
    return Stretches(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def _whole(offset: timedelta) -> int:
    return offset // timedelta(microseconds=1)

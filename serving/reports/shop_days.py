"""Days of a shop as pages hold them, ISO 8601."""

from __future__ import annotations

from datetime import date, datetime

from stagecast.features.clock import parse_instant, to_utc
from stagecast.features.shop.clock import ShopClock
from stagecast.features.shop.money import NOTHING

DAYS_TO_ORDER = 366
"""An order that is expected later than that, a year with a leap day, is none that anybody plans
with; the next payment of a yearly member is one."""


def day(value: str | date | None) -> str:
    """Return the day of a date, or of a time in shop time; see :func:`day_on` for instants.

    >>> day("1998-01-01T12:00:00"), day(None)
    ('1998-01-01', '–')
    """
    if value is None:
        return NOTHING
    if isinstance(value, date):  # a datetime, too
        return value.isoformat()[:10]
    return value[:10]


def day_on(clock: ShopClock, instant: str | datetime | None) -> str:
    """Return the day of an instant on the clock of a shop.

    Parameters
    ----------
    clock
        The clock.
    instant
        The instant; ISO 8601 where it is a text, and UTC where it has no zone. A day without a time
        is a day of the shop already.

    >>> day_on(ShopClock("Asia/Tehran"), "2024-01-01T20:30:00Z"), day_on(ShopClock(), None)
    ('2024-01-02', '–')
    >>> day_on(ShopClock("America/Los_Angeles"), "2024-01-01")
    '2024-01-01'
    """
    if instant is None:
        return NOTHING
    if isinstance(instant, str) and len(instant) == len("2024-01-01"):
        return instant
    if isinstance(instant, str):
        instant = parse_instant(instant)
    return day(clock.shop(to_utc(instant)))


def order_day(value: str | date | None, as_of: str) -> str | None:
    """Return the day of an order that is expected within a year; None where none is.

    Parameters
    ----------
    value
        The day.
    as_of
        Day of the shop at which we stand, ISO 8601.

    >>> order_day("1998-02-01", "1998-01-01"), order_day("2001-02-01", "1998-01-01")
    ('1998-02-01', None)
    >>> order_day("2025-01-01", "2024-01-01")  # of a yearly member, in a leap year
    '2025-01-01'
    """
    if value is None:
        return None
    expected = day(value)
    span = date.fromisoformat(expected) - date.fromisoformat(as_of)
    return expected if span.days <= DAYS_TO_ORDER else None

"""Time zones by name, and the instants at which their offset from UTC changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from stagecast.features.errors import UsageError, did_you_mean

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Times outside these years are refused as absurd."""

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


@cache
def find_zone(name: str) -> tzinfo:
    """Return the zone of a name such as ``Europe/London``, or of an offset such as ``+02:00``.

    Raises
    ------
    UsageError
        There is no such zone.
    """
    if name.upper() in ("UTC", "Z"):
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is not None and int(offset[2]) < 24 and int(offset[3]) < 60:
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(span if offset[1] == "+" else -span)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"--zone {name!r} is not a time zone; write a name like Europe/London or an "
            "offset like +02:00."
            f"{did_you_mean(name, available_timezones())}"
        ) from None


def is_utc(name: str) -> bool:
    """Return whether the name is one of UTC.

    Raises
    ------
    UsageError
        There is no such zone.
    """
    return find_zone(name) is UTC


@cache
def offset_changes(name: str) -> tuple[timedelta, tuple[tuple[datetime, timedelta], ...]]:
    """Return the first offset of a zone, and each instant of a change with the offset after it.

    Raises
    ------
    UsageError
        There is no such zone.
    """
    zone = find_zone(name)
    start = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - timedelta(days=2)
    return _offset(zone, start), tuple(_offset_changes(zone, start))


def _offset(zone: tzinfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _offset_changes(zone: tzinfo, start: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Yield each instant at which the offset changes, to the second, with the new offset.

    The offset is compared every twelve hours; no zone has changed twice within twelve hours.
    """
    if isinstance(zone, timezone):
        return  # one offset, of which none follows
    step = timedelta(hours=12)
    # clocks of UTC that bear the zone, as fromutc takes them: a third of the time of astimezone
    from_utc, clock = zone.fromutc, start.replace(tzinfo=zone)
    end = datetime(LAST_YEAR + 1, 1, 3, tzinfo=zone)
    offset = _offset(zone, start)
    while clock < end:
        clock += step
        new_offset = from_utc(clock).utcoffset() or timedelta(0)
        if new_offset != offset:
            high = clock.replace(tzinfo=UTC)
            low = high - step
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            yield high, new_offset
        offset = new_offset

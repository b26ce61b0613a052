"""Conversion of local times to UTC by periods of constant offset.

When clocks go forward, local times are skipped (a gap); when they go back, some happen twice (an
overlap). Both are periods of their own, and both are converted with the offset before the change,
as Python's ``fold=0`` does (PEP 495).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from stagecast.features.errors import UsageError, did_you_mean

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Times outside these years are refused as absurd."""

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


@dataclass(frozen=True)
class OffsetPeriod:
    """A period of local time in which the offset from UTC is constant.

    Parameters
    ----------
    begins
        Its first local time; it ends where the next period begins.
    offset
        Local time minus UTC.
    kind
        ``regular``, ``gap`` or ``overlap``.
    """

    begins: datetime
    offset: timedelta
    kind: str


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
def offset_periods(name: str) -> tuple[OffsetPeriod, ...]:
    """Return the offset periods of a zone from :data:`FIRST_YEAR` to :data:`LAST_YEAR`, in order.

    Raises
    ------
    UsageError
        There is no such zone.

    >>> london = [p for p in offset_periods("Europe/London") if p.begins.year == 2025]
    >>> [(p.begins.isoformat(), p.kind) for p in london]  # doctest: +NORMALIZE_WHITESPACE
    [('2025-03-30T01:00:00', 'gap'), ('2025-03-30T02:00:00', 'regular'),
     ('2025-10-26T01:00:00', 'overlap'), ('2025-10-26T02:00:00', 'regular')]
    """
    zone = find_zone(name)
    start = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - timedelta(days=2)
    offset = _offset(zone, start)
    periods = [OffsetPeriod(datetime.min, offset, "regular")]
    for instant, new_offset in _offset_changes(zone, start):
        utc = instant.replace(tzinfo=None)
        local_before, local_after = utc + offset, utc + new_offset
        if local_after != local_before:
            kind = "gap" if local_after > local_before else "overlap"
            periods.append(OffsetPeriod(min(local_before, local_after), offset, kind))
        periods.append(OffsetPeriod(max(local_before, local_after), new_offset, "regular"))
        offset = new_offset
    return tuple(periods)


def _offset(zone: tzinfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _offset_changes(zone: tzinfo, start: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Yield each instant at which the offset changes, to the second, with the new offset.

    The offset is compared every twelve hours; no zone has changed twice within twelve hours.
    """
    step = timedelta(hours=12)
    end = datetime(LAST_YEAR + 1, 1, 3, tzinfo=UTC)
    offset = _offset(zone, start)
    while start < end:
        following = start + step
        new_offset = _offset(zone, following)
        if new_offset != offset:
            low, high = start, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            yield high, new_offset
        start, offset = following, new_offset

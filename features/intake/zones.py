"""Local times of a named zone as UTC: a table of the spans in which one offset holds, gaps and
overlaps by name.

When clocks go forward, local times are skipped (a gap); when they go back, some happen twice (an
overlap). Both are read with the offset before the change, as Python's ``fold=0`` does (PEP 495),
and say what they are.
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
class Piece:
    """From the local time ``begins`` on, UTC is local time minus ``offset``; ``kind``: regular,
    gap or overlap.
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
        It is not known.
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
    """Return whether the zone is UTC itself."""
    return find_zone(name) is UTC


@cache
def pieces(name: str) -> tuple[Piece, ...]:
    """Return the pieces of local time from :data:`FIRST_YEAR` to :data:`LAST_YEAR`, in order.

    >>> [(p.begins.isoformat(), p.kind) for p in pieces("Europe/London") if p.begins.year == 2025]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('2025-03-30T01:00:00', 'gap'), ('2025-03-30T02:00:00', 'regular'),
     ('2025-10-26T01:00:00', 'overlap'), ('2025-10-26T02:00:00', 'regular')]
    """
    zone = find_zone(name)
    start = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - timedelta(days=2)
    offset = _offset(zone, start)
    found = [Piece(datetime.min, offset, "regular")]
    for instant, later in _changes(zone, start):
        wall = instant.replace(tzinfo=None)
        before, after = wall + offset, wall + later
        if after != before:
            kind = "gap" if after > before else "overlap"
            found.append(Piece(min(before, after), offset, kind))
        found.append(Piece(max(before, after), later, "regular"))
        offset = later
    return tuple(found)


def _offset(zone: tzinfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _changes(zone: tzinfo, start: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Yield each instant at which the offset changes, to the second, with the new offset.

    Zones are looked at twice a day; no zone has changed twice within twelve hours.
    """
    step = timedelta(hours=12)
    end = datetime(LAST_YEAR + 1, 1, 3, tzinfo=UTC)
    offset = _offset(zone, start)
    while start < end:
        following = start + step
        later = _offset(zone, following)
        if later != offset:
            low, high = start, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            yield high, later
        start, offset = following, later

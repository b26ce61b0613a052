"""Conversion of local times to UTC by periods of constant offset.

When clocks go forward, local times are skipped (a gap); when they go back, some happen twice (an
overlap). Both are periods of their own, and both are converted with the offset before the change,
as Python's ``fold=0`` does (PEP 495).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from stagecast.features.shop.offsets import (
    FIRST_YEAR,
    LAST_YEAR,
    find_zone,
    is_utc,
    offset_changes,
)

__all__ = ["FIRST_YEAR", "LAST_YEAR", "OffsetPeriod", "find_zone", "is_utc", "offset_periods"]


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
    offset, changes = offset_changes(name)
    periods = [OffsetPeriod(datetime.min, offset, "regular")]
    for instant, new_offset in changes:
        utc = instant.replace(tzinfo=None)
        local_before, local_after = utc + offset, utc + new_offset
        if local_after != local_before:
            kind = "gap" if local_after > local_before else "overlap"
            periods.append(OffsetPeriod(min(local_before, local_after), offset, kind))
        periods.append(OffsetPeriod(max(local_before, local_after), new_offset, "regular"))
        offset = new_offset
    return tuple(periods)

"""Sentences about events that lie where no event can: in 1970, or far from all others."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.features.clock import YEAR_DAYS, day_number, from_day, iso, parse_instant
from stagecast.features.describe.quality.daily import Calendar, FarDay
from stagecast.features.describe.quality.findings import event_count

UNIT = 1_000
"""Ratio of the units in which times since 1970 are written: s, ms and us."""
_PLAUSIBLE_DAYS = (7_305, 47_482)
"""1990-01-01 to 2100-01-01, in days since 1970."""


def misdated(calendar: Calendar, far_days: Sequence[FarDay]) -> list[str]:
    """Return a sentence each for a log that lies in 1970, and for the days far from all others.

    Parameters
    ----------
    calendar
        Events of each day.
    far_days
        Days far from the calendar.
    """
    sentences = []
    first, last = calendar.first, calendar.first + len(calendar) - 1
    if first >= -1 and last < YEAR_DAYS:
        sentences.append(
            f"all events lie in 1970 ({calendar.date(0)} to {calendar.date(-1)}), where nobody "
            f"kept such a log: {_other_unit(first, last, *_PLAUSIBLE_DAYS)}"
        )
    for side, are_before in (("before", True), ("after", False)):
        days = [day for day in far_days if (_day(day) < first) == are_before]
        if days:
            sentences.append(_far_sentence(calendar, days, side))
    return sentences


def _far_sentence(calendar: Calendar, days: Sequence[FarDay], side: str) -> str:
    events = sum(day.events for day in days)
    share = events / (events + calendar.events.sum())
    numbers = [_day(day) for day in days]
    low, high = min(numbers), max(numbers)
    where = iso(from_day(low)) if low == high else f"{iso(from_day(low))} to {iso(from_day(high))}"
    lie = "lies" if events == 1 else "lie"
    if (
        low >= 0
        and UNIT * (high + 1) > calendar.first
        and UNIT * low < calendar.first + len(calendar)
    ):
        cause = (
            "times in seconds that are read as milliseconds lie there: an epoch in another unit in "
            "part of the rows; mend them, or read them apart with --where"
        )
    elif all(day.placeholder for day in days):
        cause = "a date that systems write where there is none; leave them out with --where"
    else:
        cause = "wrong clocks or mistyped years? Mend them, or leave them out with --where"
    effect = (
        "ages and histories begin with them"
        if side == "before"
        else "the default as_of, and with it every recency, follows them"
    )
    return (
        f"{event_count(events)} ({share:.1%}) {lie} on {where}, far {side} all others "
        f"({calendar.date(0)} to {calendar.date(-1)}), and {effect}: {cause}"
    )


def _other_unit(first: int, last: int, earliest: int, latest: int) -> str:
    """Return which unit would put days from 1970 between two others, in days since 1970."""
    units = {
        1: "seconds that are read as milliseconds lie there; is it --time-format unix? (Or "
        "unix-ms, if milliseconds are read as microseconds)",
        2: "seconds that are read as microseconds lie there; is it --time-format unix?",
    }
    for power, cause in units.items():
        scale = UNIT**power
        if scale * (last + 1) > earliest and scale * max(first, 0) < latest:
            return f"times in {cause}"
    return "are these times since 1970 at all?"


def _day(far_day: FarDay) -> int:
    return int(day_number(parse_instant(far_day.day)))

"""Day and month swapped in part of the rows, as a workbook of another country leaves them.

Of a date whose day is above 12 the swap gives no date, so only days 1 to 12 move, each to the day
that is its own month, in the month that is its own day: 2024-01-05 becomes 2024-05-01. That leaves
two traces: days that are empty while their mirror images hold too much, and, where the images lie
beyond the true ends of the log, months without any event after their twelfth day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.describe.quality.daily import WEEK, Calendar, surrounding_quantiles
from stagecast.features.describe.quality.findings import event_count
from stagecast.features.describe.quality.gaps import WEEKS_AROUND

MONTHS = 12
# Empty days of a month, and events that they lack, from which it is compared with its mirror image;
# the share of the usual events up to which a day counts as empty, and the share of what is missing
# that has to stand there, and of what stands there too much that has to be missing.
FEWEST_EMPTY, FEWEST_LACKING, EMPTY_SHARE, MATCHED_SHARE = 4, 20, 0.2, 0.5
# Months at an end without an event after the 12th, their days with events, and different days of
# the month among these.
FEWEST_MONTHS, FEWEST_DAYS, FEWEST_DAYS_OF_MONTH = 2, 8, 3
# Share of events after the 12th in the rest of the log, and of mirror images that lie within it.
LATE_SHARE, WITHIN_SHARE = 0.3, 0.9
_WEEKS = [WEEK * k for k in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if k]


@dataclass(frozen=True)
class _Missing:
    """Days without their usual events, whose mirror images have too many."""

    positions: NDArray[np.int64]
    images: NDArray[np.int64]
    events: float


def swapped(calendar: Calendar) -> list[str]:
    """Return the sentence about dates with day and month swapped; empty where nothing says so.

    Parameters
    ----------
    calendar
        Events of each day.
    """
    if calendar.by_period:
        return []
    images = _mirror_images(calendar)
    missing = _missing(calendar, images)
    ends = [_bare_end(calendar, images, at_end=at_end) for at_end in (False, True)]
    traces = [trace for trace in (_missing_trace(calendar, missing), *ends) if trace]
    if not traces:
        return []
    return [
        f"day and month look swapped in part of the rows: {'; '.join(traces)}. No row is refused "
        "for it, and the default as_of follows the last of these dates: mend the export, or read "
        "its parts apart with the --time-format of each"
    ]


def _parts(calendar: Calendar) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return year, month and day of the month of each day."""
    days = (calendar.first + np.arange(len(calendar))).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    years = days.astype("datetime64[Y]")
    return (
        years.astype(np.int64) + 1970,
        (months - years).astype(np.int64) + 1,
        (days - months).astype(np.int64) + 1,
    )


def _mirror_images(calendar: Calendar) -> NDArray[np.int64]:
    """Return the position of each day's mirror image; -1 where it has none or it is the day itself.

    A position may lie outside the calendar, as the images of a true date may.
    """
    year, month, day = _parts(calendar)
    has_image = (day <= MONTHS) & (day != month)
    images = np.full(len(calendar), np.iinfo(np.int64).min)
    months = ((year - 1970) * MONTHS + np.minimum(day, MONTHS) - 1).astype("datetime64[M]")
    mirrored = months.astype("datetime64[D]").astype(np.int64) + month - 1 - calendar.first
    images[has_image] = mirrored[has_image]
    return images


def _usual(calendar: Calendar) -> Array:
    """Return the usual events of each day: the median of the same weekdays around it."""
    (usual,), _ = surrounding_quantiles(calendar.events, _WEEKS, [0.5])
    return np.asarray(np.nan_to_num(usual))


def _missing(calendar: Calendar, images: NDArray[np.int64]) -> _Missing | None:
    """Return the days of the months whose empty days stand on their mirror images."""
    usual, events = _usual(calendar), calendar.events
    year, month, day = _parts(calendar)
    inside = (images >= 0) & (images < len(calendar))
    positions: list[int] = []
    total = 0.0
    for a_month in np.unique(year * MONTHS + month):
        days = np.flatnonzero((year * MONTHS + month == a_month) & inside & (day <= MONTHS))
        is_empty = (usual[days] >= 1) & (events[days] <= EMPTY_SHARE * usual[days])
        lacking = np.maximum(usual[days] - events[days], 0.0)
        if is_empty.sum() < FEWEST_EMPTY or lacking[is_empty].sum() < FEWEST_LACKING:
            continue
        too_many = np.maximum(events[images[days]] - usual[images[days]], 0.0)
        matched = np.minimum(lacking, too_many).sum()
        if matched >= MATCHED_SHARE * max(lacking.sum(), too_many.sum()):
            positions += days[is_empty].tolist()
            total += float(lacking[is_empty].sum())
    if not positions:
        return None
    chosen = np.array(positions)
    return _Missing(chosen, images[chosen], total)


def _missing_trace(calendar: Calendar, missing: _Missing | None) -> str | None:
    if missing is None:
        return None
    first, last = (
        calendar.date(int(missing.positions[0])),
        calendar.date(int(missing.positions[-1])),
    )
    most = int(np.argmax(calendar.events[missing.images]))
    return (
        f"{len(missing.positions)} days from {first} to {last} lack about "
        f"{event_count(missing.events)}, which stand too much on the same numbers the other way "
        f"round, such as {calendar.date(int(missing.images[most]))} for "
        f"{calendar.date(int(missing.positions[most]))}"
    )


def _bare_end(calendar: Calendar, images: NDArray[np.int64], *, at_end: bool) -> str | None:
    """Return what speaks for a swap where months at an end have no event after the 12th."""
    year, month, day = _parts(calendar)
    open_days = np.flatnonzero(calendar.events)
    late = open_days[day[open_days] > MONTHS]
    if not len(late):
        return None
    if at_end:
        edge = int(late[-1])
        end = open_days[open_days > edge]
    else:
        edge = int(np.flatnonzero((year == year[late[0]]) & (month == month[late[0]]))[0])
        end = open_days[open_days < edge]
    months = np.unique(year[end] * MONTHS + month[end])
    if (
        len(months) < FEWEST_MONTHS
        or len(end) < FEWEST_DAYS
        or len(np.unique(day[end])) < FEWEST_DAYS_OF_MONTH
    ):
        return None
    rest = np.setdiff1d(open_days, end)
    events = calendar.events
    has_late_days = events[rest][day[rest] > MONTHS].sum() >= LATE_SHARE * events[rest].sum()
    within = np.isin(images[end], np.arange(rest[0], rest[-1] + 1))
    if not has_late_days or events[end][within].sum() < WITHIN_SHARE * events[end].sum():
        return None
    side = "after" if at_end else "before"
    return (
        f"{side} {calendar.date(edge)} all {event_count(events[end].sum())} of {len(months)} "
        f"months fall on days 1 to {int(day[end].max())}, while {event_count(events[rest].sum())} "
        "of the other months fall on all days"
    )

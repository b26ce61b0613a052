"""The two windows that are compared, and what the log must hold for them.

    ... look-back |--- before ---| date |--- after ---| ... as_of

Both are equally long and a whole number of weeks, so that each holds every weekday as often. They
touch at the date: the earlier one sees nothing at or after it, the later one nothing at or after
the as_of.
"""

from __future__ import annotations

from dataclasses import dataclass

from stagecast.features.clock import DAY_MICROSECONDS, from_microseconds, iso
from stagecast.features.errors import NotEnoughDataError, UsageError

WEEK_DAYS = 7
SHORTEST_DAYS = 28
LONGEST_DAYS = 365
YEAR_DAYS = 52 * WEEK_DAYS
"""A year back to the same weekday."""


@dataclass(frozen=True)
class Window:
    """Whole days, as day numbers: ``start`` is the first, ``end`` the one after the last."""

    start: int
    end: int

    @property
    def days(self) -> int:
        return self.end - self.start

    def earlier(self, days: int) -> Window:
        """Return the window so many days earlier."""
        return Window(self.start - days, self.end - days)


@dataclass(frozen=True)
class Windows:
    """What is compared: before and after a date and, where the log reaches back, the same a year
    earlier.

    ``look_back_days`` is how long before its window's beginning a customer may have bought last and
    still be counted among the window's customers; the same for every window.
    """

    before: Window
    after: Window
    year_before: tuple[Window, Window] | None
    look_back_days: int


def choose_windows(date: int, first_event: int, as_of: int) -> Windows:
    """Return the longest windows that the log allows around a date, at most a year each.

    Parameters
    ----------
    date, first_event, as_of
        Instants in microseconds since 1970, UTC: what is looked at, the log's first event, the end
        of what is known. The first event's whole day counts as known.

    Raises
    ------
    UsageError
        The date is no midnight UTC, or stands outside the log.
    NotEnoughDataError
        Fewer than 28 days are known on either side; the message says which dates would do.

    >>> day = DAY_MICROSECONDS
    >>> found = choose_windows(100 * day, 30 * day, 165 * day)
    >>> found.before, found.after, found.look_back_days
    (Window(start=37, end=100), Window(start=100, end=163), 7)
    """
    written = iso(from_microseconds(date))
    if date % DAY_MICROSECONDS:
        raise UsageError(f"the date {written} is no midnight UTC; give a day, like {written[:10]}")
    opening, middle, ending = (
        instant // DAY_MICROSECONDS for instant in (first_event, date, as_of)
    )
    if not opening < middle < ending:
        raise UsageError(
            f"the date {written} is not inside the log, which reaches from "
            f"{_day(opening)} to {_day(ending)};"
            f" {_usable(opening, ending)}"
        )
    known_before, known_after = middle - opening, ending - middle
    if min(known_before, known_after) < SHORTEST_DAYS:
        raise NotEnoughDataError(
            f"the log knows {known_before} days before {written} and {known_after} days "
            "from it on; a comparison needs"
            f" {SHORTEST_DAYS} on either side; {_usable(opening, ending)}"
        )
    length = min(known_before, known_after, LONGEST_DAYS) // WEEK_DAYS * WEEK_DAYS
    before, after = Window(middle - length, middle), Window(middle, middle + length)
    year_before = None
    if before.start - YEAR_DAYS >= opening:
        year_before = before.earlier(YEAR_DAYS), after.earlier(YEAR_DAYS)
    earliest = before.start if year_before is None else year_before[0].start
    look_back = min(length, earliest - opening) // WEEK_DAYS * WEEK_DAYS
    return Windows(before, after, year_before, look_back)


def _day(number: int) -> str:
    return iso(from_microseconds(number * DAY_MICROSECONDS))


def _usable(opening: int, ending: int) -> str:
    first, last = opening + SHORTEST_DAYS, ending - SHORTEST_DAYS
    if first > last:
        return (
            f"no date would do: the log is {ending - opening} days long, and "
            f"{2 * SHORTEST_DAYS} are needed"
        )
    return f"choose a date from {_day(first)} to {_day(last)}"

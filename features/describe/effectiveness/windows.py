"""The two windows that are compared, and the length of log that they need.

    ... look-back |--- before ---| date |--- after ---| ... as_of

Both have the same length, a whole number of weeks, so that each holds every weekday equally often.
They touch at the date: the earlier one holds nothing at or after it, the later one nothing at or
after the as_of.
"""

from __future__ import annotations

from dataclasses import dataclass

from stagecast.features.clock import DAY_MICROSECONDS, from_microseconds, iso
from stagecast.features.errors import NotEnoughDataError, UsageError

WEEK_DAYS = 7
SHORTEST_DAYS = 28
LONGEST_DAYS = 365
YEAR_OF_WEEKS_DAYS = 52 * WEEK_DAYS
"""Days between the same weekday in consecutive years."""


@dataclass(frozen=True)
class Window:
    """A span of whole days.

    Parameters
    ----------
    start, end
        Day numbers (days since 1970, UTC): the first day, and the one after the last.
    """

    start: int
    end: int

    @property
    def days(self) -> int:
        """Length in days."""
        return self.end - self.start

    def earlier(self, days: int) -> Window:
        """Return the window moved back by a number of days."""
        return Window(self.start - days, self.end - days)


@dataclass(frozen=True)
class Windows:
    """The windows that are compared.

    Parameters
    ----------
    before, after
        Before and after the date.
    year_before
        The same windows a year earlier; None if the log does not reach back that far.
    look_back_days
        Days before the start of a window in which a purchase makes a customer one of the window's;
        the same for every window.
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
        Instants in microseconds since 1970, UTC: the date between the windows, the log's first
        event, and the end of what is known. The whole day of the first event counts as known.

    Raises
    ------
    UsageError
        The date is no midnight UTC, or is outside the log.
    NotEnoughDataError
        Fewer than 28 days are known on either side; the message says which dates are possible.

    >>> day = DAY_MICROSECONDS
    >>> windows = choose_windows(100 * day, 30 * day, 165 * day)
    >>> windows.before, windows.after, windows.look_back_days
    (Window(start=37, end=100), Window(start=100, end=163), 7)
    """
    date_text = iso(from_microseconds(date))
    if date % DAY_MICROSECONDS:
        raise UsageError(
            f"the date {date_text} is no midnight UTC; give a day, like {date_text[:10]}"
        )
    first_day, date_day, last_day = (
        instant // DAY_MICROSECONDS for instant in (first_event, date, as_of)
    )
    if not first_day < date_day < last_day:
        raise UsageError(
            f"the date {date_text} is not inside the log, which reaches from "
            f"{_day(first_day)} to {_day(last_day)};"
            f" {_usable(first_day, last_day)}"
        )
    known_before, known_after = date_day - first_day, last_day - date_day
    if min(known_before, known_after) < SHORTEST_DAYS:
        raise NotEnoughDataError(
            f"the log knows {known_before} days before {date_text} and {known_after} days "
            "from it on; a comparison needs"
            f" {SHORTEST_DAYS} on either side; {_usable(first_day, last_day)}"
        )
    length = min(known_before, known_after, LONGEST_DAYS) // WEEK_DAYS * WEEK_DAYS
    before, after = Window(date_day - length, date_day), Window(date_day, date_day + length)
    year_before = None
    if before.start - YEAR_OF_WEEKS_DAYS >= first_day:
        year_before = before.earlier(YEAR_OF_WEEKS_DAYS), after.earlier(YEAR_OF_WEEKS_DAYS)
    earliest = before.start if year_before is None else year_before[0].start
    look_back = min(length, earliest - first_day) // WEEK_DAYS * WEEK_DAYS
    return Windows(before, after, year_before, look_back)


def _day(number: int) -> str:
    """Return the ISO date of a day number."""
    return iso(from_microseconds(number * DAY_MICROSECONDS))


def _usable(first_day: int, last_day: int) -> str:
    """Return the dates that can be compared, for an error message."""
    earliest, latest = first_day + SHORTEST_DAYS, last_day - SHORTEST_DAYS
    if earliest > latest:
        return (
            f"no date would do: the log is {last_day - first_day} days long, and "
            f"{2 * SHORTEST_DAYS} are needed"
        )
    return f"choose a date from {_day(earliest)} to {_day(latest)}"

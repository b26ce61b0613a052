"""Calendar periods in UTC: weeks, months or quarters from the first event to the as_of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError, did_you_mean

Ints = NDArray[np.int64]

UNITS = ("week", "month", "quarter")

# Logs up to half a year are shown by week, up to three years by month: about forty points at most
# on a chart.
LONGEST_BY_WEEK_DAYS = 183
LONGEST_BY_MONTH_DAYS = 3 * 366
_WEEK = 7 * DAY_MICROSECONDS
# 1970 began on a Thursday; its week on Monday, three days before
_FIRST_MONDAY = -3 * DAY_MICROSECONDS


@dataclass(frozen=True)
class Periods:
    """Consecutive periods ``[start, end)``; each ends where the next one starts.

    Parameters
    ----------
    unit
        ``week``, ``month`` or ``quarter``.
    as_of
        End of the last period, in microseconds since 1970, UTC.
    start, end
        Microseconds since 1970, UTC, shape (n_periods,).
    complete
        Whether the calendar period was over at the as_of, shape (n_periods,).
    """

    unit: str
    as_of: int
    start: Ints
    end: Ints
    complete: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start)

    def positions(self, instants: Ints) -> Ints:
        """Return the position of the period that holds each instant.

        It is -1 before the first period, and the number of periods from the as_of on.
        """
        position = np.searchsorted(self.start, instants, side="right") - 1
        return np.where(instants < self.as_of, position, len(self))


def periods(first: int, as_of: int, unit: str) -> Periods:
    """Return the periods from the one that holds ``first`` to the one that ``as_of`` cuts.

    Parameters
    ----------
    first, as_of
        Microseconds since 1970, UTC.
    unit
        ``week`` (ISO: from Monday 00:00 UTC), ``month`` or ``quarter``.

    Returns
    -------
    Periods
        Empty if ``first`` is not before ``as_of``. A period that ends exactly at the as_of is
        complete.

    Raises
    ------
    UsageError
        The unit is unknown.

    >>> from stagecast.features.clock import from_microseconds, iso
    >>> months = periods(0, 45 * DAY_MICROSECONDS, "month")
    >>> ends = [iso(from_microseconds(int(t))) for t in (*months.start, months.as_of)]
    >>> ends, months.complete.tolist()
    (['1970-01-01', '1970-02-01', '1970-02-15'], [True, False])
    """
    if unit not in UNITS:
        raise UsageError(
            f"unit '{unit}' is none of {', '.join(UNITS)}.{did_you_mean(str(unit), UNITS)}"
        )
    if first >= as_of:
        empty = np.zeros(0, dtype=np.int64)
        return Periods(unit, as_of, empty, empty, np.zeros(0, dtype=bool))
    first_unit, last_unit = _unit_number(np.array([first, as_of - 1], dtype=np.int64), unit)
    bounds = _unit_start(np.arange(first_unit, last_unit + 2, dtype=np.int64), unit)
    return Periods(unit, as_of, bounds[:-1], np.minimum(bounds[1:], as_of), bounds[1:] <= as_of)


def default_unit(first: int, as_of: int) -> str:
    """Return the unit for a log from ``first`` to ``as_of`` (microseconds since 1970, UTC).

    >>> [default_unit(0, days * DAY_MICROSECONDS) for days in (90, 545, 2000)]
    ['week', 'month', 'quarter']
    """
    length = as_of - first
    if length <= LONGEST_BY_WEEK_DAYS * DAY_MICROSECONDS:
        return "week"
    return "month" if length <= LONGEST_BY_MONTH_DAYS * DAY_MICROSECONDS else "quarter"


def _unit_number(instants: Ints, unit: str) -> Ints:
    """Return the number of whole units between 1970 and each instant, rounded down."""
    if unit == "week":
        return (instants - _FIRST_MONDAY) // _WEEK
    months = instants.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return months if unit == "month" else months // 3


def _unit_start(number: Ints, unit: str) -> Ints:
    """Return the instant at which the unit with each number begins."""
    if unit == "week":
        return number * _WEEK + _FIRST_MONDAY
    months = number if unit == "month" else 3 * number
    return months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)

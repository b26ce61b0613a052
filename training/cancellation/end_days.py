"""Contracts that end on one day of the month: the steps in which one can end at all.

Where members join and leave on the first of a month, or only the month is recorded, a week without
a first sees nobody leave. It tells nothing of the hazard, and a horizon of 30 days that holds no
first, or one of 90 that holds two, has another probability than one with one, or three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells
from stagecast.training.billing.months import MONTH, month_of

FEWEST_ENDS, FEWEST_MONTHS = 30, 3
"""Ends, and months with some, below which nothing is known of their day."""
DAYS_OF_MONTH: Final = round(MONTH)
"""Days of age that hold one such day."""
LAST_OF_ALL_MONTHS: Final = 28
"""Last day of the month that each month has."""
LEAST_SHARE: Final = 0.95
"""Share of the ends on the same day of the month above which contracts end on it."""
LEAST_ELSEWHERE: Final = 0.01
"""Least part of the hazard in a step that holds no such day: an end on another is not impossible,
and customers can be told apart before the next one."""


@dataclass(frozen=True)
class EndDay:
    """The day of the month on which contracts end.

    Parameters
    ----------
    day
        Day of the month, 1 to 28; 0 is the last one.
    instant
        Median instant of an end on that day, microseconds after its midnight in UTC; may be
        negative, where the day begins before it.
    elsewhere
        Share of the ends on other days.
    """

    day: int
    instant: int
    elsewhere: float

    def __post_init__(self) -> None:
        if not 0 <= self.day <= LAST_OF_ALL_MONTHS:
            raise ValueError(f"day is {self.day}; expected 0 to 28")
        if not (abs(self.instant) <= DAY_MICROSECONDS and 0.0 <= self.elsewhere < 1.0):
            raise ValueError(f"instant {self.instant} or elsewhere {self.elsewhere} out of range")

    def count(self, begin: Integers, until: Integers) -> Array:
        """Return how many such days lie in ``[begin, until)``, shape of both.

        Microseconds since 1970, UTC.

        >>> midnight = np.array([19_723, 19_724]) * DAY_MICROSECONDS  # 1 and 2 January 2024
        >>> EndDay(1, 0, 0.0).count(midnight, midnight + 30 * DAY_MICROSECONDS).tolist()
        [1.0, 0.0]
        """
        return np.asarray(self._number(until) - self._number(begin), dtype=np.float64)

    def factor(self, begin: Integers, until: Integers) -> Array:
        """Return the hazard of steps over that of one with one such day, shape of both."""
        return np.maximum(self.count(begin, until), max(self.elsewhere, LEAST_ELSEWHERE))

    def _number(self, instant: Integers) -> Integers:
        """Return the number of months whose day lies before an instant, since 1970."""
        # the last day of a month is that before the first of the next one
        is_last = self.day == 0
        days = (instant - self.instant - 1) // DAY_MICROSECONDS + is_last
        month, in_month = month_of(days.astype(np.float64))
        return np.asarray(month + (in_month >= (1 if is_last else self.day)))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"day": self.day, "instant": self.instant, "elsewhere": self.elsewhere}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> EndDay:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            A number is missing, is none, or is outside of its range.
        """
        return cls(int(stored["day"]), int(stored["instant"]), float(stored["elsewhere"]))


def share_of_month(days: float) -> float:
    """Return the share of the months whose day a span of so many days holds, at most 1."""
    return min(days / MONTH, 1.0)


def end_day(spells: Spells) -> EndDay | None:
    """Return the day of the month on which contracts end; None where they end on any."""
    end = spells.end[spells.end < spells.as_of]
    if len(end) < FEWEST_ENDS:
        return None
    # midnight of a zone is within half a day of that of UTC
    day = (end + DAY_MICROSECONDS // 2) // DAY_MICROSECONDS
    for is_last in (False, True):  # the last day of a month is that before a first
        months, in_month = month_of((day + is_last).astype(np.float64))
        usual = int(np.bincount(in_month.astype(np.int64)).argmax())
        on_it = in_month == usual
        is_one = usual == 1 if is_last else usual <= LAST_OF_ALL_MONTHS
        if (
            is_one
            and on_it.mean() >= LEAST_SHARE
            and len(np.unique(months[on_it])) >= FEWEST_MONTHS
        ):
            instant = int(np.median((end - day * DAY_MICROSECONDS)[on_it]))
            return EndDay(0 if is_last else usual, instant, float(1.0 - on_it.mean()))
    return None

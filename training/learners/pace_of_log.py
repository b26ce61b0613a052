"""The pace of a log that is too young to show a season: its peaks so far, and what is expected.

One year cannot tell a season from a promotion. Either way the days of a peak that is over were not
ordinary ones: a customer who bought at Christmas is no more frequent for it, and who has been quiet
since has not left for it. So time runs faster in a peak, as it does in a known season
(:mod:`stagecast.training.learners.season_of_purchases`); ahead it runs as far as the peak is
believed to come again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS
from stagecast.training.learners.season_of_purchases import BINS, Season

PART_DAYS = YEAR_DAYS / BINS
"""Days of a part."""


@dataclass(frozen=True)
class PaceOfLog:
    """Pace of purchases of parts of a log, over that of an ordinary day.

    Parameters
    ----------
    past
        Pace of each part before ``day``, the newest first; before the oldest, days are ordinary.
    ahead
        Pace that is expected of each part of a year from ``day`` on, the soonest first, shape
        (``BINS``,). It is taken to come every year.
    day
        Day number (days since 1970) of the as_of.
    """

    past: tuple[float, ...]
    ahead: tuple[float, ...]
    day: float

    @property
    def is_even(self) -> bool:
        """Whether all days were ordinary ones."""
        return set(self.past) <= {1.0}

    @property
    def last_year(self) -> tuple[float, ...]:
        """Pace of the same parts of the year before the as_of, the soonest ahead first."""
        known = (*self.past, *(1.0,) * BINS)[:BINS]
        return known[::-1]

    def to_json(self) -> dict[str, Any]:
        """Return the pace as plain data."""
        return {"past": list(self.past), "ahead": list(self.ahead), "day": self.day}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PaceOfLog:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form.
        """
        past, ahead = (tuple(float(pace) for pace in data[key]) for key in ("past", "ahead"))
        if len(ahead) != BINS or not all(0.0 < pace < np.inf for pace in (*past, *ahead)):
            raise ValueError(
                f"the pace of a log has paces above 0, {BINS} of them ahead; got {list(past)} and "
                f"{list(ahead)}"
            )
        return cls(past, ahead, float(data["day"]))

    def time_at(self, day: Array) -> Array:
        """Return the time that runs by the pace at day numbers, in ordinary days, same shape."""
        since = (np.asarray(day, dtype=np.float64) - self.day) / PART_DAYS
        back = np.maximum(-since, 0.0)
        known = float(len(self.past))
        passed = np.concatenate([[0.0], np.cumsum(self.past)])
        before = np.interp(back, np.arange(known + 1.0), passed) + np.maximum(back - known, 0.0)
        ahead = np.maximum(since, 0.0)
        years = np.floor(ahead / BINS)
        to_come = np.concatenate([[0.0], np.cumsum(self.ahead)])
        after = years * to_come[-1] + np.interp(
            ahead - years * BINS, np.arange(BINS + 1.0), to_come
        )
        return np.asarray((after - before) * PART_DAYS)


Pace = Season | PaceOfLog
"""What the time of purchases runs by."""


def read_pace(data: Mapping[str, Any]) -> Pace:
    """Read a season, or the pace of a young log.

    Raises
    ------
    KeyError, TypeError, ValueError
        ``data`` has neither form.
    """
    return PaceOfLog.from_json(data) if "ahead" in data else Season.from_json(data)

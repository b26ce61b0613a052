"""The season of a log's repeat purchases, and time that runs faster where they are many.

A silence in a season in which nobody buys says little, and one at Christmas much. A model that
takes all days for equal learns from them that customers leave sooner, or later, than they do. With
time measured in usual purchases the days are equal again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import YEAR_DAYS

BINS: Final = 26


@dataclass(frozen=True)
class Season:
    """Pace of purchases in equal parts of a year, of mean 1.

    Parameters
    ----------
    pace
        Shape (``BINS``,).
    day
        Day number (days since 1970) at which the year begins.
    """

    pace: tuple[float, ...]
    day: float

    @property
    def is_even(self) -> bool:
        """Whether all parts have the same pace."""
        return min(self.pace) == max(self.pace)

    def to_json(self) -> dict[str, Any]:
        """Return the season as plain data."""
        return {"pace": list(self.pace), "day": self.day}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Season:
        """Read what :meth:`to_json` returns.

        Raises
        ------
        KeyError, TypeError, ValueError
            ``data`` does not have that form.
        """
        pace = tuple(float(value) for value in data["pace"])
        if len(pace) != BINS or not all(0.0 < value < np.inf for value in pace):
            raise ValueError(f"a season has {BINS} paces above 0; got {list(pace)}")
        return cls(pace, float(data["day"]))

    def time_at(self, day: Array) -> Array:
        """Return the time that runs by the pace at day numbers, in days, same shape."""
        since = day - self.day
        years = np.floor(since / YEAR_DAYS)
        part = (since - years * YEAR_DAYS) / YEAR_DAYS * BINS
        passed = np.concatenate([[0.0], np.cumsum(self.pace)]) / BINS * YEAR_DAYS
        return np.asarray(years * YEAR_DAYS + np.interp(part, np.arange(BINS + 1.0), passed))

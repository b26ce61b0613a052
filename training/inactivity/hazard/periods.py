"""Rows of customers and past periods: what was known at the start, and whether an order came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.inactivity.hazard.histories import Histories

PERIOD_DAYS = 7
MAX_ROWS, MAX_PERIODS = 100_000, 104
"""About how many rows of customers and periods the hazard learns from, and how many periods."""


def periods_of(horizon_days: int) -> tuple[int, int]:
    """Return the number of periods of about a week in a horizon, and their length in days.

    >>> periods_of(90), periods_of(30), periods_of(3)
    ((13, 7), (4, 8), (1, 3))
    """
    number = max(1, round(horizon_days / PERIOD_DAYS))
    return number, max(1, round(horizon_days / number))


@dataclass(frozen=True)
class Periods:
    """Customers and past periods: what was known at the start, and whether an order came.

    Parameters
    ----------
    aggregates
        Of the catalogue at the start of the period, shape (rows,) each.
    start
        First day of the period, days since 1970.
    ordered
        Whether an order came in the period.
    """

    aggregates: Mapping[str, Array]
    start: Array
    ordered: NDArray[np.bool_]

    @classmethod
    def of(cls, histories: Histories, today: int, length: int) -> Periods:
        """Return the periods of ``length`` days that were over before the day ``today``.

        Those of every k-th customer remain where there are more than ``MAX_ROWS``.
        """
        first = histories.first_day
        oldest = max(int(first.min(initial=today)), today - length * MAX_PERIODS - 1)
        starts = np.arange(today - length, oldest, -length)
        total = sum(int((first < start).sum()) for start in starts)
        histories = histories.every(max(1, -(-total // MAX_ROWS)))
        first = histories.first_day
        after, *before = histories.at([float(today), *starts.astype(np.float64)])
        parts, ordered = [], []
        for start, known in zip(starts, before, strict=True):
            buyers = first < start
            parts.append({name: values[buyers] for name, values in known.items()})
            ordered.append((after["orders"] > known["orders"])[buyers])
            after = known
        names = tuple(after)
        return cls(
            {name: np.concatenate([np.zeros(0), *(p[name] for p in parts)]) for name in names},
            np.repeat(starts.astype(np.float64), [len(part) for part in ordered]),
            np.concatenate([np.zeros(0, dtype=np.bool_), *ordered]),
        )

    def every(self, step: int) -> Periods:
        """Return every ``step``-th row."""
        part = {name: values[::step] for name, values in self.aggregates.items()}
        return Periods(part, self.start[::step], self.ordered[::step])

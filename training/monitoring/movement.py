"""What has moved since the training, and whether season, habit or chance explains it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.training.monitoring.distances import (
    BINS,
    ROWS_PER_BIN,
    Distance,
    categories_apart,
    independent_rows,
    numbers_apart,
)

FAMILY_ALPHA = 0.05
"""Chance that anything at all is called moved where nothing has."""
SMALL, LARGE = 0.10, 0.25
"""Usual limits of the population stability index: below the first a shift is small, from the second
on large (Siddiqi, 2006, "Credit Risk Scorecards").
"""
AS_BEFORE = 0.8
NEAR_SEASON = NEAR_SAME = 0.5
SAME_AGE = 0.05
"""Share of a customer's age, beside one day, by which the age of another may differ."""
LEAST_COVERED = 0.5
"""Share of the customers now whose age others had at the training; of fewer nothing is said."""
OLDER = 1.1
"""An age may rise by this many times the days that passed, since the active are not the same."""

Column = Array | NDArray[np.object_]
Reading = Literal["quiet", "small", "older", "held", "season", "as before", "moved"]


@dataclass(frozen=True)
class Dates:
    """Values of one column at the dates that are compared.

    Parameters
    ----------
    training, now
        At the training and at the as_of.
    year_ago
        364 days before the as_of, the same season and weekday; None: the log does not reach back.
    before
        As long before the training as the as_of is after it; None as above.
    settled
        At the newest date whose outcomes are known, where the scores held; None: there is none.
    sizes
        Numbers of independent rows of the column at the training and now; None: all rows.
    ages
        Days since the customer's contract, or purchases, began, of the rows at the training and
        now; None: not known.
    """

    training: Column
    now: Column
    year_ago: Column | None = None
    before: Column | None = None
    settled: Column | None = None
    sizes: tuple[float, float] | None = None
    ages: tuple[Array, Array] | None = None


@dataclass(frozen=True)
class Movement:
    """How far one column has moved.

    Parameters
    ----------
    name, unit, meaning
        In the words of the catalogue.
    since_training
        Distance from the training to the as_of.
    before, now
        Median at the training and at the as_of, or the mean where both medians are equal; None for
        categories.
    center
        ``median`` or ``mean``: which of these.
    year_ago, earlier, settled
        Index from the other dates, see :class:`Dates`; ``earlier`` is from ``before`` to the
        training. None: not known.
    reading
        ``quiet``: no more than chance; ``small``: index below :data:`SMALL`; ``older``: it is an
        age, and rises by no more than the time that passed, or customers of the same age are as
        they were, and there are more old ones now; ``held``: it is where
        it was at the newest date whose outcomes are known, and the scores held there; ``season``:
        it is nearer to the same season a year ago; ``as before``: it moved as far in as long
        before the training; ``moved``: none of these explains it.
    uses
        Whether the models learn from it.
    """

    name: str
    unit: str
    meaning: str
    since_training: Distance
    before: float | None
    now: float | None
    center: str
    year_ago: float | None
    earlier: float | None
    settled: float | None
    reading: Reading
    uses: bool = True

    @property
    def large(self) -> bool:
        """Whether it moved, unexplained, by an index of :data:`LARGE` or more."""
        return self.reading == "moved" and self.since_training.psi >= LARGE


@dataclass(frozen=True)
class Label:
    """Name, unit and meaning of a column, whether the models learn from it, and the days by which
    it grows older of itself, 0 for what is no age.
    """

    name: str
    unit: str
    meaning: str
    uses: bool = True
    ages_days: float = 0.0


def movements(columns: Sequence[tuple[Label, Dates]]) -> tuple[Movement, ...]:
    """Return how far each column has moved, the farthest first.

    The chance that anything is called moved where nothing has is :data:`FAMILY_ALPHA` over all
    columns together, whatever hangs together among them (Bonferroni).

    Parameters
    ----------
    columns
        Label and values of each column; columns with too few rows are left out.
    """
    alpha = FAMILY_ALPHA / max(len(columns), 1)
    moved = [_movement(label, dates, alpha) for label, dates in columns]
    return tuple(
        sorted(
            (movement for movement in moved if movement is not None),
            key=lambda movement: (movement.reading != "moved", -movement.since_training.psi),
        )
    )


def _movement(label: Label, dates: Dates, alpha: float) -> Movement | None:
    since = _apart(dates.training, dates.now, alpha, dates.sizes)
    if since is None:
        return None
    year_ago = None if dates.year_ago is None else _apart(dates.year_ago, dates.now, alpha)
    earlier = None if dates.before is None else _apart(dates.before, dates.training, alpha)
    settled = None if dates.settled is None else _apart(dates.settled, dates.now, alpha)
    before, now, center = _centers(dates.training, dates.now)
    older = before is not None and now is not None and now - before <= OLDER * label.ages_days
    older = older and label.ages_days > 0
    at_same_age = None if dates.ages is None else same_age_index(dates, dates.ages)
    if at_same_age is not None:
        older = older or at_same_age < min(NEAR_SAME * since.psi, LARGE)
    return Movement(
        name=label.name,
        unit=label.unit,
        meaning=label.meaning,
        since_training=since,
        before=before,
        now=now,
        center=center,
        year_ago=_psi(year_ago),
        earlier=_psi(earlier),
        settled=_psi(settled),
        reading=_reading(since, year_ago, earlier, settled, older=older),
        uses=label.uses,
    )


def same_age_index(dates: Dates, ages: tuple[Array, Array]) -> float | None:
    """Return the index between customers of the same age, without what chance adds on average.

    Each of the customers now stands beside the one of the training whose age is nearest. None for
    categories, and where too few have somebody of their age.

    Parameters
    ----------
    dates
        Values of the column at the training and now.
    ages
        Days, of the same rows.
    """
    if dates.training.dtype == object or dates.now.dtype == object:
        return None
    pairs = _of_same_age(*ages)
    if len(pairs[0]) < LEAST_COVERED * len(ages[1]):
        return None
    then = dates.training.astype(np.float64)[pairs[0]]
    sizes = independent_rows(np.bincount(pairs[0])), float(len(pairs[1]))
    apart = numbers_apart(then, dates.now.astype(np.float64)[pairs[1]], FAMILY_ALPHA, sizes)
    if apart is None:
        return None
    bins = np.clip(min(sizes) // ROWS_PER_BIN, 2, BINS)
    return max(apart.psi - float(bins - 1) * (1 / sizes[0] + 1 / sizes[1]), 0.0)


def _of_same_age(training: Array, now: Array) -> tuple[Integers, Integers]:
    """Return the rows of the training and now that stand beside each other."""
    known, rows = (np.flatnonzero(np.isfinite(part)) for part in (training, now))
    if not len(known):
        return known, known
    order = known[np.argsort(training[known], kind="stable")]
    of_order = training[order]
    above = np.clip(np.searchsorted(of_order, now[rows]), 1, max(len(order) - 1, 1))
    above = np.minimum(above, len(order) - 1)
    below = np.maximum(above - 1, 0)
    is_below = now[rows] - of_order[below] <= of_order[above] - now[rows]
    nearest = order[np.where(is_below, below, above)]
    alike = np.abs(training[nearest] - now[rows]) <= SAME_AGE * now[rows] + 1
    return nearest[alike], rows[alike]


def _psi(distance: Distance | None) -> float | None:
    return None if distance is None else distance.psi


def _reading(
    since: Distance,
    year_ago: Distance | None,
    earlier: Distance | None,
    settled: Distance | None,
    *,
    older: bool,
) -> Reading:
    if not since.beyond_chance:
        return "quiet"
    if since.psi < SMALL:
        return "small"
    if older:
        return "older"
    if settled is not None and (settled.psi < SMALL or not settled.beyond_chance):
        return "held"
    if year_ago is not None and year_ago.psi < min(NEAR_SEASON * since.psi, LARGE):
        return "season"
    if earlier is not None and earlier.psi >= AS_BEFORE * since.psi:
        return "as before"
    return "moved"


def _apart(
    reference: Column, current: Column, alpha: float, sizes: tuple[float, float] | None = None
) -> Distance | None:
    if reference.dtype == object or current.dtype == object:
        return categories_apart(reference.astype(object), current.astype(object), alpha)
    return numbers_apart(reference.astype(np.float64), current.astype(np.float64), alpha, sizes)


def _centers(training: Column, now: Column) -> tuple[float | None, float | None, str]:
    """Return the medians; the means where the medians are equal, since these would say nothing."""
    if training.dtype == object:
        return None, None, "share"
    parts = [part.astype(np.float64) for part in (training, now)]
    known = [part[np.isfinite(part)] for part in parts]
    if not all(map(len, known)):
        return None, None, "median"
    medians = [float(np.median(part)) for part in known]
    if math.isclose(*medians):
        return *(float(part.mean()) for part in known), "mean"  # type: ignore[return-value]
    return medians[0], medians[1], "median"

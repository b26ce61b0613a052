"""Rows of those who bought within the horizon of past dates, from which factors are learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.fit_factor import Rows
from stagecast.training.panel import Frame, learnable, stack, varying


def with_purchases(frames: Sequence[Frame]) -> list[Frame]:
    """Return the dates after which somebody bought within the horizon."""
    return [frame for frame in frames if not frame.inactive.all()]


def those_who_bought(frames: Sequence[Frame]) -> list[NDArray[np.int64]]:
    """Return the rows of each date that bought within the horizon."""
    return [np.flatnonzero(~frame.inactive) for frame in frames]


def earlier_dates(frames: Sequence[Frame], horizon_days: int) -> list[Frame]:
    """Return the dates whose horizon ends before the newest date."""
    return [frame for frame in frames if frame.back >= frames[0].back + horizon_days]


def rows_of(
    frames: Sequence[Frame], expected: Sequence[Array], outcome: Sequence[Array], weight: Array
) -> Rows:
    """Return the rows of those who bought, of several dates.

    Parameters
    ----------
    frames
        The dates.
    expected, outcome
        Of the rows of each date that bought, shape (rows of the date,) each.
    weight
        Of all these rows, shape (rows,).
    """
    bought = [frame.of(rows) for frame, rows in zip(frames, those_who_bought(frames), strict=True)]
    columns = stack(bought)
    return Rows(
        columns,
        learnable(bought, varying(frames, list(columns))),
        np.concatenate(expected),
        np.concatenate(outcome),
        weight,
        np.concatenate([frame.customer for frame in bought]),
    )

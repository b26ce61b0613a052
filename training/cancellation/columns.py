"""What the models see of a contract through the steps of the horizon, named columns with one
value per row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError
from stagecast.training.cancellation.landmarks import Landmarks

OWN_COLUMNS = ("age_days", "ahead_days", "earlier_spells")
SEASON_COLUMNS = ("season_sin", "season_cos")

SEASON_DAYS = 730
"""History below which the season cannot be told from the time that passes."""

YEAR_DAYS = 365.2425

WIDEST = 13.0
"""Log odds beyond which nothing is believed."""


def step_columns(
    landmarks: Landmarks,
    columns: Mapping[str, Array],
    row: Integers,
    ahead: Integers,
    step: int,
    *,
    season: bool,
) -> dict[str, Array]:
    """Return what the models see of steps: the age moves on and so does the season, the rest stays
    as it was known.

    Parameters
    ----------
    columns
        What the caller knew at the landmarks, one value per row of these; null is NaN.
    row, ahead
        Row of the landmarks and number of the step, one per step.
    step
        Days.
    season
        Whether to add the place in the year, on a circle.
    """
    on = (ahead * step).astype(np.float64)
    seen = {
        "age_days": landmarks.age_days[row] + on,
        "ahead_days": on,
        "earlier_spells": landmarks.earlier_spells[row],
        **{name: values[row] for name, values in columns.items()},
    }
    if season:
        turn = 2.0 * np.pi * (landmarks.at[row] / DAY_MICROSECONDS + on + step / 2.0) / YEAR_DAYS
        seen |= {"season_sin": np.sin(turn), "season_cos": np.cos(turn)}
    return seen


def log_odds(cumulated: Array) -> Array:
    """Return the log odds of a step from minus the log of what it leaves."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.clip(np.log(np.expm1(cumulated)), -WIDEST, WIDEST)


def check_columns(
    columns: Mapping[str, Array], names: tuple[str, ...], rows: int
) -> dict[str, Array]:
    """Return these of the columns as floats.

    Raises
    ------
    UsageError
        One is missing, or has not one value per row.
    """
    found = {}
    for name in names:
        if name not in columns:
            raise UsageError(
                f"the column '{name}' of the training is missing; hand it over, NaN where "
                "it is not known"
            )
        values = np.asarray(columns[name], dtype=np.float64)
        if values.shape != (rows,):
            raise UsageError(
                f"the column '{name}' has the shape {values.shape}; give one value per "
                f"row, ({rows},)"
            )
        found[name] = values
    return found

"""Columns of the cancellation models: one row per contract and step of the horizon."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.errors import UsageError
from stagecast.training.billing.periods import AS_OF_DAY, NO_PERIODS, BillingPeriods
from stagecast.training.billing.standing import RENEWAL_HAZARD, log_renewal_hazard
from stagecast.training.cancellation.landmarks import Landmarks

OWN_COLUMNS = ("age_days", "ahead_days", "earlier_spells")
SEASON_COLUMNS = ("season_sin", "season_cos")

SEASON_DAYS = 730
"""Shortest history in which the season can be distinguished from a trend."""

MEAN_YEAR_DAYS = 365.2425

MAX_LOG_ODDS = 13.0
"""Log odds are clipped to this, on either side."""


def step_columns(
    landmarks: Landmarks,
    columns: Mapping[str, Array],
    row: Integers,
    ahead: Integers,
    step: int,
    *,
    season: bool,
    billing: BillingPeriods = NO_PERIODS,
) -> dict[str, Array]:
    """Return the columns of steps: age and season of the step, the others as at the landmark.

    Parameters
    ----------
    landmarks
        Contracts open at one or several dates.
    columns
        Name -> values at the landmarks, shape (n_landmarks,); null is NaN.
    row, ahead
        Row of the landmarks and number of the step, shape (n_steps,).
    step
        Length of a step, in days.
    season
        Whether to add the time of year, as sine and cosine.
    billing
        The billing periods of the log; with some, the hazard of the renewals in the step is added.
    """
    ahead_days = (ahead * step).astype(np.float64)
    result = {
        "age_days": landmarks.age_days[row] + ahead_days,
        "ahead_days": ahead_days,
        "earlier_spells": landmarks.earlier_spells[row],
        **{name: values[row] for name, values in columns.items()},
    }
    if season:
        angle = (
            2.0
            * np.pi
            * (landmarks.at[row] / DAY_MICROSECONDS + ahead_days + step / 2.0)
            / MEAN_YEAR_DAYS
        )
        result |= {"season_sin": np.sin(angle), "season_cos": np.cos(angle)}
    if not billing.is_none:
        result[RENEWAL_HAZARD] = renewals_within(landmarks, result, row, ahead_days, step, billing)
    return result


def renewals_within(
    landmarks: Landmarks,
    columns: Mapping[str, Array],
    row: Integers,
    ahead_days: Array,
    days: int,
    billing: BillingPeriods,
) -> Array:
    """Return the log of the hazard of the renewals in so many days, shape (n_steps,).

    NaN where it is unknown. The parameters are those of :func:`step_columns`, but ``columns`` are
    those of the steps, and ``ahead_days`` the days from the landmark to their beginning.
    """
    at = {AS_OF_DAY: landmarks.at[row] / DAY_MICROSECONDS}
    return log_renewal_hazard(billing, {**columns, **at}, landmarks.age_days[row], ahead_days, days)


def log_odds(cumulative_hazard: Array) -> Array:
    """Return the log odds of a cancellation in a step from the cumulative hazard of the step."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.clip(np.log(np.expm1(cumulative_hazard)), -MAX_LOG_ODDS, MAX_LOG_ODDS)


def check_columns(
    columns: Mapping[str, Array], names: tuple[str, ...], rows: int
) -> dict[str, Array]:
    """Return the named columns as floats.

    Raises
    ------
    UsageError
        A column is missing, or does not have the shape (rows,).
    """
    checked = {}
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
        checked[name] = values
    return checked

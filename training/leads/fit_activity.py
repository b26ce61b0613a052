"""Fitting of the multiplier of the hazard by activity, on past dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.leads.activity import _MAX_LOG_MULTIPLIER, RECIPE, ActivityModel
from stagecast.training.leads.exposure import HALF_LIFE_DAYS, Leads
from stagecast.training.leads.hazard import HazardModel
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.glm import learn_design

PENALTIES = (2.0, 10.0, 50.0, 250.0)
"""Ridge penalties on standardised columns that are compared."""

FOLDS = 4
FEWEST_FOR_ACTIVITY = 30
MIN_GAIN = 0.5
"""Least gain in log likelihood (nats), on held-out customers, for which activity is used."""

_STEPS = 50


@dataclass(frozen=True)
class Landmark:
    """Leads of a past date with their columns at that date.

    Parameters
    ----------
    day
        The date as a day number.
    customer
        Rows of :class:`~stagecast.training.leads.exposure.Leads`.
    columns
        Name -> values, one per entry of ``customer``; null is NaN.
    """

    day: float
    customer: NDArray[np.int64]
    columns: Mapping[str, Array]


@dataclass(frozen=True)
class _LandmarkRows:
    customer: NDArray[np.int64]
    columns: dict[str, Array]
    hazard: Array
    converted: Array
    weight: Array


def fit_activity(
    leads: Leads,
    hazard: HazardModel,
    start: Array,
    landmarks: Sequence[Landmark],
    as_of_day: float,
    horizon_days: int,
    recipe: Recipe = RECIPE,
    half_life_days: float | None = HALF_LIFE_DAYS,
) -> ActivityModel | None:
    """Fit on the landmarks; None with too few conversions, or without a gain on held-out customers.

    Parameters
    ----------
    leads
        One entry per customer of the log.
    hazard
        Hazard fitted on the same leads.
    start
        Multiplier of the hazard by category, one per entry of ``leads``.
    landmarks
        Leads of past dates with their columns.
    as_of_day
        The as_of as a day number.
    horizon_days
        Horizon of the prediction, in days.
    recipe
        Columns of the landmarks to use.
    half_life_days
        Half-life of the weight of a landmark; None gives all equal weight.
    """
    rows = _landmark_rows(
        leads, hazard, start, landmarks, as_of_day, horizon_days, recipe, half_life_days
    )
    if rows is None or rows.converted.sum() < FEWEST_FOR_ACTIVITY:
        return None
    recipe = Recipe({name: term for name, term in recipe.columns.items() if name in rows.columns})
    design = learn_design(recipe, rows.columns)
    if {term.column for term in design.terms} <= {"tenure_days"}:
        return None
    matrix = np.column_stack([np.ones(len(rows.hazard)), design.matrix(rows.columns)])
    fold = rows.customer % FOLDS
    gains = [_gain(matrix, rows, fold, penalty) for penalty in PENALTIES]
    best = int(np.argmax(gains))
    if gains[best] < MIN_GAIN:
        return None
    weights = _poisson(matrix, rows.hazard, rows.converted, rows.weight, PENALTIES[best])
    return ActivityModel(design, float(weights[0]), weights[1:])


def _gain(matrix: Array, rows: _LandmarkRows, fold: NDArray[np.int64], penalty: float) -> float:
    """Return the gain in log likelihood over a constant multiplier, on held-out customers."""
    gain = 0.0
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        data = (rows.hazard[inside], rows.converted[inside], rows.weight[inside], penalty)
        weights, level_only = _poisson(matrix[inside], *data), _poisson(matrix[inside, :1], *data)
        gain += _likelihood(matrix[outside] @ weights, rows, outside) - _likelihood(
            matrix[outside, :1] @ level_only, rows, outside
        )
    return gain


def _landmark_rows(
    leads: Leads,
    hazard: HazardModel,
    start: Array,
    landmarks: Sequence[Landmark],
    as_of_day: float,
    horizon_days: int,
    recipe: Recipe,
    half_life_days: float | None,
) -> _LandmarkRows | None:
    parts: list[_LandmarkRows] = []
    for landmark in landmarks:
        day = landmark.day
        if not day >= leads.selling_since or day >= as_of_day:
            continue
        at_risk = np.flatnonzero(leads.at_risk(day)[landmark.customer])
        customer = landmark.customer[at_risk]
        until = np.minimum(day + horizon_days, as_of_day)
        converted = leads.converted[customer] < until
        followed_days = np.where(converted, leads.converted[customer], until) - day
        ahead = hazard.ahead(day - leads.start[customer], followed_days) * start[customer]
        weight = 1.0 if half_life_days is None else 0.5 ** ((as_of_day - day) / half_life_days)
        columns = {
            name: landmark.columns[name][at_risk]
            for name in recipe.columns
            if name in landmark.columns
        }
        parts.append(
            _LandmarkRows(
                customer,
                columns,
                ahead,
                converted.astype(np.float64),
                np.full(len(at_risk), weight),
            )
        )
    if not parts:
        return None
    shared = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    return _LandmarkRows(
        np.concatenate([part.customer for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in shared},
        np.concatenate([part.hazard for part in parts]),
        np.concatenate([part.converted for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def _likelihood(eta: Array, rows: _LandmarkRows, mask: NDArray[np.bool_]) -> float:
    eta = np.clip(eta, -_MAX_LOG_MULTIPLIER, _MAX_LOG_MULTIPLIER)
    return float(
        (rows.weight[mask] * (rows.converted[mask] * eta - rows.hazard[mask] * np.exp(eta))).sum()
    )


def _poisson(matrix: Array, hazard: Array, converted: Array, weight: Array, ridge: float) -> Array:
    """Return the weights of a Poisson regression with a ridge penalty, by Newton's method."""
    penalty = np.full(matrix.shape[1], ridge)
    penalty[0] = 1e-3  # the level is practically not penalised

    def loss(w: Array) -> float:
        eta = np.minimum(matrix @ w, 30.0)
        return float(
            (weight * (hazard * np.exp(eta) - converted * eta)).sum()
            + 0.5 * (penalty * w * w).sum()
        )

    w = np.zeros(matrix.shape[1])
    current_loss = loss(w)
    for _ in range(_STEPS):
        mean = weight * hazard * np.exp(np.minimum(matrix @ w, 30.0))
        gradient = matrix.T @ (mean - weight * converted) + penalty * w
        step = np.linalg.solve((matrix * mean[:, None]).T @ matrix + np.diag(penalty), gradient)
        size = 1.0
        while size > 1e-4 and not loss(w - size * step) <= current_loss:
            size /= 2
        new_loss = loss(w - size * step)
        if not new_loss < current_loss - 1e-9 * (1.0 + abs(current_loss)):
            break
        w, current_loss = w - size * step, new_loss
    return w

"""What a lead did so far as a multiplier of the hazard, fitted on past dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.leads.activity import _WIDEST, RECIPE, ActivityModel
from stagecast.training.leads.exposure import HALF_LIFE_DAYS, Leads
from stagecast.training.leads.hazard import HazardModel
from stagecast.training.learners.design import Recipe
from stagecast.training.learners.glm import learn_design

PENALTIES = (2.0, 10.0, 50.0, 250.0)
"""Ridge penalties on standardised columns to choose from."""


FOLDS = 4


FEWEST_FOR_ACTIVITY = 30


WORTH = 0.5
"""Gain in log likelihood (nats), on customers that were not learned from, below which activity
is left out.
"""


_STEPS = 50


@dataclass(frozen=True)
class Landmark:
    """What was known at a past date of some leads.

    Parameters
    ----------
    day
        the date as a day number.
    customer
        rows of :class:`~stagecast.training.leads.exposure.Leads`.
    columns
        name -> one value per customer; null is NaN.
    """

    day: float
    customer: NDArray[np.int64]
    columns: Mapping[str, Array]


@dataclass(frozen=True)
class _Rows:
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
    """Fit at the landmarks; None where there is too little to learn, or where it did not help on
    other customers.

    Parameters
    ----------
    hazard, start
        Fitted on the same leads; ``start`` is its multiplier of each of them.
    """
    rows = _followed(
        leads, hazard, start, landmarks, as_of_day, horizon_days, recipe, half_life_days
    )
    if rows is None or rows.converted.sum() < FEWEST_FOR_ACTIVITY:
        return None
    recipe = Recipe({name: how for name, how in recipe.columns.items() if name in rows.columns})
    design = learn_design(recipe, rows.columns)
    if {term.column for term in design.terms} <= {"tenure_days"}:
        return None
    matrix = np.column_stack([np.ones(len(rows.hazard)), design.matrix(rows.columns)])
    fold = rows.customer % FOLDS
    gains = [_gain(matrix, rows, fold, penalty) for penalty in PENALTIES]
    best = int(np.argmax(gains))
    if gains[best] < WORTH:
        return None
    weights = _poisson(matrix, rows.hazard, rows.converted, rows.weight, PENALTIES[best])
    return ActivityModel(design, float(weights[0]), weights[1:])


def _gain(matrix: Array, rows: _Rows, fold: NDArray[np.int64], penalty: float) -> float:
    """Return the log likelihood that the columns add to the level alone, on customers left out
    of the fit.
    """
    gain = 0.0
    for k in range(FOLDS):
        here, out = fold != k, fold == k
        learned = (rows.hazard[here], rows.converted[here], rows.weight[here], penalty)
        found, level = _poisson(matrix[here], *learned), _poisson(matrix[here, :1], *learned)
        gain += _likelihood(matrix[out] @ found, rows, out) - _likelihood(
            matrix[out, :1] @ level, rows, out
        )
    return gain


def _followed(
    leads: Leads,
    hazard: HazardModel,
    start: Array,
    landmarks: Sequence[Landmark],
    as_of_day: float,
    horizon_days: int,
    recipe: Recipe,
    half_life_days: float | None,
) -> _Rows | None:
    parts: list[_Rows] = []
    for landmark in landmarks:
        day = landmark.day
        if not day >= leads.selling_since or day >= as_of_day:
            continue
        who = np.flatnonzero(leads.at_risk(day)[landmark.customer])
        customer = landmark.customer[who]
        until = np.minimum(day + horizon_days, as_of_day)
        converted = leads.converted[customer] < until
        followed = np.where(converted, leads.converted[customer], until) - day
        ahead = hazard.ahead(day - leads.start[customer], followed) * start[customer]
        weight = 1.0 if half_life_days is None else 0.5 ** ((as_of_day - day) / half_life_days)
        columns = {
            name: landmark.columns[name][who] for name in recipe.columns if name in landmark.columns
        }
        parts.append(
            _Rows(customer, columns, ahead, converted.astype(np.float64), np.full(len(who), weight))
        )
    if not parts:
        return None
    shared = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    return _Rows(
        np.concatenate([part.customer for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in shared},
        np.concatenate([part.hazard for part in parts]),
        np.concatenate([part.converted for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def _likelihood(eta: Array, rows: _Rows, of: NDArray[np.bool_]) -> float:
    eta = np.clip(eta, -_WIDEST, _WIDEST)
    return float(
        (rows.weight[of] * (rows.converted[of] * eta - rows.hazard[of] * np.exp(eta))).sum()
    )


def _poisson(matrix: Array, hazard: Array, converted: Array, weight: Array, ridge: float) -> Array:
    """Return the weights that are likeliest under a ridge penalty, by Newton's method with
    halved steps.
    """
    penalty = np.full(matrix.shape[1], ridge)
    penalty[0] = 1e-3  # the level, all but free

    def loss(w: Array) -> float:
        eta = np.minimum(matrix @ w, 30.0)
        return float(
            (weight * (hazard * np.exp(eta) - converted * eta)).sum()
            + 0.5 * (penalty * w * w).sum()
        )

    w = np.zeros(matrix.shape[1])
    now = loss(w)
    for _ in range(_STEPS):
        mean = weight * hazard * np.exp(np.minimum(matrix @ w, 30.0))
        slope = matrix.T @ (mean - weight * converted) + penalty * w
        step = np.linalg.solve((matrix * mean[:, None]).T @ matrix + np.diag(penalty), slope)
        size = 1.0
        while size > 1e-4 and not loss(w - size * step) <= now:
            size /= 2
        then = loss(w - size * step)
        if not then < now - 1e-9 * (1.0 + abs(now)):
            break
        w, now = w - size * step, then
    return w

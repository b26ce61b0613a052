"""Factor of the spend per order after the horizon, within the value horizon.

What a customer pays per order can change with the time since the first purchase: a bicycle is
bought again after three years, and parts in between. The spend per order of the horizon then says
too little, or too much, of the months after it. The factor is learned at past dates far enough
back, of the customers who ordered after the horizon: what they paid per order there, over what
their purchases before the date let expect.

In most shops there is nothing to learn, and a factor of its own would only bring noise. It is
therefore used where its trees are nearer to what came after the horizon than those of the horizon
by more than a standard error, both fitted on other customers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.factor import Factor
from stagecast.training.learners.fit_factor import (
    DEVIANCES,
    FOLDS,
    Rows,
    best_power,
    fit_trees,
    is_enough,
    log_factor,
)
from stagecast.training.panel import Frame, learnable, stack, thinned, varying
from stagecast.training.value.rest import MAX_ROWS, far_dates
from stagecast.training.value.spans import Purchases

STANDARD_ERRORS: Final = 1.0
"""Errors of the paired difference of deviances beyond which the factor is nearer."""

Expected = Callable[[Frame], Array]
"""Returns the spend per order that is expected of the rows of a date, shape (rows,)."""


@dataclass(frozen=True)
class _Date:
    """Rows of a date who ordered after the horizon, shape (rows,) each."""

    frame: Frame
    so_far: Array
    orders: Array
    spend: Array


def fit_later_spend(
    dates: Sequence[Frame],
    purchases: Purchases,
    so_far: Expected,
    within: Rows,
    bounded: Callable[[Array, Array], Array],
    config: TrainConfig,
) -> Factor | None:
    """Return the factor of the spend so far; None where that of the horizon is as near.

    Parameters
    ----------
    dates
        Frames of buyers, newest first.
    purchases
        Every purchase day known at the as_of.
    so_far
        The spend per order by what was known before a date.
    within
        Rows that the factor of the horizon was learned from.
    bounded
        Takes spend per order and its expectation, shape (rows,) each, and returns it within the
        bounds beyond which amounts count as outliers.
    config
        Settings of the training.
    """
    frames, span = far_dates(dates, config)
    if span < config.value_horizon_days:
        return None
    past = [
        _of_date(frame, purchases, so_far(frame), config)
        for frame in (thinned(frames, MAX_ROWS) if frames else [])
    ]
    past = [date for date in past if len(date.orders)]
    if not past:
        return None
    later = [date.frame for date in past]
    start = np.concatenate([date.so_far for date in past])
    orders = np.concatenate([date.orders for date in past])
    spend = np.concatenate([date.spend for date in past])
    columns = stack(later)
    rows = Rows(
        columns,
        learnable(later, varying(later, list(columns))),
        start,
        bounded(spend / orders, start),
        np.sqrt(orders),
        np.concatenate([frame.customer for frame in later]),
    )
    if not is_enough(rows):
        return None
    later_logs, within_logs = np.zeros(len(start)), np.zeros(len(start))
    for fold in range(FOLDS):
        outside = np.flatnonzero(rows.customer % FOLDS == fold)
        for of_rows, logs in ((rows, later_logs), (within, within_logs)):
            inside = of_rows.of(np.flatnonzero(of_rows.customer % FOLDS != fold))
            if not inside.outcome.any():
                return None
            logs[outside] = log_factor(fit_trees(inside, "gamma", config.seed), rows.of(outside))
    power = best_power(rows, later_logs, "gamma")
    of_horizon = best_power(rows, within_logs, "gamma")
    if not (power > 0 and _is_nearer(rows, power * later_logs, of_horizon * within_logs)):
        return None
    factor = Factor(1.0, fit_trees(rows, "gamma", config.seed), power)
    expected = float((orders * rows.start * factor.of(columns)).sum())
    return replace(factor, level=float((orders * rows.outcome).sum()) / expected)


def _of_date(frame: Frame, purchases: Purchases, so_far: Array, config: TrainConfig) -> _Date:
    """Return the customers of a date who ordered after its horizon, within the value horizon."""
    start = frame.customer, frame.back, config.horizon_days, config.value_horizon_days, 0.0
    orders, spend = purchases.within(*start), purchases.within(*start, money=True)
    rows = np.flatnonzero((orders > 0) & (so_far > 0))
    return _Date(frame.of(rows), so_far[rows], orders[rows], spend[rows])


def _is_nearer(rows: Rows, logs: Array, other_logs: Array) -> bool:
    """Return whether corrections have less deviance than others beyond chance, (rows,) each."""
    gain = rows.weight * (_deviance(rows, other_logs) - _deviance(rows, logs))
    # the rows of a customer at several dates are of the same orders
    _, place = np.unique(rows.customer, return_inverse=True)
    of_customers = np.bincount(place, weights=gain)
    error = float(of_customers.std() * np.sqrt(len(of_customers)))
    return float(of_customers.sum()) > STANDARD_ERRORS * error


def _deviance(rows: Rows, logs: Array) -> Array:
    """Return the deviance of each row, at equal totals, shape (rows,)."""
    mean = rows.start * np.exp(logs)
    mean *= float(rows.weight @ rows.outcome) / float(rows.weight @ mean)
    return DEVIANCES["gamma"](rows.outcome, mean)

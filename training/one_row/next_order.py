"""The median days to the next order of one buyer, see :mod:`stagecast.training.waiting.next_order`.

The median is a cell of 2^-24 of five years.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.one_customer.numbers import clip, exp, expm1, log, log1p
from stagecast.training.learners.btyd import Model
from stagecast.training.one_row.predictions import BaseOutlook
from stagecast.training.waiting.next_order import (
    CELL_DAYS,
    HALVINGS,
    LATEST_ORDER_DAYS,
    LEAST_NONE,
    LOG_HALF,
    log_none_within,
)

# Halvings that are looked at in one call of the model.
_AT_ONCE = 5

NextOrder = Callable[[BaseOutlook, float], float]
"""What the customer base says of a buyer, and the pooled P(no purchase) -> days; NaN is null."""


def next_order_of_one(horizon_days: int) -> NextOrder:
    """Return the median days to the next order by the first model that a buyer is asked of.

    Parameters
    ----------
    horizon_days
        Horizon of the pooled probability.
    """
    horizon = float(horizon_days)

    def days_to_order(said: BaseOutlook, p_inactive: float) -> float:
        model = said.base.models[0]
        has_closed_form = model.name != "pareto_nbd" and model.regularity == 1
        by_model = _closed_form if has_closed_form else _bisected
        return by_model(model, horizon, said, p_inactive)

    return days_to_order


def _closed_form(model: Model, horizon_days: float, said: BaseOutlook, p_inactive: float) -> float:
    r, alpha = model.params[:2]

    x, t_x, T = said.history
    if said.first is None:
        # other models of the base have regular gaps, so that none was asked by itself
        p_horizon, alive_row, _ = model.outlook(horizon_days, *_rows(x, t_x, T))
        p_none_at_horizon, alive = float(p_horizon[0]), float(alive_row[0])
    else:
        p_none_at_horizon, alive = said.first.p_none, said.first.alive
    power = _log(p_inactive) / _log(p_none_at_horizon)
    p_none = exp(LOG_HALF / power)
    bought = (1.0 - p_none) / alive
    if not bought < 1.0:
        return math.nan
    log_silent = log1p(-bought)
    days = (alpha + T) * expm1(-log_silent / (r + x))
    if not (days < LATEST_ORDER_DAYS and p_none > LEAST_NONE):
        return math.nan
    return (math.floor(days / CELL_DAYS) + 0.5) * CELL_DAYS


def _bisected(model: Model, horizon_days: float, said: BaseOutlook, p_inactive: float) -> float:
    history = _rows(*said.history)
    log_pooled = _log(p_inactive)
    log_at_horizon = _log(float(model.p_none(horizon_days, *history)[0]))

    def still_none(days: Array) -> NDArray[np.bool_]:
        log_none = np.log(np.clip(model.p_none(days, *history), LEAST_NONE, 1.0))
        horizon = horizon_days if model.regularity > 1 else None
        return log_none_within(days, log_none, log_at_horizon, log_pooled, horizon) > LOG_HALF

    return halved(still_none)


def halved(still_none: Callable[[Array], NDArray[np.bool_]]) -> float:
    """Return the middle of the cell that halving five years leads to; NaN: it is later.

    The steps are those of a bisection, also where the function is not monotone: each call looks at
    all the middles to which the next few halvings can lead.

    Parameters
    ----------
    still_none
        Days, shape (n,) -> whether no order within them is likelier than one, shape (n,).
    """
    if still_none(np.array([LATEST_ORDER_DAYS]))[0]:
        return math.nan
    low, left = 0, HALVINGS
    while left:
        halvings = min(left, _AT_ONCE)
        left -= halvings
        middles = low + (np.arange(1, 1 << halvings) << left)
        is_later = still_none(np.asarray(middles * CELL_DAYS, dtype=np.float64)).tolist()
        place = 0
        for step in reversed(range(halvings)):
            if is_later[place + (1 << step) - 1]:
                place += 1 << step
        low += place << left
    return (low + 0.5) * CELL_DAYS


def _log(p_none: float) -> float:
    return log(clip(p_none, 1e-9, 1 - 1e-9))


def _rows(*values: float) -> list[Array]:
    return [np.array([value]) for value in values]

"""The median days to the next order of buyers.

P(no order within t) follows the customer base, and equals the pooled probability at the horizon:
the logarithm is that of the customer base times a power. Where purchases are regular, this holds
within the horizon alone; after it, the customer base tells how long a silence of a horizon goes on:

    P(none within t) = P(none within the horizon) * P_base(none within t) / P_base(none within the
    horizon)

A power says that orders come so many times faster or slower at all times. Where none falls due
within the horizon, both probabilities are close to 1, and such a power is a ratio of two errors.
The date moves on while the customer is silent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.inactivity.members import GapRule
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.parted import PartedBase, merged

# Where the median day of the next order is later than this, none is predicted.
LATEST_ORDER_DAYS = 1825.0
# The median is known to that range divided by two so many times, a few seconds.
HALVINGS = 24
CELL_DAYS = LATEST_ORDER_DAYS / 2.0**HALVINGS
# A probability that stays at one half, as where nothing is known, gives no date.
LOG_HALF = float(np.log(0.5)) - 1e-9
LEAST_NONE = 1e-12


def median_days_to_order(
    base: CustomerBase | None,
    rule: GapRule,
    horizon_days: int,
    columns: Mapping[str, Array],
    p_inactive: Array,
) -> Array:
    """Return the median days until the next order, shape (rows,); NaN: later than five years.

    Parameters
    ----------
    base
        The customer base, of which the first model is asked; None where it cannot be fitted.
    rule
        The rule on gaps, which is asked without a customer base.
    horizon_days
        Days of the horizon.
    columns
        Columns of the buyers, shape (rows,) each.
    p_inactive
        Pooled P(no purchase in the horizon), shape (rows,).
    """
    if isinstance(base, PartedBase):
        parts = base.parts(columns)
        return merged(
            parts,
            [
                median_days_to_order(
                    part.base, rule, horizon_days, part.histories, p_inactive[part.rows]
                )
                for part in parts
            ],
        )
    log_pooled = np.log(np.clip(p_inactive, 1e-9, 1 - 1e-9))
    model = None if base is None else base.models[0]

    def none_within(days: Array) -> Array:
        if model is None:
            return rule.probability(columns["recency_days"], days)
        return model.p_none(days, columns["frequency"], columns["t_x_days"], columns["T_days"])

    at_horizon = none_within(np.full(len(p_inactive), float(horizon_days)))
    log_at_horizon = np.log(np.clip(at_horizon, 1e-9, 1 - 1e-9))
    if model is not None:
        days = _closed_form_days(model, columns, log_pooled / log_at_horizon)
        if days is not None:
            return days
    is_regular = model is not None and model.regularity > 1
    low, high = np.zeros(len(p_inactive)), np.full(len(p_inactive), LATEST_ORDER_DAYS)

    def still_none(days: Array) -> NDArray[np.bool_]:
        log_none = np.log(np.clip(none_within(days), LEAST_NONE, 1.0))
        horizon = horizon_days if is_regular else None
        return log_none_within(days, log_none, log_at_horizon, log_pooled, horizon) > LOG_HALF

    never = still_none(high)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        later = still_none(middle)
        low, high = np.where(later, middle, low), np.where(later, high, middle)
    return np.where(never, np.nan, 0.5 * (low + high))


def log_none_within(
    days: Array,
    log_none: Array,
    log_at_horizon: Array | float,
    log_pooled: Array | float,
    horizon_days: float | None,
) -> Array:
    """Return the log of P(no order within days), shape (rows,).

    Parameters
    ----------
    days
        Days after the as_of, shape (rows,).
    log_none, log_at_horizon
        Log of P(no order) by the customer base, within these days and within the horizon.
    log_pooled
        Log of the pooled P(no order within the horizon).
    horizon_days
        Days of the horizon, after which the silence goes on by the customer base; None: the power
        of the horizon holds at all times.

    >>> logs = np.log(np.array([0.9999, 0.24]))
    >>> within = log_none_within(np.array([90.0, 400.0]), logs, logs[0], np.log(0.99), 90.0)
    >>> np.exp(within).round(3).tolist()
    [0.99, 0.238]
    """
    by_power = (log_pooled / log_at_horizon) * log_none
    if horizon_days is None:
        return np.asarray(by_power)
    return np.where(days <= horizon_days, by_power, log_pooled + (log_none - log_at_horizon))


def _closed_form_days(model: Model, columns: Mapping[str, Array], power: Array) -> Array | None:
    """Return what the bisection returns; None where the model has no closed form."""
    x, t_x, T = columns["frequency"], columns["t_x_days"], columns["T_days"]
    p_none = np.exp(LOG_HALF / power)
    days = model.days_until(p_none, x, t_x, T)
    if days is None:
        return None
    is_known = (days < LATEST_ORDER_DAYS) & (p_none > LEAST_NONE)
    cells = np.floor(np.where(is_known, days, 0.0) / CELL_DAYS) + 0.5
    return np.where(is_known, cells * CELL_DAYS, np.nan)

"""The price of waiting: the loss per week of silence, and the day on which the window closes.

With w days of further silence, by the customer base and for a customer of frequency x, last order
at t_x and age T, all at (x, t_x, T + w):

    a(w)        P(still a customer)
    s(w)        a(w) (orders if kept - orders if one may leave): what a contact can keep
    silent(w)   P(no purchase within w)

``loss_per_week = silent(7) * value at risk * (1 - s(7) / s(0))``, weighted by the chance of
silence, since who orders meanwhile needs no contact. It is of the active alone: what the lapsed
may bring back falls about half as fast with silence as the customer base says (the other members
of the pool have seen such silences), which makes a loss worked out like this three times too high.

P(no purchase) of the customer base is raised to the power with which it equals the pooled
probability at the horizon, as for the day of the next order; where purchases are regular it is
taken as it is, since a power that is right for what falls due within the horizon is none for what
falls due later. ``closes_in_days`` is the first day from which P(purchase in the horizon | silence
so far) stays below a limit.

Who pays a price at regular gaps leaves when the next payment falls due: until then a(w) is 1, and
waiting costs nothing.

Silence tells nothing of open contracts, and nothing is known of the silence of prospects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.distinct import packed
from stagecast.training.value.kept import still_until_due

WEEK_DAYS: Final = 7.0
LIMIT: Final = 0.05
"""Chance of a purchase within the horizon below which the window is closed."""
LATEST_DAYS: Final = 1825
"""A window that closes later than this many days after the as_of has no day."""
DISTINCT_ROWS: Final = 2_000
"""With at least this many rows, each distinct history is evaluated once."""
# With few rows, calls cost more than what they compute: two steps of many parts find the day.
FEW_ROWS: Final = 64
FEW_PARTS: Final = 45
# Where the last day with enough chance is looked for, before it is halved down to a day: gaps that
# are regular make the chance rise before it falls.
_DAYS = np.array([0.0, 15, 30, 60, 90, 120, 180, 270, 365, 548, 730, 1095, LATEST_DAYS])
_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class Waiting:
    """What it costs to wait, shape (rows,) each; NaN is null.

    Parameters
    ----------
    loss_per_week
        Money that a week of waiting is expected to cost.
    closes_in_days
        Whole days until the window closes; 0: it is closed.
    """

    loss_per_week: Array
    closes_in_days: Array


def price_of_waiting(
    model: Model,
    columns: Mapping[str, Array],
    p_inactive: Array,
    value_at_risk: Array,
    *,
    horizon_days: int,
    value_days: int,
    ended: Callable[[Mapping[str, Array]], Array | float] | None = None,
    limit: float = LIMIT,
) -> Waiting:
    """Return what it costs to wait with the contact of buyers.

    Parameters
    ----------
    model
        The customer-base model.
    columns
        ``frequency``, ``t_x_days`` and ``T_days`` of the buyers, shape (rows,) each.
    p_inactive
        Pooled P(no purchase in the horizon), shape (rows,).
    value_at_risk
        What a contact can save, in money, shape (rows,); NaN where there is none.
    horizon_days
        Horizon of ``p_inactive``.
    value_days
        Value horizon of the value at risk.
    ended
        P(the next payment has fallen due) of columns, see
        :meth:`stagecast.training.value.model.ValueModel.ended`; None where nobody knows.
    limit
        Chance of a purchase in the horizon below which the window is closed.
    """
    history, position = _distinct(columns)
    x, t_x, T = history
    log_none = np.log(_clipped(model.p_none(float(horizon_days), x, t_x, T)))[position]
    if model.regularity > 1:
        # where no order falls due within the horizon, both are close to 1, and their ratio says
        # nothing of the days on which one does
        power = np.ones(len(p_inactive))
    else:
        power = np.log(_clipped(p_inactive)) / log_none
    at = _a_week_later(T)
    log_silent = np.log(_clipped(model.p_none(WEEK_DAYS, x, t_x, T)))[position]
    alive = model.p_alive(x, t_x, at)
    # undiscounted: the ratio of two dates a week apart hardly depends on the discount
    stays = model.orders_if_kept(float(value_days), x, t_x, at, 0.0)
    may_leave = model.expected_orders_discounted(float(value_days), x, t_x, at, 0.0, alive)
    alive, stays, may_leave = (values[:, position] for values in (alive, stays, may_leave))
    if ended is not None:
        alive = still_until_due(
            alive, ended({**columns, "T_days": _a_week_later(columns["T_days"])})
        )
    savable = _ratio(np.maximum(alive * stays - may_leave, 0.0))
    loss = np.exp(power * log_silent) * value_at_risk * (1.0 - np.clip(savable, 0.0, 1.0))
    return Waiting(np.asarray(loss), _closes(model, columns, power, horizon_days, limit))


def _a_week_later(T: Array) -> Array:
    """Return the ages today and after a week of silence, shape (2, rows)."""
    return np.asarray(T + np.array([0.0, WEEK_DAYS])[:, None])


def _ratio(values: Array) -> Array:
    """Return the second row over the first; 1 where the first is 0 and nothing can be lost."""
    first = values[0] > _SMALLEST
    return np.where(first, values[1] / np.where(first, values[0], 1.0), 1.0)


def _closes(
    model: Model, columns: Mapping[str, Array], power: Array, horizon_days: int, limit: float
) -> Array:
    """Return the first whole day from which the chance stays below the limit; NaN: later."""
    x, t_x, T = columns["frequency"], columns["t_x_days"], columns["T_days"]
    # P(no purchase) of the customer base at which the pooled chance is at the limit
    most_none = np.exp(np.log1p(-limit) / power)

    def is_open(silence: Array) -> NDArray[np.bool_]:
        return np.asarray(model.p_none(float(horizon_days), x, t_x, T + silence) <= most_none)

    low = np.where(is_open(np.zeros(len(x))), 0.0, -1.0)
    high = np.where(low < 0, 0.0, float(LATEST_DAYS))
    if model.regularity > 1:
        days = np.broadcast_to(_DAYS[:, None], (len(_DAYS), len(x)))
        last = np.where(is_open(days), np.arange(len(_DAYS))[:, None], -1).max(axis=0)
        low = np.where(last < 0, -1.0, _DAYS[last])
        high = np.where(last < 0, 0.0, _DAYS[np.minimum(last + 1, len(_DAYS) - 1)])
    parts = FEW_PARTS if len(x) <= FEW_ROWS else 2
    while (wide := high - low > 1.0).any():
        cuts = np.floor(low + (high - low) * (np.arange(1.0, parts) / parts)[:, None])
        edges = np.vstack([low, cuts, high])
        last = is_open(np.maximum(cuts, 0.0)).sum(axis=0)
        rows = np.arange(len(x))
        low = np.where(wide, edges[last, rows], low)
        high = np.where(wide, edges[last + 1, rows], high)
    return np.where(is_open(np.full(len(x), float(LATEST_DAYS))), np.nan, high)


def _distinct(
    columns: Mapping[str, Array],
) -> tuple[tuple[Array, Array, Array], NDArray[np.int64] | slice]:
    """Return the distinct histories, and the position of each row among them."""
    x, t_x, T = columns["frequency"], columns["t_x_days"], columns["T_days"]
    key = packed((x, t_x, T)) if len(x) >= DISTINCT_ROWS else None
    if key is None:
        return (x, t_x, T), slice(None)
    _, first, position = np.unique(key, return_index=True, return_inverse=True)
    return (x[first], t_x[first], T[first]), position


def _clipped(probability: Array) -> Array:
    return np.asarray(np.clip(probability, _SMALLEST, 1.0 - _SMALLEST))

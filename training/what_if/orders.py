"""Discounted orders by the customer base with another drop-out and another pace after T."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.once_a_season import OnceASeason
from stagecast.training.learners.customer_base import CustomerBase, distinct_histories
from stagecast.training.learners.parted import merged
from stagecast.training.what_if.leaving import History, with_drop_out

DropOut = Mapping[int | None, tuple[float, ...]]
"""Factor of ``a`` or ``s`` of each model of the base, by the plan of a customer; None: no plan."""


def orders_by_base(
    base: CustomerBase,
    days: Sequence[int],
    columns: Mapping[str, Array],
    annual_rate: float,
    drop_out: DropOut,
    pace: float,
) -> Array:
    """Return the discounted orders within each of several ``days``, shape (days, rows).

    Parameters
    ----------
    base
        The customer base, whose P(alive) stays.
    days
        Ends of the spans after the as_of.
    columns
        ``frequency``, ``t_x_days`` and ``T_days`` of buyers, shape (rows,) each.
    annual_rate
        Annual rate of the discount.
    drop_out
        See :data:`DropOut`; 1 changes nothing.
    pace
        Factor of the order rate of one-time buyers; 1 changes nothing.
    """
    parts, by_part = base.parts(columns), []
    for part in parts:
        history, position = distinct_histories(part.histories)
        by_model = [
            orders_of_model(model, days, history, annual_rate, factor, pace)
            for model, factor in zip(part.base.models, drop_out[part.plan], strict=True)
        ]
        orders = np.average(by_model, axis=0, weights=part.base.weights)
        by_part.append(np.asarray(orders[:, position]))
    return merged(parts, by_part)


def orders_of_model(
    model: Model,
    days: Sequence[int],
    history: History,
    annual_rate: float,
    drop_out: float = 1.0,
    pace: float = 1.0,
) -> Array:
    """Return the discounted orders by one model, shape (days, rows).

    Parameters
    ----------
    model
        The customer-base model.
    days, annual_rate, drop_out, pace
        As for :func:`orders_by_base`.
    history
        Repeat purchase days, days from first to last purchase, and T in days, shape (rows,) each.

    Notes
    -----
    Where coins fall at orders, a pace c is another unit of time: the orders within t are those
    within c t, and a year of discount has the rate ``(1 + rate)^(1/c) - 1``. Where customers leave
    at a rate of their own, there are c times as many orders at each time. Who buys once a season
    has no other pace.
    """
    x, t_x, T = history
    alive = model.p_alive(*history)
    changed = with_drop_out(model, drop_out)
    result = np.empty((len(days), len(x)))
    pace = 1.0 if isinstance(model, OnceASeason) else pace
    for rows, c in ((np.flatnonzero(x > 0), 1.0), (np.flatnonzero(x == 0), pace)):
        stretch, times = (1.0, c) if model.name == "pareto_nbd" else (c, 1.0)
        rate = float(np.expm1(np.log1p(annual_rate) / stretch))
        # one span after the other: regular gaps choose the nodes of the integral by the span
        for k, span in enumerate(days):
            result[k, rows] = times * changed.expected_orders_discounted(
                span * stretch, x[rows], t_x[rows], T[rows], rate, alive[rows]
            )
    return result

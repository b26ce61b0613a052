"""How likely customers leave for good within the horizon, and the drop-out that changes it.

A customer-base model says for a customer who is active at T, with a horizon of h days:

    MBG/NBD, BG/NBD, MBG/CNBD-k   P(leave) = E[p] E*[orders within h]
    Pareto/NBD                    P(leave) = 1 - ((beta + T) / (beta + T + h))^s

The coin p is Beta(a, b + coins) and falls after each order, so that of a customer with coin p the
n-th order comes with ``(1 - p)^(n - 1) P(N >= n)`` and is the last with p of these; weighted by p,
a Beta(a, b) is a Beta(a + 1, b), under which E* is the expectation.

The drop-out factor q turns a into q a, or s into q s, for the time after T alone: P(alive) is that
of the fitted model.

Sources: Batislam, Denizel and Filiztekin (2007) and Fader and Hardie (2005) for the distributions
of coins and leaving rates of customers who are active at T.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from scipy.optimize import brentq

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.once_a_season import OnceASeason
from stagecast.training.what_if.levers import UnreachableError

History = tuple[Array, Array, Array]

# Rows by which the factor is solved for; more change it by less than its effect is known.
MOST_ROWS: Final = 2_000
# Range of the logarithm of the factor.
_RANGE: Final = 12.0


def with_drop_out(model: Model, factor: float) -> Model:
    """Return the model whose drop-out parameter, ``a`` or ``s``, is multiplied by a factor."""
    r, alpha, drop_out, last = model.params
    return replace(model, params=(r, alpha, drop_out * factor, last))


def p_leaving(model: Model, days: float, history: History) -> Array:
    """Return P(leaves for good within ``days`` | active at T), shape (rows,).

    Parameters
    ----------
    model
        The customer-base model.
    days
        Length of the span after T, in days.
    history
        Repeat purchase days, days from first to last purchase, and T in days, shape (rows,) each.
    """
    x, t_x, T = history
    if isinstance(model, OnceASeason):
        return model.p_leaving(days, x, t_x, T)
    r, alpha, third, fourth = model.params
    if model.name == "pareto_nbd":
        return np.asarray(-np.expm1(-third * np.log1p(days / (fourth + T))))
    coins = x if model.name == "bg_nbd" else x + 1.0
    weighted = replace(model, params=(r, alpha, third + 1.0, fourth))
    orders = weighted.expected_orders_discounted(days, x, t_x, T, 0.0, np.ones(len(x)))
    return np.asarray(third / (third + fourth + coins) * orders)


def mean_leaving(model: Model, days: float, history: History, weight: Array) -> float:
    """Return the mean of :func:`p_leaving`, weighted; 0 where no weight is above 0."""
    total = float(weight.sum())
    if total <= 0:
        return 0.0
    return float(weight @ p_leaving(model, days, history)) / total


def drop_out_factor(
    model: Model, days: float, history: History, weight: Array, change: float
) -> float:
    """Return the factor of ``a`` or ``s`` that changes the mean P(leaving) by a share.

    Parameters
    ----------
    model, days, history
        As for :func:`p_leaving`.
    weight
        P(active at T) of those whose leaving is meant, 0 of the others, shape (rows,).
    change
        Change of the mean, as a share; -0.05 is 5 % less.

    Returns
    -------
    float
        1 where nobody can leave.

    Raises
    ------
    UnreachableError
        Leaving cannot become that likely.
    """
    rows = np.flatnonzero(weight > 0)
    rows = rows[:: max(1, -(-len(rows) // MOST_ROWS))]
    x, t_x, T = (values[rows] for values in history)
    weights = weight[rows]
    now = mean_leaving(model, days, (x, t_x, T), weights)
    if change == 0 or now <= 0:
        return 1.0

    def excess(log_factor: float) -> float:
        changed = with_drop_out(model, float(np.exp(log_factor)))
        return mean_leaving(changed, days, (x, t_x, T), weights) / now - (1.0 + change)

    low, high = (-_RANGE, 0.0) if change < 0 else (0.0, _RANGE)
    if excess(low) > 0 or excess(high) < 0:
        raise UnreachableError(
            f"--churn {100 * change:+.6g}%: {now:.1%} of the active leave within {days:g} days, and"
            f" {now * (1.0 + change):.1%} is more than the models can come to; give a smaller "
            "change"
        )
    return float(np.exp(brentq(excess, low, high, xtol=1e-10)))

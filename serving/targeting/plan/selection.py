"""The customers whose contacts bring most under a budget and a number of contacts.

Equal costs: the customers with the largest gains, which is exact. Otherwise a knapsack: with a
price L >= 0 on money, the best K customers by gain - L cost bound what any choice within the budget
B can bring,

    bound(L) = L B + the sum of the K largest max(gain - L cost, 0),

and the smallest bound over L is that of the linear relaxation (Dantzig 1957; Lagrangian
relaxation, Fisher 1981). What the price chooses is filled up greedily. Where the result is below
the bound, customers whose other choice cannot reach it are fixed (reduced costs), and the few that
are left are chosen by branch and bound (HiGHS, through SciPy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array

Rows = NDArray[np.int64]

PRICE_STEPS = 60
CORE_MAX = 2_000
"""Most customers that are left to branch and bound."""
NODES_MAX = 2_000
_TOLERANCE = 1e-9
_SOLVER_UNITS = 1e4
"""The largest gain in the units of the solver, whose absolute gap is 1e-6."""


@dataclass(frozen=True)
class Selection:
    """Customers who were chosen.

    Parameters
    ----------
    rows
        Their positions, shape (k,), the largest gain first; ties in the order of the input.
    bound
        What no choice within the limits can exceed, in money.
    """

    rows: Rows
    bound: float


def select(
    gain: Array, cost: Array, *, budget: float | None = None, contacts: int | None = None
) -> Selection:
    """Return the customers whose gains have the largest sum within the limits.

    Parameters
    ----------
    gain
        Expected gain of contacting each customer after all costs, shape (n,), in money; only those
        above 0 are chosen.
    cost
        Expected cost of contacting each customer, shape (n,), in money, at least 0.
    budget
        Most that the costs may sum to; None: no limit.
    contacts
        Most customers; None: no limit.
    """
    worth = np.flatnonzero(gain > 0)
    slots = len(worth) if contacts is None else min(contacts, len(worth))
    ranked = worth[np.argsort(-gain[worth], kind="stable")]
    first = ranked[:slots]
    if budget is None or cost[first].sum() <= budget * (1 + _TOLERANCE):
        return Selection(first, float(gain[first].sum()))
    if np.ptp(cost[worth]) <= _TOLERANCE * max(1.0, float(cost[worth].max())):
        affordable = int(budget / float(cost[worth[0]]) * (1 + _TOLERANCE))
        first = first[:affordable]
        return Selection(first, float(gain[first].sum()))
    chosen, bound = _knapsack(gain[ranked], cost[ranked], budget, slots)
    return Selection(ranked[np.sort(chosen)], bound)


def _knapsack(gain: Array, cost: Array, budget: float, slots: int) -> tuple[Rows, float]:
    """Return positions of the chosen and the bound; gains are positive and descend."""
    price, bound = _price(gain, cost, budget, slots)
    reduced = gain - price * cost
    chosen = _fill(reduced, gain, cost, budget, slots)
    value = float(gain[chosen].sum())
    if value >= bound * (1 - _TOLERANCE):
        return chosen, value
    free, fixed = _core(reduced, bound - value, slots)
    left = budget - float(cost[fixed].sum())
    if 0 < len(free) <= CORE_MAX and left > 0:
        rest = _branch_and_bound(gain[free], cost[free], left, slots - len(fixed))
        if rest is not None:
            picked, is_best = rest
            exact = np.concatenate([fixed, free[picked]])
            # the solver may exceed a limit by its tolerance, and then proves nothing
            fits = cost[exact].sum() <= budget * (1 + _TOLERANCE)
            if fits and gain[exact].sum() >= value:
                chosen, value = exact, float(gain[exact].sum())
                bound = value if is_best else bound
    return chosen, bound


def _price(gain: Array, cost: Array, budget: float, slots: int) -> tuple[float, float]:
    """Return the price of money with the smallest bound, and that bound."""

    def at(price: float) -> tuple[float, float]:
        reduced = np.maximum(gain - price * cost, 0.0)
        if slots < len(reduced):
            top = np.argpartition(-reduced, slots - 1)[:slots]
        else:
            top = np.arange(len(reduced))
        top = top[reduced[top] > 0]
        return price * budget + float(reduced[top].sum()), float(cost[top].sum())

    with np.errstate(divide="ignore"):
        ratios = gain / cost
    low, high = 0.0, float(ratios[np.isfinite(ratios)].max()) * (1 + _TOLERANCE)
    best_price, best = low, at(low)[0]
    for _ in range(PRICE_STEPS):
        middle = (low + high) / 2
        bound, spent = at(middle)
        if bound < best:
            best_price, best = middle, bound
        low, high = (middle, high) if spent > budget else (low, middle)
    bound, _ = at(high)
    return (high, bound) if bound < best else (best_price, best)


def _fill(reduced: Array, gain: Array, cost: Array, budget: float, slots: int) -> Rows:
    """Return a good choice: by gain at the price of money, then whoever still fits.

    A second choice, by gain for money, is taken where it brings more.
    """
    with np.errstate(divide="ignore"):
        by_ratio = np.argsort(-(gain / cost), kind="stable")
    orders = (np.argsort(-reduced, kind="stable"), by_ratio)
    choices = [_greedy(order, cost, budget, slots) for order in orders]
    return max(choices, key=lambda rows: float(gain[rows].sum()))


def _greedy(order: Rows, cost: Array, budget: float, slots: int) -> Rows:
    """Return the first of an order that fit, skipping those that do not."""
    chosen: list[Rows] = []
    left, room = budget, slots
    while len(order) and room > 0:
        spent = np.cumsum(cost[order])
        fits = int(np.searchsorted(spent, left * (1 + _TOLERANCE), side="right"))
        fits = min(fits, room)
        chosen.append(order[:fits])
        left -= float(spent[fits - 1]) if fits else 0.0
        room -= fits
        order = order[fits + 1 :]
        order = order[cost[order] <= left]
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)


def _core(reduced: Array, gap: float, slots: int) -> tuple[Rows, Rows]:
    """Return who is left open and who is chosen for certain, given the gap to the bound."""
    order = np.argsort(-reduced, kind="stable")
    last_in = max(0.0, float(reduced[order[slots - 1]])) if slots <= len(order) else 0.0
    first_out = max(0.0, float(reduced[order[slots]])) if slots < len(order) else 0.0
    is_in = np.zeros(len(reduced), dtype=np.bool_)
    is_in[order[:slots]] = True
    is_in &= reduced > 0
    loss = np.where(is_in, reduced - first_out, last_in - reduced)
    is_free = loss <= gap
    return np.flatnonzero(is_free), np.flatnonzero(is_in & ~is_free)


def _branch_and_bound(
    gain: Array, cost: Array, budget: float, slots: int
) -> tuple[Rows, bool] | None:
    """Return the best of a few customers, and whether that is proven; None where it gave up."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # SciPy is slow to import

    # in units of the budget and of the largest gain, since the solver's tolerances are absolute
    limits = LinearConstraint(
        np.vstack([cost / budget, np.ones(len(cost))]), ub=np.array([1.0, slots])
    )
    result = milp(
        -gain / gain.max() * _SOLVER_UNITS,
        constraints=limits,
        bounds=Bounds(0, 1),
        integrality=np.ones(len(gain), dtype=np.int64),
        options={"node_limit": NODES_MAX, "mip_rel_gap": 0.0},
    )
    if result.x is None:
        return None
    return np.flatnonzero(result.x > 0.5), bool(result.status == 0)

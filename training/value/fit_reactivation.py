"""Fitting of :class:`stagecast.training.value.reactivation.Reactivation` on past dates.

Whoever buys after a silence is either a customer who never left, or one who had left and is back.
The models of leaving know only the first, with a chance for each customer; those who come beyond
that are the second. Where nobody comes beyond it, as where customers leave for good, nothing is
learned, and who is back is taken to buy as before.

At a date, with P(still a customer) ``a`` and P(purchase within the window | still a customer) ``q``
by the models as they were at that date, shifted together in log odds,

    P(purchase within the window)  =  a q + (1 - a) back

The likelihood of who bought gives ``back``, and P(had left | bought) of each customer. The orders
that followed the purchase are those of both kinds, by that chance: who never left buys as the
models say, and who is back at a rate of which ``level`` and ``power`` are learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.config import TrainConfig
from stagecast.training.learners.customer_base import (
    HISTORY,
    CustomerBase,
    Part,
    distinct_histories,
)
from stagecast.training.learners.leaving import Leaving, weighted
from stagecast.training.panel import Frame, thinned
from stagecast.training.value.reactivation import Reactivation
from stagecast.training.value.spans import Purchases

MAX_DATES: Final = 3
MAX_ROWS, MAX_REGULAR_ROWS = 50_000, 5_000
"""About how many rows teach; the second with models of regular gaps, which take longer."""
FEWEST_CUSTOMERS: Final = 60
FEWEST_BACK: Final = 10.0
"""Least number of customers who had left and came back, as expected, that teach."""
LEVEL_SPREAD: Final = 0.5
"""Standard deviation of the log of the level among logs."""
POWER_SPREAD: Final = 0.5
"""Standard deviation of the power below 1 among logs."""
SHIFT_SPREAD: Final = 0.5
"""Standard deviation, in log odds, of how far the customers of a window buy as foretold."""
CHANCE: Final = 3.0
"""Standard errors by which the chance of coming back is taken to be less than its estimate."""
MAX_SHIFT: Final = 3.0
MAX_BACK: Final = 0.99
_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class Returned:
    """Customers of past dates who bought in the window after them, shape (rows,) each.

    Parameters
    ----------
    customer
        Number of the customer.
    p_left
        P(had left before the date | bought in the window).
    orders
        Orders in the span that followed that purchase.
    if_customer
        Those expected of one who had never left.
    as_before
        Those expected of one who is back at the rate of before, and may leave again.
    rate
        The rate of before, in purchase days per day.
    """

    customer: Array
    p_left: Array
    orders: Array
    if_customer: Array
    as_before: Array
    rate: Array


def fit_reactivation(
    dates: Sequence[Frame],
    bases: Mapping[int, CustomerBase],
    leaving: Leaving | None,
    purchases: Purchases,
    config: TrainConfig,
) -> Reactivation:
    """Return what past dates teach of customers who are back; nothing where too few came back.

    Parameters
    ----------
    dates
        Frames of buyers, newest first.
    bases
        Days before the as_of -> customer base of that date.
    leaving
        How customers leave, at the as_of; None where the customer base says it.
    purchases
        Every purchase day known at the as_of.
    config
        Settings of the training.
    """
    usable = [
        frame
        for frame in dates
        if frame.back in bases
        and frame.back >= 2 * config.horizon_days
        and len(frame) >= FEWEST_CUSTOMERS
    ]
    if not usable:
        return Reactivation()
    spread = np.unique(np.linspace(0, len(usable) - 1, MAX_DATES).round().astype(int))
    chosen = [usable[place] for place in spread]
    models = [_models(bases[frame.back], leaving) for frame in chosen]
    is_regular = any(base.is_regular for base, _ in models)
    frames = thinned(chosen, MAX_REGULAR_ROWS if is_regular else MAX_ROWS)
    parts = [
        _returned(_of_part(frame, part), part.base, gone_weights, purchases, config)
        for frame, (base, gone_weights) in zip(frames, models, strict=True)
        for part in base.parts(frame.columns)
    ]
    return reactivation_of(
        Returned(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    )


def _models(
    base: CustomerBase, leaving: Leaving | None
) -> tuple[CustomerBase, tuple[float, ...] | None]:
    """Return the models of a date, and their weights in what is gone; None: those of who left."""
    if leaving is None:
        return base, None
    if leaving.is_of_gaps:
        return CustomerBase(leaving.models, None, leaving.weights), leaving.gone_weights
    # at a past date customers may have been asked of models of groups of their own
    same = not base.reads and len(leaving.gone_weights) == len(base.models)
    return base, leaving.gone_weights if same else None


def _of_part(frame: Frame, part: Part) -> Frame:
    """Return the customers of a plan, with the histories of its models."""
    if isinstance(part.rows, slice):
        return frame
    of_rows = frame.of(part.rows)
    return replace(of_rows, columns={**of_rows.columns, **part.histories})


def _returned(
    frame: Frame,
    base: CustomerBase,
    gone_weights: tuple[float, ...] | None,
    purchases: Purchases,
    config: TrainConfig,
) -> tuple[Array, ...]:
    """Return the fields of :class:`Returned` of the customers of a date."""
    span = min(config.value_horizon_days, frame.back // 2)
    window = frame.back - span
    history = {name: frame.columns[name] for name in HISTORY}
    alive = base.p_alive_by_model(history)
    before = (
        base.regained_orders(span, history, 0.0, alive)
        if gone_weights is None
        else Leaving(gone_weights).regained_orders(base, span, history, 0.0, alive)
    )
    _, position = distinct_histories(history)
    is_customer = weighted(alive, base.weights)[position]
    first, orders = _first_and_next(frame, purchases, window, span)
    bought = np.isfinite(first)
    p_left = chance_of_having_left(is_customer, 1.0 - base.none_within(window, history), bought)
    rows = np.flatnonzero(bought)
    at = history["T_days"][rows] + first[rows]
    back = {"frequency": history["frequency"][rows] + 1.0, "t_x_days": at, "T_days": at}
    if_customer = base.discounted_orders(span, back, 0.0)
    staying = if_customer / np.maximum(base.kept_orders(span, back, 0.0), _SMALLEST)
    return (
        frame.customer[rows].astype(np.float64),
        p_left[rows],
        orders[rows],
        if_customer,
        before[rows] * np.minimum(staying, 1.0),
        before[rows] / span,
    )


def _first_and_next(
    frame: Frame, purchases: Purchases, window: int, span: int
) -> tuple[Array, Array]:
    """Return days to the first order in the window, and the orders in the span after it, (rows,).

    The first is infinite where there is no order in the window.
    """
    days = purchases.days
    after = days.first_purchase / 86_400e6 - (purchases.as_of_day - frame.back)
    size = int(max(days.customer.max(initial=-1), frame.customer.max(initial=-1))) + 1
    first = np.full(size, np.inf)
    inside = (after >= 0) & (after < window)
    np.minimum.at(first, days.customer[inside], after[inside])
    since = after - first[days.customer]
    orders = np.bincount(days.customer[(since > 0) & (since <= span)], minlength=size)
    return first[frame.customer], orders[frame.customer].astype(np.float64)


def chance_of_having_left(is_customer: Array, p_purchase: Array, bought: Array) -> Array:
    """Return P(had left | bought in the window) of each customer, shape (rows,).

    The chance of coming back is the lower end of its interval, ``CHANCE`` standard errors by the
    likelihood ratio, so that a window in which few more come than the models say teaches nothing.

    Parameters
    ----------
    is_customer
        P(still a customer) at the date, shape (rows,), as all arrays here.
    p_purchase
        P(purchase in the window), of those who are customers alone.
    bought
        Whether there was one.
    """
    alive = np.clip(is_customer, _SMALLEST, 1.0 - _SMALLEST)
    odds = logit(np.clip(p_purchase / alive, _SMALLEST, 1.0 - _SMALLEST))

    def parts(shift: float, back: float) -> tuple[Array, Array]:
        return alive * expit(odds + shift), (1.0 - alive) * back

    def loss(values: Array) -> float:
        p = np.clip(sum(parts(*values)), _SMALLEST, 1.0 - _SMALLEST)
        likelihood = np.log(np.where(bought, p, 1.0 - p)).sum()
        return float((values[0] / SHIFT_SPREAD) ** 2 / 2.0 - likelihood)

    def best(most: float) -> OptimizeResult:
        start, bounds = np.array([0.0, most / 50.0]), [(-MAX_SHIFT, MAX_SHIFT), (0.0, most)]
        return minimize(loss, start, method="L-BFGS-B", bounds=bounds)

    fitted = best(MAX_BACK)
    gain = max(2.0 * (best(0.0).fun - fitted.fun), _SMALLEST)
    shift, back = fitted.x
    customers, left = parts(shift, back * max(0.0, 1.0 - CHANCE / np.sqrt(gain)))
    return np.asarray(left / np.maximum(customers + left, _SMALLEST))


def reactivation_of(returned: Returned) -> Reactivation:
    """Return the level and the power of the orders of who is back.

    The quasi-Poisson posterior mode, with a normal prior of the log of the level and of the power
    around those that change nothing.
    """
    p_left = returned.p_left
    if not p_left.sum() >= FEWEST_BACK:
        return Reactivation()
    usual = float(np.average(returned.rate, weights=p_left))
    if not usual > 0:
        return Reactivation()
    # rows of a customer at several dates count as one, on the whole: a weight by customer would
    # favour those who came at one date only
    independent = len(np.unique(returned.customer)) / len(returned.customer)
    relative = np.log(np.maximum(returned.rate, _SMALLEST) / usual)

    def mean(values: Array) -> Array:
        back = returned.as_before * np.exp(values[0] + (values[1] - 1.0) * relative)
        return np.asarray((1.0 - p_left) * returned.if_customer + p_left * back)

    def deviance(values: Array) -> float:
        expected = np.maximum(mean(values), _SMALLEST)
        return float((expected - returned.orders * np.log(expected)).sum())

    def best(dispersion: float) -> Array:
        def loss(values: Array) -> float:
            log_level, power = values
            prior = (log_level / LEVEL_SPREAD) ** 2 + ((1.0 - power) / POWER_SPREAD) ** 2
            return float(independent * deviance(values) / dispersion + prior / 2.0)

        bounds = [(-3.0, 3.0), (0.0, 1.0)]
        return np.asarray(minimize(loss, np.array([0.0, 1.0]), method="L-BFGS-B", bounds=bounds).x)

    dispersion = 1.0
    for _ in range(3):
        values = best(dispersion)
        expected = np.maximum(mean(values), _SMALLEST)
        pearson = (returned.orders - expected) ** 2 / expected
        dispersion = max(1.0, float(np.average(pearson, weights=p_left)))
    return Reactivation(float(np.exp(values[0])), float(values[1]), usual)

"""The value of buyers over one and three years, as it is and with the levers.

With B(t) the discounted orders within t days by the customer base, h the horizon and g the factor
of the orders after it that past dates teach, :mod:`stagecast.training.value.ahead` says

    O(t)  = O(h) + g (B(t) - B(h))

and with the changed base B' (drop-out and pace)

    O'(t) = O(h) B'(h) / B(h) + g (B'(t) - B'(h)),    value'(t) = value(t) O'(t) / O(t) * basket

An open contract is worth its payments while it lasts. Its orders do not change; with the P(cancel)
of the changed hazard,

    value'(t) = value(t) L(p') / L(p)

where L(p) is the share of the value over t days that is left at P(cancel within h) = p
(:func:`stagecast.training.value.kept.parts_of_contracts`). An announced end stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.contracts import Contracts
from stagecast.features.errors import DataRefusedError, NotEnoughDataError
from stagecast.features.snapshots import Snapshot
from stagecast.training.learners.customer_base import HISTORY, CustomerBase
from stagecast.training.models import Models, Predictions
from stagecast.training.value.ahead import OrdersAhead
from stagecast.training.value.kept import parts_of_contracts
from stagecast.training.value.model import discounted_days
from stagecast.training.what_if.leaving import drop_out_factor, mean_leaving, with_drop_out
from stagecast.training.what_if.levers import Levers
from stagecast.training.what_if.orders import DropOut, orders_by_base
from stagecast.training.what_if.second_order import SecondOrder, second_order

ENDS: Final = (365, 1095)
"""Ends of one year and of three, in days after the as_of."""
_LEAST_ALIVE: Final = 1e-9
_LAST_YEAR = (0, 2)  # the columns of ``clv_by_year`` that these end with


@dataclass(frozen=True)
class Leaving:
    """Who may leave, and how likely, before and after.

    Parameters
    ----------
    customers
        Active customers, or open contracts without an announced end.
    before, after
        Mean probability of leaving within the horizon.
    by_contract
        Whether leaving is the cancellation of a contract.
    drop_out
        Factors of the drop-out parameters of the models of the customer base.
    """

    customers: int
    before: float
    after: float
    by_contract: bool
    drop_out: DropOut


@dataclass(frozen=True)
class WhatIf:
    """Value of buyers, as it is and in each scenario.

    Parameters
    ----------
    rows
        Rows of the buyers in the snapshot, shape (buyers,).
    as_is
        Value over one year and over three, shape (buyers, 2).
    changed
        Name of a scenario -> value in it, shape (buyers, 2).
    scenarios
        Name of a scenario -> its levers.
    leaving
        What the lever of churn does.
    one_time
        Buyers with one purchase day and without an open contract.
    second
        What the lever of the second order does; None where there is no such buyer.
    """

    rows: NDArray[np.int64]
    as_is: Array
    changed: Mapping[str, Array]
    scenarios: Mapping[str, Levers]
    leaving: Leaving
    one_time: int
    second: SecondOrder | None


def what_if(
    models: Models,
    snapshot: Snapshot,
    predicted: Predictions,
    active: NDArray[np.bool_],
    levers: Levers,
    threads: int = 0,
) -> WhatIf:
    """Return the value of the buyers of a snapshot, as it is and in each scenario.

    Parameters
    ----------
    models
        The fitted models.
    snapshot
        The customers at the as_of.
    predicted
        What :func:`stagecast.training.models.predict` says of them.
    active
        Whether the state of a row is ``active``, shape (rows,).
    levers
        What is changed, each alone and all together.
    threads
        Threads of LightGBM; 0 uses all cores.

    Raises
    ------
    DataRefusedError
        The log of the training has no amounts.
    NotEnoughDataError
        Nobody has bought, there is no customer base, or the log is too short for three years.
    stagecast.training.what_if.levers.UnreachableError
        The models cannot come to what a lever asks for.
    """
    base, rows = _checked(models, predicted), predicted.buyers
    contracts = None if snapshot.contracts is None else snapshot.contracts.of(rows)
    is_open = np.zeros(len(rows), dtype=bool) if contracts is None else contracts.open
    p_cancel = predicted.p_cancel[rows]
    leaving = _leaving(models, base, predicted, contracts, active[rows], levers.churn)
    once = (predicted.columns["frequency"] == 0) & ~is_open
    second = None
    if once.any():
        second = second_order(base, predicted.columns["T_days"][once], levers.second_order_days)
    as_is = np.cumsum(predicted.clv_by_year[rows], axis=1)[:, list(_LAST_YEAR)]
    near = _Orders(models, base, predicted, threads)
    changed = {}
    for name, scenario in levers.scenarios().items():
        drop_out = leaving.drop_out if scenario.churn else None
        pace = second.pace if second is not None and scenario.second_order_days else 1.0
        ratio = near.ratio(drop_out, pace)
        if scenario.churn and contracts is None:
            ratio *= _next_decision(models, base, predicted.columns, scenario.churn)[:, None]
        ratio[is_open] = 1.0
        if scenario.churn and contracts is not None:
            may_end = is_open & ~contracts.announced
            ratio[may_end] = _lasting_ratio(p_cancel[may_end], scenario.churn, models)
        changed[name] = as_is * ratio * (1.0 + scenario.basket)
    return WhatIf(rows, as_is, changed, levers.scenarios(), leaving, int(once.sum()), second)


class _Orders:
    """Orders of buyers as they are, which those of each scenario are compared with."""

    def __init__(
        self, models: Models, base: CustomerBase, predicted: Predictions, threads: int
    ) -> None:
        self.base, self.config, self.columns = base, models.config, predicted.columns
        self.days = (self.config.horizon_days, *ENDS)
        ahead = OrdersAhead(
            models.value,
            base,
            self.config,
            self.columns,
            predicted.expected_orders[predicted.buyers],
            threads,
        )
        ahead.look_until(self.days)
        self.factor = ahead.factor * ahead.left
        self.by_base = [ahead.by_base(days) for days in self.days]
        self.now = [ahead.until(days) for days in ENDS]
        horizon = float(self.config.horizon_days)
        near = discounted_days(np.array([horizon]), self.config.annual_discount)[0]
        self.in_horizon = ahead.expected_orders * (near / horizon)

    def ratio(self, drop_out: DropOut | None, pace: float) -> Array:
        """Return the orders with another drop-out and pace over those now, shape (buyers, 2).

        None changes no drop-out.
        """
        is_as_before = drop_out is None or all(set(own) == {1.0} for own in drop_out.values())
        if is_as_before and pace == 1.0:
            return np.ones((len(self.in_horizon), len(ENDS)))
        drop_out = drop_out or _as_it_is(self.base, self.columns)
        rate = self.config.annual_discount
        near, *far = orders_by_base(self.base, self.days, self.columns, rate, drop_out, pace)
        in_horizon = self.in_horizon * _over(near, self.by_base[0])
        orders = [
            in_horizon * np.minimum(_over(until, near), 1.0)
            + np.maximum(until - near, 0.0) * self.factor
            for until in far
        ]
        return np.column_stack(
            [_over(then, now) for then, now in zip(orders, self.now, strict=True)]
        )


def _over(numerator: Array, denominator: Array) -> Array:
    """Return the ratio; 1 where there is nothing to compare with."""
    known = denominator > 0
    return np.where(known, numerator / np.where(known, denominator, 1.0), 1.0)


def _checked(models: Models, predicted: Predictions) -> CustomerBase:
    if not models.has_purchases or not len(predicted.buyers):
        raise NotEnoughDataError(
            "nobody in this log has bought before the as_of, so there is no value to change; "
            "choose a later --as-of, or a log with purchases"
        )
    if models.value.mean_spend is None:
        raise DataRefusedError(
            "the model was trained on a log without amounts, so it knows no value in money; train "
            "it on a log with amounts (--amount COL names the column)"
        )
    if models.base is None:
        raise NotEnoughDataError(
            "this model has no customer base: the log of its training had too few customers or "
            "repeat orders to say when customers leave and come back; train it on a longer log"
        )
    if models.value_is_far:
        raise NotEnoughDataError(
            f"the value horizon of {models.config.value_horizon_days} days is more than three "
            f"times the {models.value.history_days:.0f} days of the training's log, which is too "
            "short for a value over years; train on a longer log"
        )
    return models.base


def _leaving(
    models: Models,
    base: CustomerBase,
    predicted: Predictions,
    contracts: Contracts | None,
    active: NDArray[np.bool_],
    change: float,
) -> Leaving:
    """Return what the lever of churn does, with the drop-out factors that do it."""
    columns = predicted.columns
    if contracts is not None:
        may_end = contracts.open & ~contracts.announced
        p = predicted.p_cancel[predicted.buyers][may_end]
        before, after = (
            float(values.mean()) if len(values) else 0.0
            for values in (p, np.minimum(p * (1.0 + change), 1.0))
        )
        return Leaving(len(p), before, after, True, _as_it_is(base, columns))
    horizon = float(models.config.horizon_days)
    # who is lapsed has no risk of churn, unless everybody is
    risky = np.flatnonzero(active) if active.any() else np.arange(len(active))
    drop_out: dict[int | None, tuple[float, ...]] = {}
    before = after = 0.0
    of_risky = {name: columns[name][risky] for name in (*HISTORY, *base.reads)}
    for part in base.parts(of_risky):
        x, t_x, T = (part.histories[name] for name in HISTORY)
        history = (x, t_x, T)
        factors = []
        for share, model in zip(part.base.weights, part.base.models, strict=True):
            alive = model.p_alive(*history)
            factor = drop_out_factor(model, horizon, history, alive, change)
            chance = share * float(alive.sum()) / len(risky)
            before += chance * mean_leaving(model, horizon, history, alive)
            after += chance * mean_leaving(with_drop_out(model, factor), horizon, history, alive)
            factors.append(factor)
        drop_out[part.plan] = tuple(factors)
    # a plan of which nobody is at risk
    return Leaving(len(risky), before, after, False, {**_as_it_is(base, columns), **drop_out})


def _next_decision(
    models: Models, base: CustomerBase, columns: Mapping[str, Array], change: float
) -> Array:
    """Return P(customer at the next payment) with another churn over that of now, shape (buyers,).

    Who pays a price decides when the next payment falls due, though the models of the customer base
    toss the coin at the last one; 1 where customers decide at no such time.
    """
    ended = models.value.ended(base, columns)
    alive = np.clip(columns["btyd_alive"], _LEAST_ALIVE, 1.0)
    return np.asarray(np.maximum(1.0 - change * (1.0 - ended) * (1.0 - alive) / alive, 0.0))


def _as_it_is(base: CustomerBase, columns: Mapping[str, Array]) -> DropOut:
    """Return the factors that change no drop-out."""
    return {part.plan: (1.0,) * len(part.base.models) for part in base.parts(columns)}


def _lasting_ratio(p_cancel: Array, change: float, models: Models) -> Array:
    """Return what changed hazards leave of the value of contracts over what is left now."""
    config, rows = models.config, len(p_cancel)

    def lasting(p: Array, days: int) -> Array:
        parts = parts_of_contracts(
            np.zeros(rows),
            np.ones(rows),
            p,
            config.horizon_days,
            days,
            config.annual_discount,
            None if models.cancellation is None else models.cancellation.unannounced,
        )
        return parts.clv

    changed = np.minimum(p_cancel * (1.0 + change), 1.0)
    return np.column_stack(
        [_over(lasting(changed, days), lasting(p_cancel, days)) for days in ENDS]
    )

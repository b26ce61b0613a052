"""All models of one training together, and what they predict for the rows of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.contracts import Contracts
from stagecast.features.errors import UsageError
from stagecast.features.snapshots import Snapshot, SnapshotPlan
from stagecast.features.stages.scheme import Scheme
from stagecast.training.cancellation.landmarks import standing as open_contracts
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.churn.model import ChurnModel
from stagecast.training.columns import buyer_columns, rows_of
from stagecast.training.config import TrainConfig
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.learners.boosted import cores
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.next_stage.model import NextStageModel, stages_at_end
from stagecast.training.reference import Reference
from stagecast.training.value.intervals import Intervals
from stagecast.training.value.model import ValueModel
from stagecast.training.value.stretch import stretched, stretched_of_new

# Rows that one core predicts at a time.
ROWS_AT_ONCE = 65_536
# An order further away than this is called none.
LATEST_ORDER_DAYS = 1825.0


@dataclass(frozen=True)
class Models:
    """Everything that scoring needs: what a bundle holds.

    ``churn`` speaks of purchases, whatever churn is; ``cancellation`` of contracts, None where
    churn is inactivity. ``spend_interval`` and ``value_interval`` are None until outcomes after a
    date were seen.
    """

    config: TrainConfig
    scheme: Scheme
    catalog: Catalog
    base: CustomerBase | None
    churn: ChurnModel
    cancellation: CancellationModel | None
    next_stage: NextStageModel
    value: ValueModel
    conversion: LeadConversion
    reference: Reference
    spend_interval: Intervals | None
    value_interval: Intervals | None

    @cached_property
    def plan(self) -> SnapshotPlan:
        """What the snapshots that these models score hold."""
        config = self.config
        terms = None if self.cancellation is None else config.terms
        return SnapshotPlan(
            self.scheme, self.catalog, config.horizon_days, config.known_at_start, terms
        )


def contracts_of(snapshot: Snapshot) -> Contracts:
    """Return how the contracts of a snapshot's rows stand.

    Raises
    ------
    UsageError
        Nobody has looked at them.
    """
    if snapshot.contracts is None:
        raise UsageError(
            "this model looks at contracts: hand over how they stand, see "
            "stagecast.features.contracts"
        )
    return snapshot.contracts


@dataclass(frozen=True)
class Predictions:
    """What the models say of each row; NaN is null.

    ``p_inactive``, of no purchase, is null for those who have not bought yet, ``p_convert`` for all
    others; ``p_cancel`` is null without an open contract, or where nothing was learned of
    contracts. ``p_stage`` has shape (rows, stages). ``value_if_kept`` is the discounted value over
    the value horizon of a customer who does order within the horizon, or, with an open contract,
    who is a customer still, as that says; ``clv_residual`` what comes after the value horizon, up
    to ten years from the as_of, null without a customer base. Money is null in a log without
    amounts.
    """

    columns: Mapping[str, Array]
    buyers: NDArray[np.int64]
    p_inactive: Array
    p_convert: Array
    p_cancel: Array
    p_alive: Array
    p_stage: Array
    expected_orders: Array
    expected_spend: Array
    clv: Array
    clv_residual: Array
    value_if_kept: Array
    days_to_order: Array

    @property
    def p_purchase(self) -> Array:
        """P(a purchase within the horizon), of everybody."""
        return _p_purchase(self.p_inactive, self.p_convert)

    @property
    def p_silent(self) -> Array:
        """P(no purchase within the horizon), of everybody."""
        return np.where(np.isnan(self.p_inactive), 1.0 - self.p_convert, self.p_inactive)


def _p_purchase(p_inactive: Array, p_convert: Array) -> Array:
    return np.where(np.isnan(p_inactive), p_convert, 1.0 - p_inactive)


def predict(models: Models, snapshot: Snapshot, threads: int = 0) -> Predictions:
    """Return what the models say of each row of a snapshot.

    Parameters
    ----------
    snapshot
        With the features of the models' catalogue. A category that is missing counts as average;
        contracts are looked at where churn is a cancellation.
    threads
        0 takes all cores, 1 is right for a few rows.

    Raises
    ------
    UsageError
        Other columns than the models' catalogue has, in another order, or of another type; no
        contracts where they are looked at.
    """
    features, rows = snapshot.features, len(snapshot)
    models.catalog.check_columns(features)
    if threads or rows <= ROWS_AT_ONCE:
        return _predict(models, snapshot, threads)
    # rows are independent: cores take parts of them, each small enough to stay near the core;
    # customers who are alike stand together, so that the customer base has fewer to look at
    order = np.lexsort((features["T_days"], features["t_x_days"], features["frequency"]))

    def part(start: int) -> Predictions:
        return _predict(models, snapshot.of(order[start : start + ROWS_AT_ONCE]), 1)

    with ThreadPoolExecutor(cores()) as pool:
        return _joined(list(pool.map(part, range(0, rows, ROWS_AT_ONCE))), order)


def _joined(parts: Sequence[Predictions], order: NDArray[np.int64]) -> Predictions:
    """Return the predictions of all rows as they stood; ``order`` says which row each of the
    parts' is.
    """
    starts = np.cumsum([0, *(len(part.p_inactive) for part in parts)])
    bought = order[
        np.concatenate([start + part.buyers for start, part in zip(starts, parts, strict=False)])
    ]
    sort = np.argsort(bought)
    columns = {
        name: np.concatenate([part.columns[name] for part in parts])[sort]
        for name in parts[0].columns
    }
    whole: dict[str, Any] = {"columns": columns, "buyers": bought[sort]}
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    for one in fields(Predictions):
        if one.name not in whole:
            whole[one.name] = np.concatenate([getattr(part, one.name) for part in parts])[place]
    return Predictions(**whole)


def _predict(models: Models, snapshot: Snapshot, threads: int) -> Predictions:
    horizon = models.config.horizon_days
    features, standing, contracts = snapshot.features, snapshot.standing, snapshot.contracts
    stage, rows = snapshot.stage, len(snapshot)
    buyers = np.flatnonzero(snapshot.buyers)
    others = np.flatnonzero(~snapshot.buyers)
    null = np.full(rows, np.nan)
    p_inactive, p_convert, p_alive, days_to_order = (
        null.copy(),
        null.copy(),
        null.copy(),
        null.copy(),
    )
    orders_if_any, spend_if_any, stretch, beyond = (
        np.ones(rows),
        null.copy(),
        np.ones(rows),
        null.copy(),
    )
    apart = np.ones(rows)
    given_purchase = models.next_stage.after_purchase[stage]
    seen = {**features, **{name: standing.facts[name] for name in models.scheme.signals}}
    columns = buyer_columns(features, buyers, models.base, horizon)
    if len(buyers):
        p_inactive[buyers] = models.churn.probability(columns, threads)
        given_purchase[buyers] = models.next_stage.given_purchase(columns, stage[buyers], threads)
        orders_if_any[buyers] = models.value.orders_if_any(columns)
        per_order = None if models.base is None else models.base.spend_per_order(columns)
        spend = models.value.spend_if_any(columns, per_order, threads)
        if spend is not None:
            spend_if_any[buyers] = spend
            apart[buyers] = models.value.spread((1.0 - p_inactive[buyers]) * spend)
        stretch[buyers], beyond[buyers] = stretched(models.config, models.base, columns)
        days_to_order[buyers] = _days_to_order(models, columns, p_inactive[buyers])
        if models.base is not None:
            p_alive[buyers] = columns["btyd_alive"]
    if len(others):
        categories = rows_of(snapshot.categories, others)
        p_convert[others] = models.conversion.probability(rows_of(seen, others), categories)
        orders_if_any[others] = max(1.0, models.conversion.orders)
        spend_if_any[others] = (
            np.nan if models.value.mean_spend is None else max(0.0, models.conversion.spend)
        )
        stretch[others], beyond[others] = stretched_of_new(models.config, models.base)
        with np.errstate(divide="ignore"):
            constant = (
                horizon * np.log(0.5) / np.log(np.clip(1.0 - p_convert[others], 1e-12, 1 - 1e-12))
            )
        days_to_order[others] = np.where(constant <= LATEST_ORDER_DAYS, constant, np.nan)
    given_silence = models.next_stage.given_silence(
        seen, standing.stage_if_silent, ~snapshot.buyers
    )
    p_purchase = _p_purchase(p_inactive, p_convert)
    if_ordered = spend_if_any * stretch * models.config.margin
    clv = p_purchase * if_ordered * apart
    kept = if_ordered
    if contracts is not None:
        # nobody orders who is no customer, whatever the customer base believes
        alive = np.maximum(np.nan_to_num(p_alive, nan=1.0), p_purchase)
        kept = np.where(contracts.open, clv / alive, if_ordered)
    return Predictions(
        columns=columns,
        buyers=buyers,
        p_inactive=p_inactive,
        p_convert=p_convert,
        p_cancel=_p_cancel(models, snapshot, threads),
        p_alive=p_alive,
        p_stage=stages_at_end(p_purchase, given_purchase, given_silence),
        expected_orders=p_purchase * orders_if_any,
        expected_spend=p_purchase * spend_if_any * apart,
        clv=clv,
        clv_residual=clv * beyond,
        value_if_kept=kept,
        days_to_order=days_to_order,
    )


def _p_cancel(models: Models, snapshot: Snapshot, threads: int) -> Array:
    model, result = models.cancellation, np.full(len(snapshot), np.nan)
    if model is None:
        return result
    contracts = contracts_of(snapshot)
    rows = np.flatnonzero(contracts.open)
    columns = rows_of({name: snapshot.features[name] for name in model.columns}, rows)
    result[rows] = model.probability(open_contracts(contracts), columns, threads=threads)
    return result


def _days_to_order(models: Models, columns: Mapping[str, Array], p_inactive: Array) -> Array:
    """Return the median of the days until the next order; NaN where an order within five years is
    likelier not.

    The customer base gives the shape of P(no order within t), raised to the power that makes it
    meet the blended probability at the horizon; so the date moves on with the silence.
    """
    horizon = models.config.horizon_days
    log_at_horizon = np.log(np.clip(p_inactive, 1e-9, 1 - 1e-9))

    def none_within(days: Array) -> Array:
        if models.base is None:
            return models.churn.rule.probability(columns["recency_days"], days)
        x, t_x, T = columns["frequency"], columns["t_x_days"], columns["T_days"]
        return models.base.models[0].p_none(days, x, t_x, T)

    power = log_at_horizon / np.log(
        np.clip(none_within(np.full(len(p_inactive), float(horizon))), 1e-9, 1 - 1e-9)
    )
    low, high = np.zeros(len(p_inactive)), np.full(len(p_inactive), LATEST_ORDER_DAYS)

    def still_none(days: Array) -> NDArray[np.bool_]:
        # one half for ever, as where nothing is known, is no date
        return np.asarray(
            power * np.log(np.clip(none_within(days), 1e-12, 1.0)) > np.log(0.5) - 1e-9
        )

    never = still_none(high)
    for _ in range(24):
        middle = 0.5 * (low + high)
        later = still_none(middle)
        low, high = np.where(later, middle, low), np.where(later, high, middle)
    return np.where(never, np.nan, 0.5 * (low + high))

"""All models of one training, and their predictions for the rows of a snapshot."""

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
from stagecast.features.stages.contract_facts import OPEN_CONTRACTS
from stagecast.features.stages.lifecycle import Standing
from stagecast.features.stages.scheme import Scheme
from stagecast.training.billing.ahead import ContractsAhead
from stagecast.training.billing.schedule import Spans
from stagecast.training.cancellation.landmarks import open_contracts
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.columns import buyer_columns, rows_of
from stagecast.training.config import TrainConfig
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.learners.boosted import cores
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.next_stage.model import NextStageModel, stages_at_end
from stagecast.training.reference.reference import Reference
from stagecast.training.value.after_contract import is_over
from stagecast.training.value.contract_money import after_contract, of_unpaid
from stagecast.training.value.intervals import Intervals, Outlook
from stagecast.training.value.model import ValueModel, discounted_days
from stagecast.training.value.money import YEARS, Money, money_of_prospects
from stagecast.training.value.money_of_buyers import money_of_buyers
from stagecast.training.waiting.next_order import LATEST_ORDER_DAYS, median_days_to_order

# Rows that one core predicts at a time.
ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Models:
    """All fitted models and settings that scoring needs; the content of a bundle.

    Parameters
    ----------
    config
        Settings of the training.
    scheme
        Stage scheme with thresholds.
    catalog
        Feature catalogue with parameters.
    base
        Customer-base models; None where they cannot be fitted.
    churn
        P(no purchase) of buyers, also where churn is cancellation.
    cancellation
        P(cancellation) of open contracts; None where churn is inactivity.
    next_stage
        Probabilities of the stages at the end of the horizon.
    value
        Orders and spend of buyers within the horizon.
    conversion
        P(first purchase), orders and spend of prospects.
    reference
        Distributions of the customers at the as_of.
    spend_interval, value_interval
        Intervals of the spend within the horizon and of ``clv``; None before they are learned from
        outcomes.
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

    @property
    def has_purchases(self) -> bool:
        """Whether anybody had bought at the training; else nothing is known of purchases."""
        return bool(self.churn.rule.times)

    @property
    def value_is_far(self) -> bool:
        """Whether the value horizon is too many times the history for more than a guess."""
        return self.value.mean_spend is not None and self.value.is_far(
            self.config.value_horizon_days
        )

    @cached_property
    def plan(self) -> SnapshotPlan:
        """The content of the snapshots that these models score."""
        config = self.config
        terms = None if self.cancellation is None else config.terms
        return SnapshotPlan(
            self.scheme, self.catalog, config.horizon_days, config.known_at_start, terms
        )


def contracts_of(snapshot: Snapshot) -> Contracts:
    """Return the state of the contracts of a snapshot's rows.

    Raises
    ------
    UsageError
        The snapshot was taken without contracts.
    """
    if snapshot.contracts is None:
        raise UsageError(
            "this model looks at contracts: hand over how they stand, see "
            "stagecast.features.contracts"
        )
    return snapshot.contracts


@dataclass(frozen=True)
class Predictions:
    """Predictions of the models for each row of a snapshot; NaN is null.

    Arrays have shape (n_rows,) unless stated otherwise; money is null in a log without amounts.

    Parameters
    ----------
    columns
        Columns of the buyers, shape (n_buyers,) each.
    buyers
        Rows of the buyers, shape (n_buyers,).
    p_inactive
        P(no purchase within the horizon); null for customers who have not bought yet.
    p_convert
        P(first purchase within the horizon); null for buyers. What is predicted of purchases is
        null for everybody where nobody had bought at the training.
    p_cancel
        P(cancellation within the horizon); 0 or 1 where the end of the contract is known; null
        without an open contract, or without a model of cancellations.
    p_alive
        P(customer still buys) by the customer base; null without one.
    p_stage
        Probability of each stage at the end of the horizon, shape (n_rows, n_stages).
    expected_orders, expected_spend
        Expected purchase days and spend within the horizon.
    orders_if_any
        Expected purchase days within the horizon if any.
    clv
        Expected discounted value over the value horizon.
    value_p_none, value_orders_if_any
        P(no purchase within the value horizon), and the discounted purchase days in it if any.
    clv_by_year
        Expected discounted value of the first, second and third year from the as_of and of the
        years after them up to the tenth, shape (n_rows, 4); null without a customer base, and where
        the value horizon is many times the history.
    clv_residual
        Expected discounted value after the value horizon, up to ten years from the as_of; null
        where ``clv_by_year`` is.
    value_at_risk, value_gone
        Parts of the value if kept that are expected to be lost from now on, and are lost already;
        see :mod:`stagecast.training.value.kept`. Null for prospects, and without a customer base.
    known_low, known_high
        Ends of the 90 % range of ``clv`` of open contracts, and of customers who pay at regular
        intervals; null of others.
    known_spend_low, known_spend_high
        Ends of the 90 % range of ``expected_spend`` of open contracts whose billing period is
        known, and of customers who pay at regular intervals; null of others.
    days_to_order
        Median days until the next order; null where an order within five years is less likely than
        not.
    """

    columns: Mapping[str, Array]
    buyers: NDArray[np.int64]
    p_inactive: Array
    p_convert: Array
    p_cancel: Array
    p_alive: Array
    p_stage: Array
    expected_orders: Array
    orders_if_any: Array
    expected_spend: Array
    clv: Array
    value_p_none: Array
    value_orders_if_any: Array
    clv_by_year: Array
    clv_residual: Array
    value_at_risk: Array
    value_gone: Array
    known_low: Array
    known_high: Array
    known_spend_low: Array
    known_spend_high: Array
    days_to_order: Array

    @property
    def value_if_kept(self) -> Array:
        """Value over the value horizon if a customer today who stays one, shape (n_rows,)."""
        return self.clv + self.value_at_risk + self.value_gone

    @property
    def spend_outlook(self) -> Outlook:
        """What ``expected_spend`` supposes of the spend of each row."""
        return Outlook(self.expected_spend, self.p_silent, self.orders_if_any, self.orders_so_far)

    @property
    def value_outlook(self) -> Outlook:
        """What ``clv`` supposes of the value of each row."""
        return Outlook(self.clv, self.value_p_none, self.value_orders_if_any, self.orders_so_far)

    def value_range(self, intervals: Intervals) -> tuple[Array, Array]:
        """Return the ends of the 90 % range of ``clv``, shape (n_rows,) each.

        Those of open contracts follow from P(cancel), those of regular payments from what can fall
        due, the others from the intervals.
        """
        around = intervals.around(self.value_outlook)
        return _where_known((self.known_low, self.known_high), around)

    def spend_range(self, intervals: Intervals) -> tuple[Array, Array]:
        """Return the ends of the 90 % range of ``expected_spend``, shape (n_rows,) each.

        Those of open contracts of a known billing period, and of regular payments, follow from
        what can fall due, the others from the intervals.
        """
        around = intervals.around(self.spend_outlook)
        return _where_known((self.known_spend_low, self.known_spend_high), around)

    @property
    def orders_so_far(self) -> Array:
        """Purchase days so far of every row; 0 of prospects."""
        orders = np.zeros(len(self.p_inactive))
        if len(self.buyers):
            orders[self.buyers] = self.columns["orders"]
        return orders

    @property
    def p_purchase(self) -> Array:
        """P(a purchase within the horizon) of every row."""
        return _p_purchase(self.p_inactive, self.p_convert)

    @property
    def p_silent(self) -> Array:
        """P(no purchase within the horizon) of every row."""
        return np.where(np.isnan(self.p_inactive), 1.0 - self.p_convert, self.p_inactive)


def _where_known(ends: tuple[Array, Array], others: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the ends of a range, and the other ones where they are null."""
    low, high = (
        np.where(np.isnan(own), other, own) for own, other in zip(ends, others, strict=True)
    )
    return low, high


def _p_purchase(p_inactive: Array, p_convert: Array) -> Array:
    return np.where(np.isnan(p_inactive), p_convert, 1.0 - p_inactive)


def predict(models: Models, snapshot: Snapshot, threads: int = 0) -> Predictions:
    """Return the predictions of the models for each row of a snapshot.

    Parameters
    ----------
    models
        The fitted models.
    snapshot
        With the features of the models' catalogue, and contracts where churn is cancellation. A
        missing category counts as average.
    threads
        0 uses all cores; 1 is faster for a few rows.

    Raises
    ------
    UsageError
        The columns are not those of the models' catalogue, by name, order or type; or the snapshot
        was taken without contracts where churn is cancellation.
    """
    features, rows = snapshot.features, len(snapshot)
    models.catalog.check_columns(features)
    if threads or rows <= ROWS_AT_ONCE:
        return _predict(models, snapshot, threads)
    # rows are independent: cores take parts of them, each small enough for the cache of a core;
    # sorted by history, so that a part has few distinct histories for the customer base
    order = np.lexsort((features["T_days"], features["t_x_days"], features["frequency"]))

    def part(start: int) -> Predictions:
        return _predict(models, snapshot.of(order[start : start + ROWS_AT_ONCE]), 1)

    with ThreadPoolExecutor(cores()) as pool:
        return _joined(list(pool.map(part, range(0, rows, ROWS_AT_ONCE))), order)


def _joined(parts: Sequence[Predictions], order: NDArray[np.int64]) -> Predictions:
    """Return the predictions of all rows; ``order`` holds the row of each entry of the parts."""
    starts = np.cumsum([0, *(len(part.p_inactive) for part in parts)])
    buyers = order[
        np.concatenate([start + part.buyers for start, part in zip(starts, parts, strict=False)])
    ]
    sort = np.argsort(buyers)
    columns = {
        name: np.concatenate([part.columns[name] for part in parts])[sort]
        for name in parts[0].columns
    }
    values: dict[str, Any] = {"columns": columns, "buyers": buyers[sort]}
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    for field in fields(Predictions):
        if field.name not in values:
            joined = np.concatenate([getattr(part, field.name) for part in parts])
            values[field.name] = joined[position]
    return Predictions(**values)


def _predict(models: Models, snapshot: Snapshot, threads: int) -> Predictions:
    horizon = models.config.horizon_days
    features, standing, contracts = snapshot.features, snapshot.standing, snapshot.contracts
    stage, rows = snapshot.stage, len(snapshot)
    buyers = np.flatnonzero(snapshot.buyers)
    prospects = np.flatnonzero(~snapshot.buyers)
    null = np.full(rows, np.nan)
    p_inactive, p_convert, days_to_order = null.copy(), null.copy(), null.copy()
    money = Money.nothing(rows)
    given_purchase = models.next_stage.after_purchase[stage]
    facts = {**features, **{name: standing.facts[name] for name in models.scheme.signals}}
    columns = buyer_columns(features, buyers, models.base, horizon)
    p_cancel = _p_cancel(models, snapshot, threads)
    if len(buyers) and models.has_purchases:
        p_inactive[buyers] = models.churn.probability(columns, threads)
        ahead = None if contracts is None else _ahead(models, columns, contracts, p_cancel, buyers)
        if ahead is not None:
            p_inactive[buyers] = ahead.p_inactive(p_inactive[buyers])
        given_purchase[buyers] = models.next_stage.given_purchase(columns, stage[buyers], threads)
        earned = money_of_buyers(
            models.value,
            models.base,
            models.config,
            columns,
            p_inactive[buyers],
            models.churn.season_log_odds,
            threads,
            contracts=ahead,
        )
        over = is_over(None if ahead is None else ahead.contracts, len(buyers))
        if ahead is not None:
            over[ahead.former] = False  # how many of them come back is known
        share = models.value.after_contract.share(1.0 - p_inactive[buyers])
        money.put(buyers, after_contract(earned, over, share))
        p_inactive[buyers] = np.where(
            over, 1.0 - (1.0 - p_inactive[buyers]) * share, p_inactive[buyers]
        )
        days_to_order[buyers] = median_days_to_order(
            models.base, models.churn.rule, horizon, columns, p_inactive[buyers]
        )
        if ahead is not None:
            days_to_order[buyers] = ahead.days_to_order(days_to_order[buyers])
    if len(prospects) and models.has_purchases:
        categories = rows_of(snapshot.categories, prospects)
        p_convert[prospects] = models.conversion.probability(rows_of(facts, prospects), categories)
        money.put(
            prospects,
            money_of_prospects(
                models.value, models.base, models.config, models.conversion, p_convert[prospects]
            ),
        )
        with np.errstate(divide="ignore"):
            constant_rate_days = (
                horizon
                * np.log(0.5)
                / np.log(np.clip(1.0 - p_convert[prospects], 1e-12, 1 - 1e-12))
            )
        days_to_order[prospects] = np.where(
            constant_rate_days <= LATEST_ORDER_DAYS, constant_rate_days, np.nan
        )
        if contracts is not None:
            unpaid = prospects[contracts.ever_had[prospects]]
            ahead = _ahead(models, rows_of(features, unpaid), contracts, p_cancel, unpaid)
            money.put(unpaid, _of_unpaid(models, money.of(unpaid), ahead))
            for begins, plan in ahead.beginning:
                p_convert[unpaid[begins]] = 1.0 - plan.p_none
                days_to_order[unpaid[begins]] = plan.next_days
    given_silence = models.next_stage.given_silence(
        facts, standing.stage_if_silent, ~snapshot.buyers
    )
    p_purchase = _p_purchase(p_inactive, p_convert)
    p_stage = stages_at_end(np.nan_to_num(p_purchase), given_purchase, given_silence)
    if contracts is not None and models.scheme.reads_contracts:
        rows_open = np.flatnonzero(contracts.open)
        p_stage[rows_open] = _stage_by_contract(
            models.scheme, standing.take(rows_open), p_cancel[rows_open]
        )
    return Predictions(
        columns=columns,
        buyers=buyers,
        p_inactive=p_inactive,
        p_convert=p_convert,
        p_cancel=p_cancel,
        p_stage=p_stage,
        days_to_order=days_to_order,
        **{f.name: getattr(money, f.name) for f in fields(Money)},
    )


def _ahead(
    models: Models,
    columns: Mapping[str, Array],
    contracts: Contracts,
    p_cancel: Array,
    buyers: NDArray[np.int64],
) -> ContractsAhead:
    """Return the contracts of the buyers with what they are going to pay."""
    config = models.config
    unannounced = None if models.cancellation is None else models.cancellation.unannounced
    spans = Spans(
        config.horizon_days,
        config.value_horizon_days,
        config.annual_discount,
        YEARS,
        unannounced,
    )
    return ContractsAhead(
        contracts.of(buyers),
        p_cancel[buyers],
        models.value.billing,
        columns,
        spans,
        models.value.beginnings,
    )


def _of_unpaid(models: Models, money: Money, ahead: ContractsAhead) -> Money:
    """Return the money of customers whose contract has brought no payment so far."""
    value_days = np.array([float(models.config.value_horizon_days)])
    span = float(discounted_days(value_days, models.config.annual_discount)[0])
    has_amounts = models.value.mean_spend is not None
    return of_unpaid(money, ahead, span, models.config.margin, has_amounts=has_amounts)


def _p_cancel(models: Models, snapshot: Snapshot, threads: int) -> Array:
    model, result = models.cancellation, np.full(len(snapshot), np.nan)
    if model is None:
        return result
    contracts = contracts_of(snapshot)
    rows = np.flatnonzero(contracts.at_risk)
    columns = rows_of({name: snapshot.features[name] for name in model.columns}, rows)
    landmarks = open_contracts(contracts.of(rows))
    result[rows] = model.probability(landmarks, columns, threads=threads)
    # a known end is certain, within the horizon or after it
    ends_within = contracts.days_left < models.config.horizon_days
    return np.where(contracts.announced, ends_within, result)


def _stage_by_contract(scheme: Scheme, standing: Standing, p_cancel: Array) -> Array:
    """Return P(stage at the end of the horizon) of open contracts, shape (n_rows, n_stages).

    A contract that is cancelled leads to the stage of a customer without one, any other to the
    stage that silence leads to. A contract that begins anew within the horizon is neglected.
    """
    over = {**standing.facts, OPEN_CONTRACTS: np.zeros(len(p_cancel))}
    result = np.zeros((len(p_cancel), len(scheme.stages)))
    rows = np.arange(len(p_cancel))
    np.add.at(result, (rows, standing.stage_if_silent), 1.0 - p_cancel)
    if len(rows):
        np.add.at(result, (rows, scheme.assign(over)), p_cancel)
    return result

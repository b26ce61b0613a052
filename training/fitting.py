"""Fitting of all models of one as_of on its panel, as a training and each backtest date do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.clock import day_number
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.play_choice import learn_bounds
from stagecast.features.stages.plays import MONEY
from stagecast.features.survival import survival
from stagecast.training.billing.fit_beginnings import fit_beginnings
from stagecast.training.billing.fit_periods import fit_periods
from stagecast.training.billing.periods import NO_PERIODS
from stagecast.training.cancellation.panel import fit_contracts
from stagecast.training.churn_kinds import kind_of
from stagecast.training.columns import buyer_columns, rows_of
from stagecast.training.config import TrainConfig
from stagecast.training.fit_bases import are_counted, gaps_of
from stagecast.training.inactivity.fitting import (
    every_date,
    fit_churn_and_unseen,
    training_dates,
)
from stagecast.training.inactivity.hazard.joining import with_hazard
from stagecast.training.inactivity.in_step import pay_in_step
from stagecast.training.inactivity.members import GapRule
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.inactivity.unseen import Unseen
from stagecast.training.leads.after import after_conversion
from stagecast.training.leads.fitting import fit_leads, landmarks_of
from stagecast.training.learners.leaving import Leaving
from stagecast.training.models import Models, Predictions, predict
from stagecast.training.next_stage.fitting import fit_next_stage
from stagecast.training.next_stage.rules import after_another_order
from stagecast.training.panel import Panel, sampling_step, seasons_of, thinned
from stagecast.training.peaks.peak import Peak, find_peak
from stagecast.training.reference.reference import EMPTY, learn_reference
from stagecast.training.value.fit_after_contract import learned_share
from stagecast.training.value.fit_base_share import sampled
from stagecast.training.value.fit_payments import fit_payments
from stagecast.training.value.fitting import Teaching, fit_value, leaving_of_log
from stagecast.training.value.spans import Purchases

# Points that the product-limit estimate of the gaps is stored at.
RULE_POINTS = 200
# About how many rows of all past dates the models of buyers are fitted on: small trees and splines
# do not improve with more.
MAX_ROWS = 400_000


def fit_models(
    panel: Panel,
    days: PurchaseDays,
    config: TrainConfig,
    has_amounts: bool,
    *,
    with_reference: bool = True,
) -> tuple[Models, Predictions]:
    """Fit every model on a panel, and predict its snapshot.

    The intervals of the returned models are None: they need outcomes after the panel's as_of.

    Parameters
    ----------
    panel
        Snapshot and past dates with their outcomes.
    days
        The purchase days known at the panel's as_of.
    config
        Settings of the training.
    has_amounts
        Whether the log has amounts.
    with_reference
        Whether to learn with what scores of customers are compared and explained; models that are
        only tested need none, and it takes the contributions of each tree.
    """
    panel = replace(panel, dates=tuple(thinned(panel.dates, MAX_ROWS)))
    dates = training_dates(panel)
    current = _buyer_sample(panel, config.horizon_days)
    rule = _gap_rule(days, panel)
    is_counted = are_counted(days, panel.now)
    due = None if panel.base is None else panel.base.due
    peak = find_peak(panel, days, config) if is_counted else None
    taught = panel if peak is None else peak.without(panel)
    histories, purchases = _histories_now(panel), Purchases(days, day_number(panel.as_of))
    gaps = gaps_of(days, panel.now.customer[panel.now.buyers], due) if is_counted else None
    leaving = None
    if panel.base is not None:
        leaving = leaving_of_log(panel.base, histories, purchases, panel.history_days, gaps, peak)
    churn, unseen = _fit_churn(taught, current, rule, config, peak, leaving)
    if leaving is not None and churn.by_season:
        leaving = replace(leaving, by_season=churn.by_season)
    knows_season = panel.base is not None and panel.base.is_seasonal
    in_step = panel.base is not None and pay_in_step(panel.base, current, config.horizon_days)
    if is_counted and not in_step and not knows_season:  # the hazard reads payments as they are
        churn = with_hazard(
            churn, days, panel.catalog, panel.as_of, current, config.seed, config.members.hazard
        )
    spend_so_far = panel.now.features["spend_mean"][panel.now.buyers]
    mean_so_far = float(spend_so_far.mean()) if has_amounts and len(spend_so_far) else 0.0
    first_orders, first_spend = _first_horizons(panel, mean_so_far)
    orders, spend = after_conversion(panel.prospects, first_orders, first_spend)
    all_dates = every_date(panel)
    seasons = [] if knows_season else seasons_of(training_dates(taught), panel.history_days)
    sample = rows_of(current, sampled(len(current["recency_days"])))
    payments = None
    if panel.contracts is None and has_amounts:
        payments = fit_payments(days, panel.base, day_number(panel.as_of))
    value = fit_value(
        Teaching(
            every_date(taught),
            panel.bases,
            purchases,
            has_amounts,
            panel.history_days,
            histories,
            panel.as_of,
            seasons,
            gaps,
            unseen,
            panel.years,
            (sample, churn.probability(sample)),
            peak,
            leaving,
            on_dates=payments is not None or knows_season,
        ),
        config,
    )
    billing = NO_PERIODS
    if panel.contracts is not None:
        billing = fit_periods(days, panel.contracts.spells)
        share = learned_share(panel.contracts.spells, all_dates, churn.probability)
        begins = fit_beginnings(days, panel.contracts.spells, billing)
        value = replace(value, after_contract=share, billing=billing, beginnings=begins)
    else:
        value = replace(value, payments=payments)
    models = Models(
        config=config,
        scheme=panel.scheme,
        catalog=panel.catalog,
        base=panel.base,
        churn=churn,
        cancellation=fit_contracts(panel.contracts, config, billing, has_amounts=has_amounts),
        next_stage=fit_next_stage(
            panel.scheme,
            dates,
            panel.prospects,
            config.seed,
            every_date=all_dates,
            rules=after_another_order(panel.life, panel.as_of),
        ),
        value=value,
        conversion=fit_leads(
            panel.life, panel.now, landmarks_of(panel), orders=orders, spend=spend
        ),
        reference=EMPTY,
        spend_interval=None,
        value_interval=None,
    )
    predicted = predict(models, panel.now)
    return (_with_reference(models, panel, predicted) if with_reference else models), predicted


def _fit_churn(
    panel: Panel,
    current: Mapping[str, Array],
    rule: GapRule,
    config: TrainConfig,
    peak: Peak | None,
    leaving: Leaving | None,
) -> tuple[ChurnModel, Unseen | None]:
    """Return P(no purchase) and what was said unseen, see :func:`fit_churn_and_unseen`.

    Where the log has a peak, the panel is one of ordinary days, and the level that of the days that
    are expected.
    """
    churn, unseen = fit_churn_and_unseen(
        panel,
        current,
        rule,
        config.horizon_days,
        config.seed,
        config.calendar,
        config.members,
        None if peak is None else peak.calm_none,
        None
        if peak is not None or leaving is None
        else leaving.none_by_season(config.horizon_days),
    )
    if peak is None or churn.method == "rule":
        return churn, unseen
    return churn.at_level(churn.level + peak.shift_ahead(current)), unseen


def _with_reference(models: Models, panel: Panel, predicted: Predictions) -> Models:
    """Return the models with the reference that the customers of the snapshot give."""
    config, kind = models.config, kind_of(models.config.churn)
    state = kind.states(models, panel.now)
    risk = kind.risk(models, predicted, state)
    reference = learn_reference(panel.now.features, state == "active", risk, config.rfm)
    values = {name: getattr(predicted, name) for name in MONEY if name != "spend"}
    values["spend"] = panel.now.features["spend"]
    bounds = learn_bounds(models.scheme.plays, values, panel.now.buyers)
    models = replace(models, reference=replace(reference, play_bounds=bounds))
    reference = kind.with_usual(models.reference, models, panel.now, predicted, state)
    return replace(models, reference=reference)


def _buyer_sample(panel: Panel, horizon_days: int) -> Mapping[str, Array]:
    """Return the columns of the buyers at the as_of, or of about ``MAX_ROWS`` of them."""
    buyers = np.flatnonzero(panel.now.buyers)
    sample = buyers[:: sampling_step([buyers], MAX_ROWS)]
    return buyer_columns(panel.now.features, sample, panel.base, horizon_days)


def _first_horizons(panel: Panel, mean_so_far: float) -> tuple[Array, Array]:
    """Return orders and spend of new customers in their first horizon.

    Where there are no new customers, one order of mean spend.
    """
    newest = panel.dates[0] if panel.dates else None
    new_rows = (
        np.zeros(0, dtype=np.int64)
        if newest is None
        else np.flatnonzero(newest.columns["T_days"] <= 1)
    )
    if newest is None or not len(new_rows):
        return np.ones(1), np.array([mean_so_far])
    spend = newest.columns["spend_first"][new_rows] + newest.spend[new_rows]
    return 1.0 + newest.orders[new_rows], spend


def _histories_now(panel: Panel) -> Mapping[str, Array]:
    """Return the features of the buyers at the as_of, with the histories of the customer base."""
    now = rows_of(panel.now.features, np.flatnonzero(panel.now.buyers))
    return now if panel.base is None else panel.base.histories(now)


def _gap_rule(days: PurchaseDays, panel: Panel) -> GapRule:
    """Return the product-limit estimate of the gaps between purchase days, in few points."""
    same_customer = days.customer[1:] == days.customer[:-1]
    completed = (days.day[1:] - days.day[:-1])[same_customer].astype(np.float64)
    censored = panel.now.features["recency_days"][panel.now.buyers]
    # an open gap of r days has outlasted r - 1 days: the day that begins at the as_of is not over
    ended, alive = survival(completed, np.ceil(censored) - 1.0)
    gaps = np.sort(np.r_[completed, censored])
    if not len(gaps):
        return GapRule((), (), ())
    times = np.unique(gaps)
    times = times[np.unique(np.linspace(0, len(times) - 1, RULE_POINTS).astype(np.int64))]
    alive = np.r_[1.0, alive][np.searchsorted(ended, times, side="right")]
    at_risk = (len(gaps) - np.searchsorted(gaps, times, side="left")).astype(np.float64)
    return GapRule(tuple(times.tolist()), tuple(alive.tolist()), tuple(at_risk.tolist()))

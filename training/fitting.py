"""Every model of one as_of, fitted on its panel: the step that a training, and each date of a
backtest, repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.scheme import STATES
from stagecast.features.stages.thresholds import survival
from stagecast.training.cancellation.panel import fit_contracts
from stagecast.training.churn.fitting import fit_churn, teaching
from stagecast.training.churn.members import GapRule
from stagecast.training.churn.model import ChurnModel
from stagecast.training.churn_kinds import kind_of
from stagecast.training.columns import buyer_columns
from stagecast.training.config import TrainConfig
from stagecast.training.leads.after import after_conversion
from stagecast.training.leads.fitting import fit_leads, landmarks_of
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import Models, Predictions, predict
from stagecast.training.next_stage.fitting import fit_next_stage
from stagecast.training.panel import Panel, every, thinned, year_back
from stagecast.training.reference import EMPTY, learn_reference
from stagecast.training.value.fitting import fit_value
from stagecast.training.value.model import ValueModel

RULE_POINTS = 200
# Rows of all past dates that models of buyers are fitted on, about: small trees and splines learn
# no more from more.
MOST_ROWS = 400_000


def fit_models(
    panel: Panel, days: PurchaseDays, config: TrainConfig, has_amounts: bool
) -> tuple[Models, Predictions]:
    """Fit every model on a panel, and predict its snapshot.

    Intervals, for which outcomes after the panel's as_of are needed, are not there yet.

    Parameters
    ----------
    days
        The purchase days known at the panel's as_of.
    has_amounts
        Whether the log says what was paid.
    """
    panel = replace(panel, dates=tuple(thinned(panel.dates, MOST_ROWS)))
    dates = teaching(panel)
    now = _of_buyers(panel, config.horizon_days)
    churn = fit_churn(panel, now, _gap_rule(days, panel), config.horizon_days, config.seed)
    mean_so_far = (
        float(panel.now.features["spend_mean"][panel.now.buyers].mean()) if has_amounts else 0.0
    )
    first_orders, first_spend = _first_horizons(panel, mean_so_far)
    orders, spend = after_conversion(panel.prospects, first_orders, first_spend)
    season = year_back(dates, panel.history_days)
    value = fit_value(
        dates, panel.bases, has_amounts, config.seed, mean_so_far, season, config.horizon_days
    )
    models = Models(
        config=config,
        scheme=panel.scheme,
        catalog=panel.catalog,
        base=panel.base,
        churn=churn,
        cancellation=fit_contracts(panel.contracts, config),
        next_stage=fit_next_stage(panel.scheme, dates, panel.prospects, config.seed),
        value=_spread(value, churn, panel.base, now),
        conversion=fit_leads(
            panel.life, panel.now, landmarks_of(panel), orders=orders, spend=spend
        ),
        reference=EMPTY,
        spend_interval=None,
        value_interval=None,
    )
    predicted = predict(models, panel.now)
    kind = kind_of(config.churn)
    state = kind.states(models, panel.now)
    group = np.select([state == name for name in STATES], range(len(STATES)))
    columns, beside = kind.explained_columns(models, panel.now)
    risk = kind.risk(models, predicted, state)
    reference = learn_reference(columns, group, STATES, state == "active", risk, beside)
    models = replace(models, reference=reference)
    reference = kind.with_mean_effects(reference, models, panel.now, predicted, state)
    return replace(models, reference=reference), predicted


def _of_buyers(panel: Panel, horizon_days: int) -> Mapping[str, Array]:
    """Return the columns of the buyers of the as_of; of about ``MOST_ROWS`` of them where there
    are more.
    """
    buyers = np.flatnonzero(panel.now.buyers)
    return buyer_columns(
        panel.now.features, buyers[:: every([buyers], MOST_ROWS)], panel.base, horizon_days
    )


def _spread(
    value: ValueModel, churn: ChurnModel, base: CustomerBase | None, now: Mapping[str, Array]
) -> ValueModel:
    """Return the model whose spread keeps the total of what these buyers are expected to spend."""
    if not len(now["orders"]):
        return value
    spend = value.spend_if_any(now, None if base is None else base.spend_per_order(now))
    return value if spend is None else value.spread_around((1.0 - churn.probability(now)) * spend)


def _first_horizons(panel: Panel, mean_so_far: float) -> tuple[Array, Array]:
    """Return orders and spend of new customers in their first horizon; one ordinary order where
    there were none.
    """
    newest = panel.dates[0] if panel.dates else None
    fresh = (
        np.zeros(0, dtype=np.int64)
        if newest is None
        else np.flatnonzero(newest.columns["T_days"] <= 1)
    )
    if newest is None or not len(fresh):
        return np.ones(1), np.array([mean_so_far])
    return 1.0 + newest.orders[fresh], newest.columns["spend_first"][fresh] + newest.spend[fresh]


def _gap_rule(days: PurchaseDays, panel: Panel) -> GapRule:
    """Return the product-limit estimate of the gaps between purchase days, thinned to a few
    hundred points.
    """
    same = days.customer[1:] == days.customer[:-1]
    completed = (days.day[1:] - days.day[:-1])[same].astype(np.float64)
    still_open = panel.now.features["recency_days"][panel.now.buyers]
    # an open gap of r days has outlasted r - 1 days: the day that begins at the as_of is still to
    # come
    ended, alive = survival(completed, np.ceil(still_open) - 1.0)
    everything = np.sort(np.r_[completed, still_open])
    times = np.unique(everything)
    times = times[np.unique(np.linspace(0, len(times) - 1, RULE_POINTS).astype(np.int64))]
    alive = np.r_[1.0, alive][np.searchsorted(ended, times, side="right")]
    at_risk = (len(everything) - np.searchsorted(everything, times, side="left")).astype(np.float64)
    return GapRule(tuple(times.tolist()), tuple(alive.tolist()), tuple(at_risk.tolist()))

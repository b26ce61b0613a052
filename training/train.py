"""One training: everything learned at one as_of, and how good the same procedure was one horizon earlier.

    known at the as_of -> panel of past dates -> models -> intervals, evaluation <- the same, a horizon earlier

The training of a horizon ago sees nothing of the time since; what then came tells how good it was, how wide intervals
must be, and is shown to the user as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from features.clock import DAY, from_microseconds, iso, microseconds
from features.engines.duckdb import DailyTable
from features.errors import NotEnoughDataError, UsageError
from features.lifecycle import fit_lifecycle, merged_sentences
from features.record import PurchaseDays
from features.stages import STATES
from features.thresholds import survival
from training.churn import GapRule, enough, fit_churn
from training.config import TrainConfig
from training.customer_base import CustomerBase
from training.evaluate import Later, evaluate
from training.explain import mean_effects
from training.leads.after import after_conversion
from training.leads.fitting import fit_leads
from training.models import Models, predict_rows
from training.next_stage import fit_next_stage
from training.panel import Panel, build, year_back
from training.reference import EMPTY, learn_reference
from training.value import Intervals, conformal, fit_value

Array = NDArray[np.float64]
Progress = Callable[[str], object]

RULE_POINTS = 200


@dataclass(frozen=True)
class Training:
    """What one training gives: the models, the panel they were fitted on, and the evaluation (None: too young a log).

    ``data_cutoff`` is the last event that was seen.
    """

    models: Models
    panel: Panel
    evaluation: dict[str, Any] | None
    data_cutoff: datetime
    notes: tuple[str, ...]


def check_dates(table: DailyTable, horizon_days: int) -> None:
    """Refuse an as_of or a horizon that the log cannot answer for.

    Raises
    ------
    UsageError
        The log has been silent for longer than the horizon before the as_of, or its history is shorter than the
        horizon.
    """
    last, first = from_microseconds(table.last_event()), from_microseconds(table.first_event())
    silent = (table.anchor - last) / DAY
    if silent > horizon_days:
        raise UsageError(
            f"--as-of {iso(table.anchor)} stands {silent:.0f} days after the last event ({iso(last)}), longer than the "
            f"horizon of {horizon_days} days: newer events are missing, or --as-of should be near {iso(last)[:10]}"
        )
    history = (table.anchor - first) / DAY
    if history < horizon_days:
        raise UsageError(
            f"--horizon {horizon_days}d is longer than the history: {history:.1f} days from the first event "
            f"({iso(first)}) to the as_of {iso(table.anchor)}; take a shorter --horizon or a longer log"
        )


def train(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, config: TrainConfig, progress: Progress | None = None
) -> Training:
    """Train on everything known before the as_of.

    Parameters
    ----------
    connection
        Holds the table ``events`` of the event contract.
    progress
        Called with the name of each step as it begins.

    Raises
    ------
    UsageError
        The as_of or the horizon does not fit the log.
    NotEnoughDataError
        No customer had bought before the as_of.
    """
    say = progress or (lambda step: None)
    fitted: dict[datetime, CustomerBase] = {}
    say("features of the past dates")
    table = DailyTable(connection, as_of)
    check_dates(table, config.horizon_days)
    has_amounts = table.has_amounts()
    earlier = _earlier(connection, table, config, has_amounts, fitted, say)
    say("features at the as_of")
    panel = build(table, config, fitted=fitted)
    if not panel.now.buyers.any():
        returned = " what was not given back" if panel.now.features["refund_spend"].any() else ""
        raise NotEnoughDataError(
            f"nobody of the {len(panel.now)} customers had bought before {iso(as_of)}{returned}: there is no purchase "
            "to learn from; choose a later --as-of, or say with --event which column names the type of an event"
        )
    say("models")
    models = _fit(panel, table.purchase_days(), config, has_amounts)
    evaluation = None
    if earlier is not None:
        say("evaluation on the period since")
        earlier_panel, earlier_models, earlier_interval = earlier
        later = _later(table, earlier_panel, config.horizon_days)
        evaluation = evaluate(earlier_panel, earlier_models, later, earlier_interval)
        models = replace(models, spend_interval=_spend_interval(earlier_panel, earlier_models, later))
    models = replace(models, value_interval=_value_interval(table, panel, models))
    notes = _notes(panel, models, evaluation)
    return Training(models, panel, evaluation, from_microseconds(table.last_event()), notes)


def _earlier(
    connection: duckdb.DuckDBPyConnection,
    now: DailyTable,
    config: TrainConfig,
    has_amounts: bool,
    fitted: dict[datetime, CustomerBase],
    say: Progress,
) -> tuple[Panel, Models, Intervals | None] | None:
    """Return panel and models of one horizon ago, with the intervals known then; None where there was too little."""
    as_of = now.anchor - timedelta(days=config.horizon_days)
    history = (as_of - from_microseconds(now.first_event())) / DAY
    if history < config.horizon_days:
        return None
    try:
        table = DailyTable(connection, as_of)
    except NotEnoughDataError:  # what had happened by then was recorded later
        return None
    panel = build(table, config, fitted=fitted)
    if not panel.now.buyers.any():
        return None
    say("models of one horizon ago")
    models = _fit(panel, table.purchase_days(), config, has_amounts)
    return panel, models, _in_panel_interval(panel, models)


def _fit(panel: Panel, days: PurchaseDays, config: TrainConfig, has_amounts: bool) -> Models:
    """Fit every model on a panel."""
    dates = [frame for frame in panel.dates if enough(frame)]
    churn = fit_churn(panel, _gap_rule(days, panel), config.horizon_days, config.seed)
    mean_so_far = float(panel.now.features["spend_mean"][panel.now.buyers].mean()) if has_amounts else 0.0
    first_orders, first_spend = _first_horizons(panel, mean_so_far)
    orders, spend = after_conversion(panel.prospects, first_orders, first_spend)
    models = Models(
        config=config,
        scheme=panel.scheme,
        catalog=panel.catalog,
        base=panel.base,
        churn=churn,
        next_stage=fit_next_stage(panel.scheme, dates, panel.prospects, config.seed),
        value=fit_value(
            dates, panel.bases, has_amounts, config.seed, mean_so_far, year_back(dates, panel.history_days)
        ),
        conversion=fit_leads(panel.life, panel.now, panel.landmarks, orders=orders, spend=spend),
        reference=EMPTY,
        spend_interval=None,
        value_interval=None,
    )
    predicted = predict_rows(models, panel.now)
    state = np.array([STATES.index(stage.state) for stage in panel.scheme.stages])[panel.now.stage]
    active = state == STATES.index("active")
    reference = learn_reference(panel.now.features, state, STATES, active, predicted.p_inactive)
    models = replace(models, reference=reference)
    effects = mean_effects(models, predicted.columns, panel.now.stage[predicted.buyers])
    return replace(models, reference=replace(reference, mean_effects=effects))


def _first_horizons(panel: Panel, mean_so_far: float) -> tuple[Array, Array]:
    """Return orders and spend of new customers in their first horizon; one ordinary order where there were none."""
    newest = panel.dates[0] if panel.dates else None
    fresh = np.zeros(0, dtype=np.int64) if newest is None else np.flatnonzero(newest.columns["T_days"] <= 1)
    if newest is None or not len(fresh):
        return np.ones(1), np.array([mean_so_far])
    return 1.0 + newest.orders[fresh], newest.columns["spend_first"][fresh] + newest.spend[fresh]


def _gap_rule(days: PurchaseDays, panel: Panel) -> GapRule:
    """Return the product-limit estimate of the gaps between purchase days, thinned to a few hundred points."""
    same = days.customer[1:] == days.customer[:-1]
    completed = (days.day[1:] - days.day[:-1])[same].astype(np.float64)
    still_open = panel.now.features["recency_days"][panel.now.buyers]
    # an open gap of r days has outlasted r - 1 days: the day that begins at the as_of is still to come
    ended, alive = survival(completed, np.ceil(still_open) - 1.0)
    everything = np.sort(np.r_[completed, still_open])
    times = np.unique(everything)
    times = times[np.unique(np.linspace(0, len(times) - 1, RULE_POINTS).astype(np.int64))]
    alive = np.r_[1.0, alive][np.searchsorted(ended, times, side="right")]
    at_risk = (len(everything) - np.searchsorted(everything, times, side="left")).astype(np.float64)
    return GapRule(tuple(times.tolist()), tuple(alive.tolist()), tuple(at_risk.tolist()))


def _later(table: DailyTable, earlier: Panel, horizon_days: int) -> Later:
    """Return what came after an earlier panel's as_of, known at the table's anchor, on the earlier panel's stages."""
    columns = table.outcomes(horizon_days, [(table.anchor - earlier.as_of).days])
    position = {customer: k for k, customer in enumerate(table.customers)}
    rows = np.array([position[earlier.now.ids[c]] for c in earlier.now.customer], dtype=np.int64)
    orders, spend = np.zeros(len(table.customers)), np.zeros(len(table.customers))
    orders[columns["customer"].astype(np.int64)] = columns["orders"]
    spend[columns["customer"].astype(np.int64)] = columns["spend"]
    # the stage at the end by the rules that the earlier training used
    life = fit_lifecycle(table, earlier.scheme, horizon_days)
    ended, _ = life.journeys.at(microseconds(table.anchor), len(table.customers))
    return Later(orders[rows], spend[rows], ended[rows])


def _spend_interval(earlier: Panel, models: Models, later: Later) -> Intervals | None:
    if models.value.mean_spend is None:
        return None
    predicted = predict_rows(models, earlier.now)
    return conformal(predicted.expected_spend, later.spend)


def _in_panel_interval(panel: Panel, models: Models) -> Intervals | None:
    """Return intervals from the newest past date of a panel, for an evaluation that must not see the future."""
    if models.value.mean_spend is None or not panel.dates or panel.dates[0].back != models.config.horizon_days:
        return None
    newest = panel.dates[0]
    p = models.churn.probability(newest.columns)
    base = panel.bases[newest.back]
    spend = models.value.spend_if_any(newest.columns, base.spend_per_order(newest.columns))
    return None if spend is None else conformal((1 - p) * spend, newest.spend)


def _value_interval(table: DailyTable, panel: Panel, models: Models) -> Intervals | None:
    """Return intervals of the value over the value horizon.

    They are learned at the furthest past date within the value horizon: what the customer base fitted then expected
    until the as_of, against what came. Where that is not at least two horizons, the horizon's own intervals stand in;
    being of a shorter span, they are wider.
    """
    config = models.config
    far = [frame for frame in panel.dates if 2 * config.horizon_days <= frame.back <= config.value_horizon_days]
    if models.value.mean_spend is None or not far:
        return models.spend_interval
    frame = far[-1]
    base = panel.bases[frame.back]
    each = base.spend_per_order(frame.columns)
    if each is None:
        return models.spend_interval
    columns = table.outcomes(frame.back, [frame.back])
    spend = np.zeros(len(table.customers))
    spend[columns["customer"].astype(np.int64)] = columns["spend"]
    expected = base.discounted_orders(frame.back, frame.columns, 0.0) * each
    return conformal(expected, spend[frame.customer])


def _notes(panel: Panel, models: Models, evaluation: dict[str, Any] | None) -> tuple[str, ...]:
    notes = []
    if models.churn.method == "rule":
        notes.append(
            "Too few customers or repeat buyers for a model: the probabilities are read off the shop's own gaps "
            "between purchases (method: rule)."
        )
    elif models.churn.method == "btyd":
        notes.append(
            "No past date has enough customers who stayed and who left to learn from: the customer-base models speak "
            "alone (method: btyd)."
        )
    if evaluation is None:
        notes.append(
            "The log is too young to be tested on a later period: it needs two horizons of history before the as_of."
        )
    if models.value.mean_spend is None:
        notes.append("The log has no amounts: money is left out.")
    notes += merged_sentences(panel.scheme, panel.life.merged)
    if np.isinf(panel.scheme.thresholds.get("lost_after_days", np.inf)):
        notes.append(
            "No silence in this log is long enough to call a customer lost (chance of an order within a year below "
            "5 %): sleeping and lost cannot be told apart yet."
        )
    return tuple(notes)

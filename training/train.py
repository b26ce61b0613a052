"""One training: everything learned at one as_of, and how good the same procedure was one horizon
earlier.

    known at the as_of -> panel of past dates -> models -> intervals, evaluation
                                                     <- the same, a horizon earlier

The training of a horizon ago sees nothing of the time since; what then came tells how good it was,
how wide intervals must be, and is shown to the user as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np

from stagecast.features.clock import DAY, from_microseconds, iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.stages.lifecycle import merged_sentences
from stagecast.training.checks import check_contracts, check_dates
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import MOST_ROWS, fit_models
from stagecast.training.judging.evaluate import evaluate, what_came
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import Models, Predictions
from stagecast.training.panel import Panel, build, every
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.value.intervals import Intervals, conformal

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Training:
    """What one training gives: the models, the panel they were fitted on, and the evaluation (None:
    too young a log).

    ``data_cutoff`` is the last event that was seen.
    """

    models: Models
    panel: Panel
    evaluation: dict[str, Any] | None
    data_cutoff: datetime
    notes: tuple[str, ...]


def train(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    config: TrainConfig,
    progress: Progress | None = None,
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
        No customer had bought before the as_of, or no contract was cancelled where that is churn.
    """
    with single_threaded_blas():
        return _train(connection, as_of, config, progress or (lambda step: None))


def _train(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, config: TrainConfig, say: Progress
) -> Training:
    fitted: dict[datetime, CustomerBase] = {}
    say("features of the past dates")
    table = DailyTable(connection, as_of)
    check_dates(table, config.horizon_days)
    check_contracts(table, config)
    has_amounts = table.has_amounts()
    earlier = _earlier(connection, table, config, has_amounts, fitted, say)
    say("features at the as_of")
    panel = build(table, config, fitted=fitted)
    if not panel.now.buyers.any():
        returned = " what was not given back" if panel.now.features["refund_spend"].any() else ""
        raise NotEnoughDataError(
            f"nobody of the {len(panel.now)} customers had bought before "
            f"{iso(as_of)}{returned}: there is no purchase "
            f"to learn from; {kind_of(config.churn).wording.no_purchases}"
        )
    say("models")
    models, _ = fit_models(panel, table.purchase_days(), config, has_amounts)
    evaluation = None
    if earlier is not None:
        say("evaluation on the period since")
        earlier_panel, earlier_models, predicted, earlier_interval = earlier
        later = what_came(table, earlier_panel, config.horizon_days)
        evaluation = evaluate(earlier_panel, earlier_models, predicted, later, earlier_interval)
        if earlier_models.value.mean_spend is not None:
            models = replace(
                models, spend_interval=conformal(predicted.expected_spend, later.spend)
            )
    models = replace(models, value_interval=_value_interval(table, panel, models))
    notes = _notes(panel, models, evaluation, tried=earlier is not None)
    return Training(models, panel, evaluation, from_microseconds(table.last_event()), notes)


def _earlier(
    connection: duckdb.DuckDBPyConnection,
    now: DailyTable,
    config: TrainConfig,
    has_amounts: bool,
    fitted: dict[datetime, CustomerBase],
    say: Progress,
) -> tuple[Panel, Models, Predictions, Intervals | None] | None:
    """Return panel, models and predictions of one horizon ago, with the intervals known then;
    None if too little.
    """
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
    models, predicted = fit_models(panel, table.purchase_days(), config, has_amounts)
    return panel, models, predicted, _in_panel_interval(panel, models)


def _in_panel_interval(panel: Panel, models: Models) -> Intervals | None:
    """Return intervals from the newest past date of a panel, for an evaluation that must not see
    the future.
    """
    if (
        models.value.mean_spend is None
        or not panel.dates
        or panel.dates[0].back != models.config.horizon_days
    ):
        return None
    newest = panel.dates[0]
    p = models.churn.probability(newest.columns)
    base = panel.bases[newest.back]
    spend = models.value.spend_if_any(newest.columns, base.spend_per_order(newest.columns))
    if spend is None:
        return None
    expected = (1 - p) * spend
    return conformal(expected * models.value.spread(expected), newest.spend)


def _value_interval(table: DailyTable, panel: Panel, models: Models) -> Intervals | None:
    """Return intervals of the value over the value horizon.

    They are learned at the furthest past date within the value horizon: what the customer base
    fitted then expected until the as_of, against what came. Where that is not at least two
    horizons, the horizon's own intervals stand in; being of a shorter span, they are wider.
    """
    config = models.config
    far = [
        frame
        for frame in panel.dates
        if 2 * config.horizon_days <= frame.back <= config.value_horizon_days
    ]
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


def _notes(
    panel: Panel, models: Models, evaluation: dict[str, Any] | None, *, tried: bool
) -> tuple[str, ...]:
    notes = kind_of(models.config.churn).notes(panel, models)
    if (step := every(panel.dates, MOST_ROWS)) > 1:
        notes.append(
            f"The models of buyers learned from one customer in {step} at each of "
            f"{len(panel.dates)} past dates, about "
            f"{MOST_ROWS:,} rows: more teach them nothing. All customers are scored, and tested."
        )
    if evaluation is None and tried:
        notes.append(
            "Nobody had a contract one horizon before the as_of, so there is no later "
            "period to test on."
        )
    elif evaluation is None:
        notes.append(
            "The log is too young to be tested on a later period: it needs two horizons "
            "of history before the as_of."
        )
    if models.value.mean_spend is None:
        notes.append("The log has no amounts: money is left out.")
    notes += merged_sentences(panel.scheme, panel.life.merged)
    if np.isinf(panel.scheme.thresholds.get("lost_after_days", np.inf)):
        notes.append(
            "No silence in this log is long enough to call a customer lost (chance of an "
            "order within a year below "
            "5 %): sleeping and lost cannot be told apart yet."
        )
    return tuple(notes)

"""One training: models fitted at one as_of, evaluated by the same procedure one horizon earlier.

    known at the as_of -> panel of past dates -> models -> intervals, evaluation
                                                     <- the same, a horizon earlier

The earlier training sees nothing after its own as_of. The outcomes observed since then give its
evaluation, which is shown to the user unchanged, and the width of the intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import duckdb
import numpy as np

from stagecast.features.clock import DAY, day_number, from_microseconds, iso
from stagecast.features.describe.event_types import event_types
from stagecast.features.describe.quality.histograms import usual_gap_of
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.shop_gap import mean_gaps
from stagecast.features.equal_events import holds_equal_events
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.intake.counted import counted
from stagecast.features.record import PurchaseDays
from stagecast.features.stages.lifecycle import merged_sentences
from stagecast.features.stages.unreached import unreached_sentences
from stagecast.training.card import EqualEvents
from stagecast.training.checks import check_contracts, check_dates
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import MAX_ROWS, fit_models
from stagecast.training.judging.evaluate import evaluate, observed_outcomes
from stagecast.training.judging.evaluation_result import Evaluation
from stagecast.training.judging.past_value import spend_at, spend_intervals, value_intervals
from stagecast.training.judging.ranking import Ranking, nobody_leaves, ranking
from stagecast.training.judging.readiness.short_horizon import short_horizon_notes
from stagecast.training.judging.value_evaluation import evaluate_value
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import Models, Predictions
from stagecast.training.panel import Panel, build, sampling_step
from stagecast.training.peaks.note import peak_sentences, unseen_sentences
from stagecast.training.peaks.peak import peaks_of
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.value.fit_intervals import conformal
from stagecast.training.value.intervals import Intervals
from stagecast.training.value.own_regressors import regressor_notes
from stagecast.training.value.spans import Purchases

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Training:
    """Result of one training.

    Parameters
    ----------
    models
        The fitted models.
    panel
        The panel they were fitted on.
    evaluation
        Evaluation on the last horizon before the as_of; None where the log is too young for one.
    data_cutoff
        Time of the last event in the log.
    notes
        Sentences for the user about limits of the log.
    horizon_note
        What must be read first where the horizon is shorter than the usual gap; else None.
    ranking
        Whether the active customers can be told apart; None where that was not asked.
    equal_events
        Whether events that are equal in every column are one event or each an event of its own.
    event_types
        Types of the events, the most frequent first; None: too many to be a list of names.
    """

    models: Models
    panel: Panel
    evaluation: Evaluation | None
    data_cutoff: datetime
    notes: tuple[str, ...]
    horizon_note: str | None
    ranking: Ranking | None = None
    equal_events: EqualEvents = "one"
    event_types: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        config, panel = self.models.config, self.panel
        grade = "not evaluated" if self.evaluation is None else f"grade {self.evaluation.grade}"
        return (
            f"Training(as of {iso(panel.as_of)}, {counted(len(panel.now), 'customer')}, "
            f"{len(panel.dates)} past dates, horizon {config.horizon_days}d, "
            f"churn by {config.churn}, {grade})"
        )


@dataclass(frozen=True)
class EarlierTraining:
    """Training at one horizon before the as_of, with its predictions and their intervals.

    ``intervals`` are learned from outcomes before that date; None where there are too few.
    """

    panel: Panel
    models: Models
    predictions: Predictions
    intervals: Intervals | None


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
    as_of
        Events at or after it are not used.
    config
        Settings of the training.
    progress
        Called with the name of each step as it begins.

    Raises
    ------
    UsageError
        The as_of or the horizon does not fit the log.
    NotEnoughDataError
        No customer had bought before the as_of where churn is inactivity; no contract was cancelled
        where churn is cancellation, for which nobody needs to have bought.
    """
    with single_threaded_blas():
        return _train(connection, as_of, config, progress or (lambda step: None))


def _train(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, config: TrainConfig, notify: Progress
) -> Training:
    fitted: dict[datetime, CustomerBase] = {}
    notify("features of the past dates")
    table = DailyTable(connection, as_of)
    config = replace(config, zone=table.clock.zone)
    check_dates(table, config.horizon_days)
    check_contracts(table, config)
    has_amounts = table.has_amounts()
    earlier = _train_earlier(connection, table, config, has_amounts, fitted, notify)
    notify("features at the as_of")
    panel = build(table, config, fitted=fitted)
    kind = kind_of(config.churn)
    if not kind.can_learn(panel):
        returned = " what was not given back" if panel.now.features["refund_spend"].any() else ""
        raise NotEnoughDataError(
            kind.wording.nobody.format(customers=len(panel.now), date=iso(as_of), returned=returned)
        )
    notify("models")
    purchase_days = table.purchase_days()
    models, predicted = fit_models(panel, purchase_days, config, has_amounts)
    evaluation = None
    if earlier is not None:
        notify("evaluation on the period since")
        later = observed_outcomes(table, earlier.panel, config.horizon_days)
        evaluation = evaluate(
            earlier.panel, earlier.models, earlier.predictions, later, earlier.intervals
        )
        if earlier.models.value.mean_spend is not None:
            intervals = spend_intervals(
                earlier.panel, earlier.models, earlier.predictions.spend_outlook, later.spend
            )
            models = replace(models, spend_interval=intervals)
    value = None
    if evaluation is not None:
        value = evaluate_value(connection, table, config, has_amounts, fitted, notify)
        evaluation = replace(evaluation, value=value)
    purchases = Purchases(purchase_days, day_number(table.anchor))
    error = None if value is None else value.level_error
    models = replace(models, value_interval=value_intervals(panel, models, purchases, error))
    notes = _notes(
        panel, models, predicted, evaluation, None if earlier is None else earlier.models
    )
    if config.churn == "inactivity":
        notes += tuple(unseen_sentences(panel.history_days))
        pace = peaks_of(panel, purchase_days, config)
        notes += tuple(peak_sentences(pace, config.horizon_days))
    state = kind.states(models, panel.now)
    risk = kind.risk(models, predicted, state)[state == "active"]
    return Training(
        models,
        panel,
        evaluation,
        table.data_cutoff(),
        notes,
        _horizon_note(purchase_days, panel.history_days, config),
        ranking(risk, evaluation),
        "each" if holds_equal_events(connection, as_of) else "one",
        event_types(connection, as_of),
    )


def _horizon_note(
    purchase_days: PurchaseDays, history_days: float, config: TrainConfig
) -> str | None:
    """Return the note of `check` on a horizon in which most who stay do not buy, or None.

    Where churn is a cancellation, the rhythm of purchases does not matter.
    """
    gap_days = usual_gap_of(mean_gaps(purchase_days))
    if config.churn == "cancellation" or gap_days is None or gap_days <= config.horizon_days:
        return None
    return short_horizon_notes(gap_days, config.horizon_days, history_days)[0]


def _train_earlier(
    connection: duckdb.DuckDBPyConnection,
    current_table: DailyTable,
    config: TrainConfig,
    has_amounts: bool,
    fitted: dict[datetime, CustomerBase],
    notify: Progress,
) -> EarlierTraining | None:
    """Return the training at one horizon before the as_of, or None where the log is too young."""
    as_of = current_table.anchor - timedelta(days=config.horizon_days)
    history_days = (as_of - from_microseconds(current_table.first_event())) / DAY
    if history_days < config.horizon_days:
        return None
    try:
        table = DailyTable(connection, as_of)
    except NotEnoughDataError:  # all events before that date were recorded after it
        return None
    panel = build(table, config, fitted=fitted)
    if not kind_of(config.churn).can_learn(panel):
        return None
    notify("models of one horizon ago")
    models, predictions = fit_models(
        panel, table.purchase_days(), config, has_amounts, with_reference=False
    )
    return EarlierTraining(panel, models, predictions, _in_panel_intervals(panel, models))


def _in_panel_intervals(panel: Panel, models: Models) -> Intervals | None:
    """Return spend intervals from the newest past date of a panel, which uses no later outcome."""
    if models.value.mean_spend is None or not panel.dates:
        return None
    return conformal(*spend_at(panel, models, panel.dates[0]))


def _since_grade_d(models: Models) -> str:
    """Return what follows from a simple method having been better on the later period."""
    pool = kind_of(models.config.churn).pool_card(models)
    weights = ", ".join(f"{name} {weight:.0%}" for name, weight in pool.weights.items())
    level = "" if not pool.level else f", level {pool.level:+.2f} in log odds"
    return (
        "Grade D is of the training before that period. Its outcomes have since been learned from: "
        f"the probabilities here come from {weights}{level}."
    )


def _other_method(models: Models, earlier: Models, evaluation: Evaluation) -> list[str]:
    """Return that the training that was tested had another method than this one, if so."""
    kind = kind_of(models.config.churn)
    tested, now = kind.method(earlier), kind.method(models)
    if tested == now:
        return []
    return [
        f"The test is of a training before {evaluation.as_of[:10]}, whose method was {tested}; the "
        f"method of this model, which has learned from more of the log, is {now}."
    ]


def _notes(
    panel: Panel,
    models: Models,
    predicted: Predictions,
    evaluation: Evaluation | None,
    earlier: Models | None,
) -> tuple[str, ...]:
    notes = kind_of(models.config.churn).notes(panel, models)
    if (step := sampling_step(panel.dates, MAX_ROWS)) > 1:
        notes.append(
            f"The models of buyers learned from one customer in {step} at each of "
            f"{len(panel.dates)} past dates, about "
            f"{MAX_ROWS:,} rows: more teach them nothing. All customers are scored, and tested."
        )
    if evaluation is not None and evaluation.grade == "D":
        notes.append(_since_grade_d(models))
    if evaluation is not None and earlier is not None:
        notes += _other_method(models, earlier, evaluation)
    if evaluation is None and earlier is not None:
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
    elif models.value_is_far:
        notes.append(far_sentence(models))
    if models.base is None and models.value.mean_spend is not None:
        notes.append(
            "Without a customer-base model the value at risk is not known: customers are ranked by "
            "the churn probability times the spend of a year."
        )
    is_active = kind_of(models.config.churn).states(models, panel.now) == "active"
    clv = np.nansum(predicted.clv[is_active])
    at_risk = np.nansum(predicted.value_at_risk[is_active])
    if models.base is not None and nobody_leaves(at_risk, clv):
        notes.append(
            "As far as this log shows, customers buy rarely rather than leave for good: the value "
            f"at risk is {at_risk / clv:.1%} of the customer value. Rank them by clv, or by the "
            "churn probability times clv."
        )
    notes += regressor_notes(models.value, models.config.members)
    notes += occasion_sentences(panel, models)
    notes += merged_sentences(panel.scheme, panel.life.merged)
    notes += unreached_sentences(panel.scheme)
    return tuple(notes)


def occasion_sentences(panel: Panel, models: Models) -> list[str]:
    """Return what the calendar says of the horizon, a sentence for each kind of occasion."""
    calendar, days = models.config.calendar, models.config.horizon_days
    if not calendar.kinds:
        return []
    ahead = calendar.days(panel.as_of, days)
    past = np.array([calendar.days(frame.as_of, days) for frame in panel.dates])
    sentences = []
    for k, kind in enumerate(calendar.kinds):
        counts = past[:, k] if len(past) else np.zeros(1)
        days_ahead = f"'{kind}' holds on {ahead[k]:.0f} of the next {days} days"
        if counts.min() == counts.max():
            sentences.append(
                f"{days_ahead}, and on {counts[0]:.0f} after each past date: what it does cannot "
                "be learned, and it changes no score."
            )
        else:
            sentences.append(
                f"{days_ahead}, on {counts.mean():.1f} on average after the past dates that its "
                "effect was learned from."
            )
    if models.churn.by_calendar:
        factor = float(np.exp(-models.churn.by_calendar))
        sentences.append(
            f"The calendar multiplies the odds of an order in these days by {factor:.2f}."
        )
    return sentences


def far_sentence(models: Models) -> str:
    """Return the note on a value horizon that is many times the history."""
    history, days = models.value.history_days, models.config.value_horizon_days
    return (
        f"The value over {days} days is a guess: the log is {history:.0f} days long. "
        f"A value horizon of {max(1, round(history))} days or less can be learned from it; no "
        "value after the value horizon is given."
    )

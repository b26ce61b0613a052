"""The folder of `stagecast backtest`: past dates replayed against baselines, as JSON, Parquet and
a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stagecast.features.clock import iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import EventLog
from stagecast.features.files import write_text
from stagecast.features.plain_json import FLAT, to_json
from stagecast.serving.progress import Say, Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.reports.backtest_report import render_backtest
from stagecast.serving.requests import BacktestRequest, ReplayPlan
from stagecast.serving.runs.files import BACKTEST, BACKTEST_REPORT, OF_A_BACKTEST, PREDICTIONS
from stagecast.serving.runs.folders import new_folder
from stagecast.serving.runs.tracking import Tracker
from stagecast.training.config import TrainConfig
from stagecast.training.judging.backtest import replay
from stagecast.training.judging.compared import comparison_notes
from stagecast.training.judging.evaluation_result import ValueEvaluation
from stagecast.training.judging.rivals import Rivals
from stagecast.training.judging.season_ahead import season_note
from stagecast.training.judging.value_evaluation import evaluate_value
from stagecast.training.judging.verdict import verdict
from stagecast.training.judging.verdict_result import Verdict
from stagecast.training.reproducible import single_threaded_blas
from stagecast.training.tracking.contents import settings_of

STEPS_BESIDE_DATES = 3


@dataclass(frozen=True)
class Backtest:
    """Contents of ``backtest.json``; the order of the fields is that of the keys.

    Parameters
    ----------
    as_of
        The time up to which outcomes are known, ISO 8601; in shop time where it has no ``Z``.
    scheme
        Id or file of the scheme of the stages.
    verdict
        Result of the comparison with the baselines.
    log
        The data report as plain JSON.
    value
        How good the value over the value horizon was, at the date that lies this far back; None
        where the log is too young to tell.
    notes
        What was asked for and the log did not have, or what makes the figures less sure.
    """

    as_of: str
    scheme: str
    verdict: Verdict = field(metadata=FLAT)
    log: Mapping[str, Any]
    value: ValueEvaluation | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BacktestFolder:
    """A backtest, and the folder that it was written to."""

    out: Path
    backtest: Backtest

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"out": str(self.out), **to_json(self.backtest)}


@dataclass(frozen=True)
class Replayed:
    """A backtest, and every prediction of it beside what came: one row per customer and date."""

    backtest: Backtest
    predictions: pa.Table
    currency: str | None


def replay_log(
    log: EventLog,
    as_of: datetime,
    config: TrainConfig,
    plan: ReplayPlan,
    *,
    rivals: Rivals | None = None,
    say: Say = lambda step: None,
) -> Replayed:
    """Replay past dates of a log, and compare the methods on what came.

    Parameters
    ----------
    as_of
        Outcomes are known up to this instant.
    config
        Settings of our model.
    plan
        Which dates are replayed.
    rivals
        Methods of the user to compare with; None: the built-in baselines alone.
    say
        Called with the name of each step as it begins.

    Raises
    ------
    stagecast.features.errors.StagecastError
        A setting or a method cannot be used, or there is too little to replay.
    """
    config = _of_log(config, log)
    if rivals is not None:
        models = {name: _of_log(other, log) for name, other in rivals.models.items()}
        rivals = replace(rivals, models=models)
    table = DailyTable(log.con, as_of)
    replays = list(
        replay(
            log.con,
            as_of,
            config,
            table=table,
            dates=plan.dates,
            step_days=plan.step_days,
            rivals=rivals,
            progress=say,
        )
    )
    with single_threaded_blas():
        value = evaluate_value(log.con, table, config, table.has_amounts(), {}, say)
    say("figures and their intervals")
    windows = [date.as_of for date in replays]
    season = season_note(replays[-1].season, table.anchor, windows, config.horizon_days)
    backtest = Backtest(
        as_of=iso(as_of),
        scheme=config.scheme,
        verdict=verdict(replays, config.horizon_days, config.seed, plan.costs, config.margin),
        log=log.report.to_json(),
        value=value,
        notes=(
            *replay_notes(plan, config.horizon_days, len(replays)),
            *comparison_notes(replays),
            *(() if season is None else (season,)),
        ),
    )
    # a method that could not be fitted at a date is null there
    predictions = pa.concat_tables(
        [date.table(log.clock) for date in replays], promote_options="default"
    )
    return Replayed(backtest, predictions, log.report.currency)


def replay_notes(plan: ReplayPlan, horizon_days: int, replayed: int) -> tuple[str, ...]:
    """Return what a backtest that was asked for so did not have, and whether its windows overlap.

    Parameters
    ----------
    horizon_days
        Length of the windows.
    replayed
        Number of dates that were replayed.

    >>> replay_notes(ReplayPlan(4), 90, 4)
    ()
    """
    notes = []
    if replayed < plan.dates:
        notes.append(
            f"{replayed:,} of the {plan.dates:,} past dates that were asked for "
            f"{'was' if replayed == 1 else 'were'} replayed: the others have less than the horizon "
            f"of {horizon_days:,} days before them in the log, or nobody who could leave; take "
            "fewer --dates, a smaller --step, a shorter --horizon or a longer log"
        )
    step = horizon_days if plan.step_days is None else plan.step_days
    if step < horizon_days and replayed > 1:
        notes.append(
            f"the dates are {step:,} days apart and look {horizon_days:,} days ahead, so that "
            "their windows overlap and one outcome counts at several dates; leave --step out for "
            "windows that do not"
        )
    return tuple(notes)


def _of_log(config: TrainConfig, log: EventLog) -> TrainConfig:
    return replace(config, known_at_start=log.known_at_start, zone=log.clock.zone)


def values_of(
    log: EventLog, as_of: datetime, models: Mapping[str, TrainConfig]
) -> dict[str, ValueEvaluation]:
    """Return how good the value of several models was, by name; without those too young to tell."""
    table = DailyTable(log.con, as_of)
    values = {}
    for name, config in models.items():
        config = _of_log(config, log)
        with single_threaded_blas():
            value = evaluate_value(log.con, table, config, table.has_amounts(), {})
        if value is not None:
            values[name] = value
    return values


def write_backtest(
    reading: Reading,
    config: TrainConfig,
    request: BacktestRequest,
    *,
    steps: Steps = silently,
    track: Tracker | None = None,
) -> BacktestFolder:
    """Replay past dates of a log, and write how good the models would have been.

    Parameters
    ----------
    track
        Logs the backtest to MLflow once it is written, with a nested run for each date.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The log cannot be read, a span cannot be used, or there is too little to replay; nothing is
        left behind then.
    """
    with (
        new_folder(request.out, OF_A_BACKTEST, force=request.force) as draft,
        reading.open(command="backtest") as log,
        steps(max(request.dates, 1) + STEPS_BESIDE_DATES) as say,
    ):
        if track is not None:
            track.note(log)
        replayed = replay_log(log, log.choose_as_of(reading.as_of), config, request.plan, say=say)
        say("report")
        write_files(replayed, draft)
    if track is not None:
        settings = {name: str(value) for name, value in settings_of(config).items()}
        track.backtest(request.out, settings)
    return BacktestFolder(request.out, replayed.backtest)


def write_files(replayed: Replayed, folder: Path) -> None:
    """Write a backtest into a folder: JSON, page, and predictions as Parquet."""
    backtest = replayed.backtest
    pq.write_table(replayed.predictions, folder / PREDICTIONS)
    text = json.dumps(to_json(backtest), ensure_ascii=False, allow_nan=False, indent=2)
    write_text(folder / BACKTEST, text + "\n")
    page = render_backtest(
        backtest.verdict, backtest.as_of, backtest.value, replayed.currency, backtest.notes
    )
    write_text(folder / BACKTEST_REPORT, page)

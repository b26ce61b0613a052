"""The folder of `stagecast backtest`: past dates replayed against baselines, as JSON, Parquet and
a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stagecast.features.clock import iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.files import write_text
from stagecast.features.plain_json import FLAT, to_json
from stagecast.serving.progress import Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.reports.backtest_report import render_backtest
from stagecast.serving.requests import BacktestRequest
from stagecast.serving.runs.files import BACKTEST, BACKTEST_REPORT, OF_A_BACKTEST, PREDICTIONS
from stagecast.serving.runs.folders import new_folder
from stagecast.serving.runs.tracking import Tracker
from stagecast.training.config import TrainConfig
from stagecast.training.judging.backtest import replay
from stagecast.training.judging.evaluation_result import ValueEvaluation
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
    """

    as_of: str
    scheme: str
    verdict: Verdict = field(metadata=FLAT)
    log: Mapping[str, Any]
    value: ValueEvaluation | None = None


@dataclass(frozen=True)
class BacktestFolder:
    """A backtest, and the folder that it was written to."""

    out: Path
    backtest: Backtest

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"out": str(self.out), **to_json(self.backtest)}


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
        as_of = log.choose_as_of(reading.as_of)
        config = replace(config, known_at_start=log.known_at_start, zone=log.clock.zone)
        if track is not None:
            track.note(log)
        table = DailyTable(log.con, as_of)
        replays = list(
            replay(
                log.con,
                as_of,
                config,
                table=table,
                dates=request.dates,
                step_days=request.step_days,
                progress=say,
            )
        )
        with single_threaded_blas():
            value = evaluate_value(log.con, table, config, table.has_amounts(), {}, say)
        say("figures and their intervals")
        backtest = Backtest(
            as_of=iso(as_of),
            scheme=config.scheme,
            verdict=verdict(replays, config.horizon_days, config.seed),
            log=log.report.to_json(),
            value=value,
        )
        say("report")
        # a method that could not be fitted at a date is null there
        predictions = pa.concat_tables(
            [date.table(log.clock) for date in replays], promote_options="default"
        )
        pq.write_table(predictions, draft / PREDICTIONS)
        text = json.dumps(to_json(backtest), ensure_ascii=False, allow_nan=False, indent=2)
        write_text(draft / BACKTEST, text + "\n")
        write_text(
            draft / BACKTEST_REPORT,
            render_backtest(backtest.verdict, backtest.as_of, value, log.report.currency),
        )
    if track is not None:
        settings = {name: str(value) for name, value in settings_of(config).items()}
        track.backtest(request.out, settings)
    return BacktestFolder(request.out, backtest)

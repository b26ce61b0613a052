"""The folder of `stagecast monitor`: a model watched on a log, as JSON, metrics and a page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stagecast.features.clock import parse_instant
from stagecast.features.errors import UsageError
from stagecast.features.files import write_text
from stagecast.serving.monitor.page import render_monitoring
from stagecast.serving.monitor.prometheus import prometheus_text
from stagecast.serving.monitor.result import Monitoring
from stagecast.serving.monitor.watch import STEPS, monitor
from stagecast.serving.progress import Steps, silently
from stagecast.serving.reading import Reading
from stagecast.serving.requests import MonitorRequest
from stagecast.serving.runs.files import MONITORING, MONITORING_METRICS, MONITORING_REPORT
from stagecast.serving.runs.folders import new_folder
from stagecast.serving.runs.models import model_folder
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.settings import Settings, load_settings
from stagecast.serving.store.monitor_tables import store_monitoring
from stagecast.serving.store.opening import open_engine
from stagecast.training.monitoring.advice import Action

FailOn = Literal["never", "repair", "retrain"]
RETRAIN, REPAIR = 5, 6
"""Exit codes where retraining is advised, and where the log is to be repaired first."""
_FILES = (MONITORING, MONITORING_METRICS, MONITORING_REPORT)
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Watched:
    """A model watched on a log, and the folder that it was written to; None: nothing was."""

    out: Path | None
    result: Monitoring

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        out = {} if self.out is None else {"out": str(self.out)}
        return {**out, **self.result.to_json()}


def watch_model(reading: Reading, request: MonitorRequest, *, steps: Steps = silently) -> Watched:
    """Watch a model on a log, and write what came of it where that is asked for.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The model, the store or the log cannot be read, or the model has seen what comes after the
        as_of; nothing is left behind then.
    """
    settings = load_settings(store=request.store, tracking_uri=request.tracking_uri)
    scorer = load_scorer(model_folder(request.model, settings), threads=0, with_reasons=False)
    store = _store(settings, named=request.store is not None)
    reading = reading.counting_days_of(scorer.bundle.clock.zone)
    with reading.open(command="monitor") as log, steps(STEPS) as say:
        result = monitor(
            scorer,
            log,
            log.choose_as_of(reading.as_of),
            store=store,
            max_age_days=request.max_age_days,
            say=say,
        )
    if store is not None:
        _remember(store, result)
    if request.out is not None:
        with new_folder(request.out, _FILES, force=request.force) as draft:
            text = json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False, indent=2)
            write_text(draft / MONITORING, text + "\n")
            write_text(draft / MONITORING_METRICS, prometheus_text(result))
            write_text(draft / MONITORING_REPORT, render_monitoring(result))
    return Watched(request.out, result)


def exit_code(action: Action, fail_on: FailOn) -> int:
    """Return the exit code of an advice.

    >>> exit_code("keep", "retrain"), exit_code("retrain", "retrain"), exit_code("repair", "repair")
    (0, 5, 6)
    >>> exit_code("retrain", "repair"), exit_code("repair", "never")
    (0, 0)
    """
    if action == "repair" and fail_on != "never":
        return REPAIR
    return RETRAIN if action == "retrain" and fail_on == "retrain" else 0


def _remember(store: str, result: Monitoring) -> None:
    """Store the metrics of a result, for ``/metrics`` of the servers of the store."""
    engine = open_engine(store)
    try:
        store_monitoring(
            engine,
            result.model_version,
            parse_instant(result.as_of),
            prometheus_text(result),
        )
    finally:
        engine.dispose()


def _store(settings: Settings, *, named: bool) -> str | None:
    """Return the URL of the store; None where nobody named it, and it is not there.

    Raises
    ------
    UsageError
        A file was named, and is not there: a new store would hold nothing.
    """
    url = settings.store
    if not url.startswith(_SQLITE) or Path(url.removeprefix(_SQLITE)).is_file():
        return url
    if named:
        raise UsageError(
            f"--store {url.removeprefix(_SQLITE)} does not exist; name the store that `stagecast "
            "score --publish` wrote, or leave --store out"
        )
    return None

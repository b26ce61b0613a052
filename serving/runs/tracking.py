"""A training or a backtest logged to MLflow, in a process of its own and within a time limit.

The results are on the disk before it begins. Whatever MLflow does (no answer, a slow one, garbage,
a crash), the caller gets the results, and a sentence that says why they are not logged.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stagecast.features.describe.fingerprint import Fingerprint, fingerprint
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog
from stagecast.serving.progress import Say
from stagecast.serving.requests import TrainingRequest
from stagecast.serving.runs.files import BACKTEST
from stagecast.serving.runs.mlflow_model import ModelFacts
from stagecast.serving.runs.model_card import card_text, figures
from stagecast.serving.runs.tracking_process import ERROR, RUN_ID
from stagecast.serving.settings import Settings, load_settings, mlflow_environment
from stagecast.training.bundle import Bundle
from stagecast.training.tracking.contents import backtest_contents, training_contents


@dataclass
class Tracker:
    """Logs one training to MLflow after it was written.

    Parameters
    ----------
    settings
        Where MLflow is, and how many seconds it has.
    register
        Registered model that the bundle is offered to as challenger; None: to none.
    warn
        Is called with the reason where MLflow does not take the training, and need not.
    started
        When the training began.
    data, source
        Fingerprint of the log, and where it was read from; see :meth:`note`.
    """

    settings: Settings
    register: str | None
    warn: Say
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    data: Fingerprint | None = None
    source: str = ""

    def note(self, log: EventLog) -> None:
        """Note what tells the log of the training from others, while it is open."""
        self.data = fingerprint(log.con)
        self.source = ", ".join(str(part["source"]) for part in log.report.sources)

    def __call__(self, bundle: Bundle, folder: Path, report: Path | None) -> str | None:
        """Log a training; return the id of its run, None where MLflow did not take it.

        Raises
        ------
        UsageError
            MLflow did not take it, and a registered model was asked for.
        """
        return self._log(
            {
                "kind": "training",
                "folder": str(folder.absolute()),
                "report": None if report is None else str(report.absolute()),
                "register": self.register,
                "contents": training_contents(bundle).to_json(),
                "texts": {"model-card.md": card_text(bundle), **figures(bundle.card)},
                "model": ModelFacts.of(bundle).to_json(),
            },
            folder,
        )

    def backtest(self, folder: Path, parameters: dict[str, Any]) -> str | None:
        """Log the backtest in a folder; return the id of its run, None where it was not taken."""
        backtest = json.loads((folder / BACKTEST).read_text("utf-8"))
        job = {
            "kind": "backtest",
            "folder": str(folder.absolute()),
            "contents": backtest_contents(backtest, parameters).to_json(),
        }
        return self._log(job, folder)

    def _log(self, job: dict[str, Any], written: Path) -> str | None:
        job |= {
            "uri": self.settings.tracking_uri,
            "started": self.started.isoformat(),
            "ended": datetime.now(UTC).isoformat(),
            "data": None if self.data is None else self.data.to_json(),
            "source": self.source,
            "seconds": self.settings.tracking_seconds,
        }
        try:
            return in_own_process(job, self.settings.tracking_seconds)
        except UsageError as error:
            if self.register is not None:
                raise UsageError(
                    f"{written} is written, and not registered as {self.register}: {error}"
                ) from None
            self.warn(f"not tracked: {error}; {written} is written all the same")
            return None


def tracker(request: TrainingRequest, warn: Say) -> Tracker | None:
    """Return what logs a training to MLflow; None where that is not wanted.

    Parameters
    ----------
    warn
        Is called with the reason where MLflow does not take the training, and nobody asked for a
        registered model; where somebody did, a UsageError says so.
    """
    if not request.track:
        return None
    settings = load_settings(tracking_uri=request.tracking_uri)
    return Tracker(settings, request.register, warn)


def in_own_process(
    job: dict[str, Any],
    seconds: float,
    start: Callable[..., subprocess.Popen[str]] = subprocess.Popen,
) -> str:
    """Log in a process of its own, which is killed after so many seconds; return the run's id.

    Raises
    ------
    UsageError
        The run was not taken within that time, or not at all; the message says why.
    """
    command = [sys.executable, "-m", "stagecast.serving.runs.tracking_process"]
    uri = job["uri"]
    with start(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=mlflow_environment(seconds),
    ) as process:
        try:
            output, errors = process.communicate(json.dumps(job), timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise UsageError(
                f"MLflow at {uri} did not take the run within {seconds:g} s; look after it, or "
                "give it longer with STAGECAST_TRACKING_SECONDS"
            ) from None
        except BaseException:
            process.kill()
            raise
    for line in output.splitlines():
        if line.startswith(RUN_ID):
            return line.removeprefix(RUN_ID)
        if line.startswith(ERROR):
            raise UsageError(line.removeprefix(ERROR))
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    raise UsageError(
        f"MLflow at {uri} did not take the run: the process that logs it ended with code "
        f"{process.returncode} ({last}); check --tracking-uri"
    )

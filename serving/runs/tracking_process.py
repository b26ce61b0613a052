"""The process that logs one run to MLflow: ``python -m stagecast.serving.runs.tracking_process``.

It reads what to log as JSON on stdin, and answers with one line on stdout: ``run ID``, or
``error: `` and the reason. After three quarters of its time it stops, and closes its run as FAILED
with what is left; whoever started it kills it when all of its time is over. It imports no models:
whoever started it sends everything that is logged, but the files.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from stagecast.features.describe.fingerprint import Fingerprint
from stagecast.features.errors import StagecastError, UsageError
from stagecast.training.tracking.run_contents import RunContents
from stagecast.training.tracking.runs import Logged, write_backtest, write_training

RUN_ID = "run "
"""Beginning of the line with which the process reports the run that it logged."""
ERROR = "error: "
SHARE_TO_STOP = 0.75
"""Share of the time after which the process stops writing and closes its run."""


def log_run(job: Mapping[str, Any]) -> str:
    """Log what a job asks for, and return the id of the run.

    Parameters
    ----------
    job
        ``kind`` (``training`` or ``backtest``), ``contents`` (of the run), ``folder``, ``uri``,
        ``started``, ``ended``, ``data``, ``source``, ``seconds``; of a training also ``report``,
        ``register``, ``texts`` (path -> content) and ``model`` (of the MLflow model).

    Raises
    ------
    StagecastError
        The folder is not what it was, or MLflow does not take the run.
    """
    folder, data = Path(job["folder"]), job["data"]
    contents = RunContents.from_json(job["contents"])
    common: dict[str, Any] = {
        "started": datetime.fromisoformat(job["started"]),
        "ended": datetime.fromisoformat(job["ended"]),
        "fingerprint": None if data is None else Fingerprint.from_json(data),
        "source": job["source"],
        "seconds": float(job["seconds"]),
    }
    if job["kind"] == "backtest":
        return write_backtest(job["uri"], contents, folder, Logged(**common))
    from stagecast.serving.runs.mlflow_model import ModelFacts, write_model

    facts = ModelFacts.from_json(job["model"])
    with tempfile.TemporaryDirectory(prefix="stagecast-mlflow-") as scratch:
        model = write_model(facts, folder, Path(scratch) / "model")
        logged = Logged(**common, model=model, texts=job["texts"])
        report = None if job["report"] is None else Path(job["report"])
        return write_training(job["uri"], contents, folder, report, job["register"], logged)


def _stop(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("it was too slow")


def main() -> int:
    """Read a job, do it, and report; return the exit code."""
    job = json.load(sys.stdin)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, SHARE_TO_STOP * float(job["seconds"]))
    try:
        answer = f"{RUN_ID}{log_run(job)}"
    except StagecastError as error:
        answer = ERROR + " ".join(str(error).split())
    except Exception as error:  # whatever a broken server brings about is a reason, and no crash
        reason = UsageError(
            f"MLflow at {job['uri']} did not take the run: {type(error).__name__}: {error}"
        )
        answer = ERROR + " ".join(str(reason).split())
    sys.stdout.write(answer + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

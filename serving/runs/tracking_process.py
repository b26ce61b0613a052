"""The process that logs one run to MLflow: ``python -m stagecast.serving.runs.tracking_process``.

It reads what to log as JSON on stdin, and answers with one line on stdout: ``run ID``, or
``error: `` and the reason. After three quarters of its time it stops, and closes its run as FAILED
with what is left; whoever started it kills it when all of its time is over.
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
from stagecast.serving.runs.tracking import ERROR, RUN_ID
from stagecast.training.bundle import load_bundle
from stagecast.training.tracking.runs import Logged, log_backtest, log_training

SHARE_TO_STOP = 0.75
"""Share of the time after which the process stops writing and closes its run."""


def log_run(job: Mapping[str, Any]) -> str:
    """Log what a job asks for, and return the id of the run.

    Parameters
    ----------
    job
        ``kind`` (``training`` or ``backtest``), ``folder``, ``uri``, ``started``, ``ended``,
        ``data``, ``source``, ``seconds``; of a training also ``report`` and ``register``, of a
        backtest ``parameters``.

    Raises
    ------
    StagecastError
        The folder is not what it was, or MLflow does not take the run.
    """
    folder, data = Path(job["folder"]), job["data"]
    common: dict[str, Any] = {
        "started": datetime.fromisoformat(job["started"]),
        "ended": datetime.fromisoformat(job["ended"]),
        "fingerprint": None if data is None else Fingerprint.from_json(data),
        "source": job["source"],
        "seconds": float(job["seconds"]),
    }
    if job["kind"] == "backtest":
        backtest = json.loads((folder / "backtest.json").read_text("utf-8"))
        return log_backtest(job["uri"], backtest, folder, job["parameters"], Logged(**common))
    from stagecast.serving.runs.mlflow_model import write_model
    from stagecast.serving.runs.model_card import card_text, figures

    bundle = load_bundle(folder)
    texts = {"model-card.md": card_text(bundle), **figures(bundle.card)}
    with tempfile.TemporaryDirectory(prefix="stagecast-mlflow-") as scratch:
        model = write_model(bundle, folder, Path(scratch) / "model")
        logged = Logged(**common, model=model, texts=texts)
        report = None if job["report"] is None else Path(job["report"])
        return log_training(job["uri"], bundle, folder, report, job["register"], logged)


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

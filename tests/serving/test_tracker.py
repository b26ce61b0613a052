"""MLflow never costs a run: what a training gets of a process that hangs, crashes or refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.runs import tracking
from stagecast.serving.settings import Settings
from stagecast.training.bundle import FORMAT, load_bundle
from tests.training.bundle.formats import FOLDER

JOB = {"uri": "http://mlflow.example:5000", "seconds": 1}


def running(code: str) -> Any:
    """Return what starts this code in the place of the process that logs."""

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-S", "-c", code], **options)

    return start


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import time; time.sleep(600)", "did not take the run within 1 s"),
        ("import sys; sys.exit('out of memory')", r"ended with code 1 \(out of memory\)"),
        ("", r"ended with code 0 \(it said nothing\)"),
        ("print('error: refused by the server')", "^refused by the server$"),
        ("import os; os.kill(os.getpid(), 9)", "ended with code -9"),
    ],
)
def test_a_process_that_does_not_log_is_a_clear_error(code: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tracking.in_own_process(JOB, 1.0 if "sleep" in code else 600.0, running(code))


def test_a_process_that_logs_gives_the_run() -> None:
    assert tracking.in_own_process(JOB, 600.0, running("print('run 0af3')")) == "0af3"


def test_only_a_registered_model_that_was_asked_for_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(job: dict[str, Any], seconds: float) -> str:
        raise UsageError("MLflow is dead")

    monkeypatch.setattr(tracking, "in_own_process", refuse)
    warnings: list[str] = []
    bundle = load_bundle(FOLDER / f"format-{FORMAT}")
    track = tracking.Tracker(Settings(), None, warnings.append)
    assert track(bundle, tmp_path, None) is None
    assert warnings == [f"not tracked: MLflow is dead; {tmp_path} is written all the same"]
    register = tracking.Tracker(Settings(), "shop", warnings.append)
    with pytest.raises(UsageError, match="is written, and not registered as shop: MLflow is dead"):
        register(bundle, tmp_path, None)

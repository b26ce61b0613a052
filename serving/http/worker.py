"""One of several workers: ``python -m stagecast.serving.http.worker``.

It reads its job as a line of JSON on stdin (settings, socket, what the bundle scored in a child
process), and prints ``ready`` and the model's version when it answers. When stdin ends, the process
that started it is gone, and it stops.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from stagecast.features.errors import StagecastError
from stagecast.serving.http.server import run_server
from stagecast.serving.metrics.workers import Worker
from stagecast.serving.scoring.rehearsal import load_expected
from stagecast.serving.settings import Settings
from stagecast.serving.store.store import Store


def work(job: dict[str, Any]) -> None:
    """Answer requests until the process is told to stop.

    Raises
    ------
    StagecastError
        The store cannot be opened, or the bundle is not what was rehearsed.
    """
    settings = Settings(**job["settings"])
    scorer = None
    if settings.model is not None:
        scorer = load_expected(settings.model, job["expected"])
    version = None if scorer is None else scorer.model_version

    def say_ready() -> None:
        sys.stdout.write(f"ready {json.dumps(version)}\n")
        sys.stdout.flush()
        threading.Thread(target=_stop_when_alone, daemon=True).start()

    store = Store.open(settings.store, read_only=settings.read_only)
    try:
        run_server(
            settings,
            scorer,
            store,
            worker=Worker(job["worker"], Path(job["metrics"])),
            listening=socket.socket(fileno=job["socket"]),
            ready=say_ready,
        )
    finally:
        store.close()


def _stop_when_alone() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Read the job and do it; return the exit code."""
    try:
        work(json.loads(sys.stdin.readline()))
    except StagecastError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One of several workers: ``python -m stagecast.serving.http.worker``.

It reads its job as a line of JSON on stdin (settings, socket, what the bundle scored in a child
process), and prints ``ready`` and the model's version when it answers. Further lines are orders: to
prepare another model, to serve it, to show why an old one stays. When stdin ends, the process that
started it is gone, and it stops.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from stagecast.features.errors import StagecastError
from stagecast.serving.follow.follower import Doubt
from stagecast.serving.http.server import run_server
from stagecast.serving.http.state import State
from stagecast.serving.metrics.workers import Worker
from stagecast.serving.scoring.rehearsal import load_expected
from stagecast.serving.scoring.scorer import Scorer
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

    def say_ready(state: State) -> None:
        say("ready", version)
        threading.Thread(target=_obey, args=(state,), daemon=True).start()

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


def say(word: str, content: str | None) -> None:
    """Tell the parent something: a word, and JSON."""
    sys.stdout.write(f"{word} {json.dumps(content)}\n")
    sys.stdout.flush()


def _obey(state: State) -> None:
    """Do what the parent says, until it is gone.

    A model is prepared first, and served when all workers have prepared it.
    """
    prepared: Scorer | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if "prepare" in order:
            prepared = _prepared(Path(order["prepare"]), order["expected"])
        elif "swap" in order and prepared is not None:
            state.scorer, state.scorer_fault, prepared = prepared, None, None
        elif "doubt" in order:
            doubt = None if order["doubt"] is None else Doubt.from_json(order["doubt"])
            state.doubt = partial(_same, doubt)
    os.kill(os.getpid(), signal.SIGTERM)


def _same(doubt: Doubt | None) -> Doubt | None:
    return doubt


def _prepared(folder: Path, expected: str) -> Scorer | None:
    try:
        scorer = load_expected(folder, expected)
    except StagecastError as error:
        say("refused", str(error))
    except Exception as error:  # a fault of ours must not end the thread, nor the old model
        say("refused", f"{type(error).__name__} while the model was loaded")
    else:
        say("prepared", scorer.model_version)
        return scorer
    return None


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

"""One of several workers: ``python -m stagecast.serving.http.worker``.

It reads its job as a line of JSON on stdin (settings, socket, what the bundle scored in a child
process), and prints ``ready`` and the model's version when it answers. Further lines are orders: to
prepare another model, to answer a share of the customers with it, to serve it or to drop it, to
have a challenger scored beside, to show why an old model stays. When stdin ends, the process that
started it is gone, and it stops.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from stagecast.features.errors import StagecastError
from stagecast.serving.follow.canary import Canary, Trial
from stagecast.serving.follow.follower import Doubt
from stagecast.serving.http.server import run_server
from stagecast.serving.http.state import State
from stagecast.serving.metrics.workers import Worker
from stagecast.serving.scoring.rehearsal import load_expected
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.settings import Settings
from stagecast.serving.stopping import ending_in_order
from stagecast.serving.store.store import Store

_logger = logging.getLogger("stagecast.server")


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
        obedience = Obedience(state)
        threading.Thread(target=obedience.run, daemon=True).start()

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


def say(word: str, content: Any) -> None:
    """Tell the parent something: a word, and JSON."""
    sys.stdout.write(f"{word} {json.dumps(content)}\n")
    sys.stdout.flush()


class Obedience:
    """Does what the parent says, until it is gone.

    A model is prepared first, and served when all workers have prepared it.

    Parameters
    ----------
    state
        The state of the server.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._prepared: Scorer | None = None

    def run(self) -> None:
        """Obey one order after the other."""
        for line in sys.stdin:
            order = json.loads(line)
            if "prepare" in order:
                self._prepared = _prepared(Path(order["prepare"]), order["expected"], order["try"])
            elif "canary" in order:
                self._begin(Trial.from_json(order["canary"]), order["expected"])
            elif "drop" in order:
                self._end()
            elif "swap" in order and self._prepared is not None:
                self._state.scorer, self._state.scorer_fault = self._prepared, None
                self._end()
            elif "shadow" in order and self._state.shadow is not None:
                self._state.shadow.put(Path(order["shadow"]), Path(order["reports"]))
            elif "doubt" in order:
                self._state.doubt = partial(_same, _doubt_of(order["doubt"]))
                if self._state.shadow is not None:
                    self._state.shadow.doubt = partial(_same, _doubt_of(order["shadow_doubt"]))
        os.kill(os.getpid(), signal.SIGTERM)

    def _begin(self, trial: Trial, expected: str) -> None:
        """Answer a share of the customers; a worker that was started since prepares the model."""
        scorer = self._prepared
        if scorer is None:
            try:
                scorer = self._prepared = load_expected(trial.model, expected)
            except Exception as error:
                # without it this worker could not swap with the others: it is started again
                _logger.error("a canary cannot be loaded: %s", type(error).__name__)
                os.kill(os.getpid(), signal.SIGTERM)
                return
        canary = self._state.canary = Canary(trial, scorer)
        canary.start()

    def _end(self) -> None:
        canary, self._state.canary, self._prepared = self._state.canary, None, None
        if canary is not None:
            canary.stop()


def _doubt_of(data: dict[str, str] | None) -> Doubt | None:
    return None if data is None else Doubt.from_json(data)


def _same(doubt: Doubt | None) -> Doubt | None:
    return doubt


def _prepared(folder: Path, expected: str, number: int) -> Scorer | None:
    """Return the model that is prepared, and tell the parent; None: it is refused."""
    try:
        scorer = load_expected(folder, expected)
    except StagecastError as error:
        say("refused", [number, str(error)])
    except Exception as error:  # a fault of ours must not end the thread, nor the old model
        say("refused", [number, f"{type(error).__name__} while the model was loaded"])
    else:
        say("prepared", [number, scorer.model_version])
        return scorer
    return None


def main() -> int:
    """Read the job and do it; return the exit code."""
    try:
        with ending_in_order():
            work(json.loads(sys.stdin.readline()))
    except StagecastError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

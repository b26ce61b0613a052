"""The place of a worker: its process, what it said, and when the next one may start."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from stagecast.serving.scoring.first_load import CHILD_SECONDS

RESTART_SECONDS, RESTART_SECONDS_MAX = 1.0, 30.0
"""Pause before a worker is started again; it doubles while workers end within a minute."""
SETTLED_SECONDS = 60.0


@dataclass
class Place:
    """The place of a worker, which one process after the other takes.

    Parameters
    ----------
    number
        Number of the worker.
    """

    number: int
    pause: float = RESTART_SECONDS
    restart_at: float | None = None
    version: str | None = None
    started: float = 0.0
    starts: int = 0
    is_ready: threading.Event = field(default_factory=threading.Event)
    _process: subprocess.Popen[bytes] | None = None
    _answers: queue.Queue[tuple[str, int, str]] = field(default_factory=queue.Queue)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def start(self, job: dict[str, Any]) -> None:
        """Start a process in this place."""
        self.is_ready.clear()
        self.started, self.restart_at = time.monotonic(), None
        self.starts += 1
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stagecast.serving.http.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(job["socket"],),
            # an interrupt of the terminal is for the parent, which passes it on once
            start_new_session=True,
        )
        # stdin stays open: a worker whose parent has gone stops
        self.order({**job, "worker": self.number})
        reading = threading.Thread(
            target=self._read, args=(self._process,), name=f"worker-{self.number}", daemon=True
        )
        reading.start()

    def order(self, content: dict[str, Any]) -> None:
        """Send a line of JSON; a process that has ended gets none."""
        stdin = self.process.stdin
        assert stdin is not None  # a pipe was asked for
        try:
            stdin.write(json.dumps(content).encode() + b"\n")
            stdin.flush()
        except OSError:
            return

    def wait_prepared(self, number: int) -> str | None:
        """Wait until the worker has prepared the model that it was ordered to.

        Parameters
        ----------
        number
            That of the order; what the worker said of earlier ones is left out.

        Returns
        -------
        Why it cannot: it refuses the model, or has ended; None: it has.
        """
        deadline = time.monotonic() + CHILD_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                word, of_order, content = self._answers.get(timeout=0.1)
            except queue.Empty:
                continue
            if of_order != number:
                continue
            if word == "prepared":
                self.version = content
                return None
            return f"worker {self.number}: {content}"
        return f"worker {self.number} has not loaded the model"

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        for line in process.stdout or ():
            word, _, content = line.decode("utf-8").partition(" ")
            if word == "ready":
                self.version = json.loads(content)
                self.is_ready.set()
            elif word in ("prepared", "refused"):
                self._answers.put((word, *json.loads(content)))

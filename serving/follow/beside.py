"""A model that is asked beside the one that answers: in a process of its own, off the hot path.

    answer -> offer (never waits) -> thread -> pipe -> process -> file of pairs
                 full: dropped, counted

The process runs at a lower priority, and nothing that befalls it reaches an answer.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from stagecast.serving.follow.pairs import Pairs, Values, values_of

WAITING, WAITING_BYTES = 64, 16 * 2**20
"""Most answers that wait to be compared, and most bytes of their bodies."""
MOST_CUSTOMERS = 64
"""Most customers of one body that are compared; they stand at even distances."""
RESTART_SECONDS = 30.0
STOP_SECONDS = 5.0
PAIRS, COUNTS = ".pairs", ".counts"
_logger = logging.getLogger("stagecast.server")


class Message(msgspec.Struct, array_like=True):
    """An answer that is to be compared.

    Parameters
    ----------
    version
        Version of the model that answered.
    raw
        The body of the request.
    as_of
        The as_of of the answer.
    with_reasons
        Whether there were reasons.
    rows
        Id of a customer, and what is compared of the score.
    seconds
        Processor time of a score; None: it was not measured.
    """

    version: str
    raw: bytes
    as_of: datetime
    with_reasons: bool
    rows: list[tuple[str, Values]]
    seconds: float | None


def message_of(
    version: str,
    raw: bytes,
    as_of: datetime,
    scores: Sequence[Mapping[str, Any]],
    seconds: float | None,
    *,
    with_reasons: bool,
) -> Message:
    """Return the message of an answer.

    Parameters
    ----------
    scores
        Scores of the answer, as JSON objects.
    version, raw, as_of, seconds, with_reasons
        See :class:`Message`.
    """
    step = -(-len(scores) // MOST_CUSTOMERS) or 1
    rows = [(score["customer_id"], values_of(score)) for score in scores[::step]]
    return Message(version, raw, as_of, with_reasons, rows, seconds)


class Counts(msgspec.Struct):
    """What the answering process counts of a comparison.

    Parameters
    ----------
    offered, dropped
        Answers that were to be compared, and those of them for which there was no room.
    answered
        Customers whom the new model of a canary has answered.
    errors
        Kind -> customers at whom it failed, and the old one did not.
    """

    offered: int = 0
    dropped: int = 0
    answered: int = 0
    errors: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Add those of another process."""
        self.offered += other.offered
        self.dropped += other.dropped
        self.answered += other.answered
        for kind, number in other.errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + number


class Beside:
    """Has a model asked beside the one that answers.

    Parameters
    ----------
    model
        Folder of its bundle.
    reports
        Folder for the files of pairs and counts; those of all workers are there.
    what
        ``shadow`` or ``canary``, for the log.
    """

    def __init__(self, model: Path, reports: Path, what: str) -> None:
        self.counts = Counts()
        self.reports = reports
        self.version: str | None = None
        self.problem: str | None = None
        self._job = {"model": str(model), "reports": str(reports), "what": what}
        self._own = reports / f"{os.getpid()}-{next(_numbers)}{COUNTS}"
        self._queue: queue.Queue[Message] = queue.Queue(WAITING)
        self._bytes = 0
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def start(self) -> None:
        """Start the process, and the thread that hands it the answers."""
        self._thread.start()

    def wait_ready(self, seconds: float) -> None:
        """Wait until the process has checked its model, or cannot."""
        until = time.monotonic() + seconds
        while self.version is None and self.problem is None and time.monotonic() < until:
            if self._stopped.wait(0.05):
                return

    def offer(self, message: Message) -> None:
        """Have an answer compared, if there is room; it is counted as dropped where there is none.

        Only the event loop calls this: it neither waits nor raises.
        """
        self.counts.offered += 1
        size = len(message.raw)
        if self.version is None or self._bytes + size > WAITING_BYTES:
            self.counts.dropped += 1
            return
        try:
            self._queue.put_nowait(message)
            self._bytes += size
        except queue.Full:
            self.counts.dropped += 1

    def own_pairs(self) -> list[Pairs]:
        """Return what the process of this worker has compared, and those before it have not."""
        process = self._process
        if process is None:
            return []
        return _pairs_in(sorted(self.reports.glob(f"{process.pid}-*{PAIRS}")))

    def stop(self) -> None:
        """End the process; what it wrote stays."""
        self._stopped.set()
        process = self._process
        if process is not None:
            process.kill()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self._write()

    def _run(self) -> None:
        while not self._stopped.is_set():
            process = self._started()
            try:
                self._serve(process)
            finally:
                process.kill()
                process.communicate()
            if self._stopped.is_set():
                return
            if self.version is not None:
                self.problem = ended_by(process.returncode)
            self.version = None
            _logger.warning("%s: no model is asked beside: %s", self._what, self.problem)
            self._stopped.wait(RESTART_SECONDS)

    def _started(self) -> subprocess.Popen[bytes]:
        # isolated, as the first load is: nothing but the job decides what is imported
        command = [sys.executable, "-I", "-m", "stagecast.serving.http.comparing_process"]
        pipe = subprocess.PIPE
        # its lines of the log are ours; an interrupt of the terminal is not for it
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        self._process = process
        return process

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        """Hand over answers until the process ends, or we stop."""
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None  # pipes were asked for
        assert stdout is not None
        try:
            stdin.write(json.dumps(self._job).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
            if self._stopped.is_set():
                return
            answer = json.loads(line) if line else {"problem": ended_by(process.wait())}
            self.problem = answer.get("problem")
            if self.problem is not None:
                return
            self.version = answer["version"]
            _logger.info("%s: model %s is asked beside", self._what, self.version)
            written = None
            while not self._stopped.is_set() and process.poll() is None:
                try:
                    message = self._queue.get(timeout=0.5)
                except queue.Empty:
                    pass
                else:
                    self._bytes -= len(message.raw)
                    content = msgspec.msgpack.encode(message)
                    stdin.write(len(content).to_bytes(4, "big") + content)
                    stdin.flush()
                written = self._write_changed(written)
        except OSError:
            return  # it has ended

    @property
    def _what(self) -> str:
        return self._job["what"]

    def _write_changed(self, written: bytes | None) -> bytes:
        content = msgspec.json.encode(self.counts)
        if content != written:
            self._write()
        return content

    def _write(self) -> None:
        try:
            replace_file(self._own, msgspec.json.encode(self.counts))
        except OSError as error:
            _logger.warning("counts of a comparison cannot be written: %s", error.strerror)


_numbers = itertools.count()


def ended_by(code: int) -> str:
    """Return how a process ended, by its code: the name of the signal where one ended it."""
    how = signal.Signals(-code).name if code < 0 else f"code {code}"
    return f"the process of the model was ended by {how}"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole, so that nobody reads a part of it."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)


def read_reports(reports: Path) -> tuple[list[Pairs], Counts]:
    """Return what all processes wrote into a folder; what cannot be read is left out."""
    counts = Counts()
    for path in sorted(reports.glob(f"*{COUNTS}")):
        try:
            counts.add(msgspec.json.decode(path.read_bytes(), type=Counts))
        except (OSError, msgspec.MsgspecError):
            continue
    return _pairs_in(sorted(reports.glob(f"*{PAIRS}"))), counts


def _pairs_in(paths: Iterable[Path]) -> list[Pairs]:
    pairs = []
    for path in paths:
        try:
            pairs.append(msgspec.json.decode(path.read_bytes(), type=Pairs))
        except (OSError, msgspec.MsgspecError):
            continue
    return pairs

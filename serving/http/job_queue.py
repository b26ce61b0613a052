"""The thread of a server that scores jobs, one after the other."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from stagecast.serving.http.bodies import JobBody
from stagecast.serving.http.partial import score_each
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.store import jobs
from stagecast.serving.store.jobs import Row
from stagecast.serving.store.protocols import ScorerLike
from stagecast.training.card import EqualEvents

WAITING_MAX, WAITING_BYTES, RETRY_SECONDS = 100, 192 << 20, 30
"""Jobs that may wait, what was sent with them (three bodies of the greatest length), and when a
client that was refused asks again."""
PORTION = 200
"""Customers that are scored at a time, so that requests have their turn between."""


@dataclass(frozen=True)
class Batch:
    """What a job scores.

    Parameters
    ----------
    job_id
        Its job.
    scorer
        The model when it was sent.
    body
        Its customers as they were sent.
    as_of
        Instant of the scores, UTC.
    with_reasons
        Whether to compute the reasons.
    equal_events
        How events without a number that are equal count.
    size
        Length of the body, bytes.
    """

    job_id: str
    scorer: ScorerLike
    body: JobBody
    as_of: datetime
    with_reasons: bool
    equal_events: EqualEvents
    size: int


class JobQueue:
    """Batches that wait, and the thread that scores them, one after the other.

    No further one is taken while :data:`WAITING_MAX` or :data:`WAITING_BYTES` of them wait.

    Parameters
    ----------
    engine
        The store.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self.worker = os.urandom(16).hex()
        self._waiting: deque[Batch] = deque()
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to score what is sent."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Stop; a job that is not done is lost, and says so."""
        self._stopped.set()
        self._asked.set()
        self._thread.join(seconds)

    def check_room(self) -> None:
        """Refuse a job while too many wait.

        Raises
        ------
        ProblemError
            503: they do.
        """
        waiting = self._waiting.copy()
        size = sum(batch.size for batch in waiting)
        if len(waiting) >= WAITING_MAX or size >= WAITING_BYTES:
            raise ProblemError(
                503,
                "jobs-waiting",
                f"{len(waiting)} jobs of {size >> 20} MiB wait already; "
                f"try again in {RETRY_SECONDS} s",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )

    def add(self, batch: Batch, key_id: str) -> None:
        """Store a job, and score it when it is its turn; raises as :meth:`check_room`."""
        with self._lock:
            self.check_room()
            jobs.insert_job(
                self._engine,
                batch.job_id,
                key_id,
                self.worker,
                as_of=batch.as_of,
                model_version=batch.scorer.model_version,
                stages=[stage.id for stage in batch.scorer.scheme.stages],
                customers=len(batch.body.customers),
            )
            self._waiting.append(batch)
        self._asked.set()

    def _run(self) -> None:
        with suppress(sa.exc.SQLAlchemyError):
            jobs.drop_old(self._engine)  # also what a server that was killed left
        while not self._stopped.is_set():
            self._asked.wait()
            self._asked.clear()
            with suppress(sa.exc.SQLAlchemyError):
                while self._waiting and not self._stopped.is_set():
                    batch = self._waiting.popleft()
                    self._score(batch)
        with suppress(sa.exc.SQLAlchemyError):
            for batch in self._waiting:
                jobs.end_job(self._engine, batch.job_id, "lost", jobs.LOST)

    def _score(self, batch: Batch) -> None:
        """Score a batch; a fault of the server fails its job, and no other."""
        if not jobs.start_job(self._engine, batch.job_id):
            return
        try:
            whole = self._portions(batch)
        except Exception as error:
            problem = f"a fault of the server: {type(error).__name__}"
            jobs.end_job(self._engine, batch.job_id, "failed", problem)
            return
        if not whole and self._stopped.is_set():
            jobs.end_job(self._engine, batch.job_id, "lost", jobs.LOST)
        elif whole:
            jobs.end_job(self._engine, batch.job_id, "done")

    def _portions(self, batch: Batch) -> bool:
        """Score the customers portion by portion; return False where the job was ended before."""
        customers = batch.body.customers
        for first in range(0, len(customers), PORTION):
            if self._stopped.is_set():
                return False
            jobs.beat(self._engine, self.worker)
            rows = _rows(batch, first)
            if not jobs.add_rows(self._engine, batch.job_id, rows):
                return False
        return True


def _rows(batch: Batch, first: int) -> list[Row]:
    scored = score_each(
        batch.scorer,
        batch.body.customers[first : first + PORTION],
        batch.as_of,
        first=first,
        equal_events=batch.equal_events,
        with_reasons=batch.with_reasons,
    )
    rows = [
        Row(position, score["customer_id"], msgspec.json.encode(score).decode("utf-8"), None)
        for position, score in scored.scores.items()
    ]
    rows += [
        Row(error["position"], error["customer_id"], None, _text(error)) for error in scored.errors
    ]
    return rows


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")

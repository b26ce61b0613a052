"""Jobs in the store: their state, and the scores that are there so far.

A job is done by the process that took it, which holds what was sent in its memory. It says every
few seconds that it lives; a job whose process has not said so for a while is lost, and says that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from stagecast.serving.store.deleting import deleting_connection
from stagecast.serving.store.job_tables import job_scores, jobs

State = Literal["waiting", "running", "done", "failed", "cancelled", "lost"]
UNFINISHED = ("waiting", "running")
STORED, LOST_AFTER = timedelta(days=1), timedelta(seconds=60)
LOST = "the server was stopped before the job was done; send it again"
PAGE = 2_000


@dataclass(frozen=True)
class Job:
    """A job.

    Parameters
    ----------
    id
        32 hex digits.
    state
        ``waiting``, ``running``, ``done``, ``failed``, ``cancelled``, or ``lost``: its process is
        gone.
    created_at, started_at, finished_at
        UTC; None: not yet.
    as_of
        Instant of the scores, UTC.
    model_version
        Version of the bundle that scores them.
    stages
        Ids of the stages of its scheme.
    customers, scored, failed
        How many were sent, have a score so far, and can have none.
    problem
        Why it failed or is lost; None: it did not, or is not.
    """

    id: str
    state: State
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    as_of: datetime
    model_version: str
    stages: list[str]
    customers: int
    scored: int
    failed: int
    problem: str | None


class Row(NamedTuple):
    """One customer of a job: the score as JSON text, or the error."""

    position: int
    customer_id: str | None
    score: str | None
    error: str | None


_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]


def insert_job(engine: sa.Engine, job_id: str, key_id: str, worker: str, **values: Any) -> None:
    """Store a new job that waits; drop what is older than a day."""
    now = datetime.now(UTC)
    drop_old(engine)
    with engine.begin() as connection:
        connection.execute(
            jobs.insert().values(
                id=job_id,
                key_id=key_id,
                worker=worker,
                state="waiting",
                created_at=now,
                beat_at=now,
                scored=0,
                failed=0,
                **values,
            )
        )


def drop_old(engine: sa.Engine) -> None:
    """Delete the jobs that ended a day ago, with their scores; note those that are lost."""
    now = datetime.now(UTC)
    silent = sa.and_(jobs.c.state.in_(UNFINISHED), jobs.c.beat_at < now - LOST_AFTER)
    old = sa.select(jobs.c.id).where(jobs.c.finished_at < now - STORED)
    with deleting_connection(engine) as connection, connection.begin():
        connection.execute(
            jobs.update().where(silent).values(state="lost", finished_at=now, problem=LOST)
        )
        connection.execute(job_scores.delete().where(job_scores.c.job_id.in_(old)))
        connection.execute(jobs.delete().where(jobs.c.finished_at < now - STORED))


def job_of(engine: sa.Engine, job_id: str, key_id: str) -> Job | None:
    """Return a job of a key; None: it has none of this id."""
    return next(iter(_jobs(engine, jobs.c.id == job_id, jobs.c.key_id == key_id)), None)


def jobs_of(engine: sa.Engine, key_id: str) -> list[Job]:
    """Return the jobs of a key, the newest first."""
    return _jobs(engine, jobs.c.key_id == key_id)


def _jobs(engine: sa.Engine, *conditions: sa.ColumnElement[bool]) -> list[Job]:
    """Return jobs as they are now; what is lost or old is not written, only said."""
    now = datetime.now(UTC)
    is_old = sa.and_(jobs.c.finished_at.is_not(None), jobs.c.finished_at < now - STORED)
    query = (
        sa.select(*_COLUMNS, jobs.c.beat_at)
        .where(*conditions, ~is_old)
        .order_by(jobs.c.created_at.desc(), jobs.c.id)
    )
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    for row in rows:
        beat_at = row.pop("beat_at")
        if row["state"] in UNFINISHED and beat_at < now - LOST_AFTER:
            row |= {"state": "lost", "finished_at": beat_at, "problem": LOST}
    return [Job(**row) for row in rows]


def beat(engine: sa.Engine, worker: str) -> None:
    """Note that a process lives, and does its jobs."""
    with engine.begin() as connection:
        connection.execute(
            jobs.update()
            .where(jobs.c.worker == worker, jobs.c.state.in_(UNFINISHED))
            .values(beat_at=datetime.now(UTC))
        )


def start_job(engine: sa.Engine, job_id: str) -> bool:
    """Note that a job has begun; return False where it waits no more."""
    now = datetime.now(UTC)
    return _update(engine, job_id, ("waiting",), state="running", started_at=now, beat_at=now)


def add_rows(engine: sa.Engine, job_id: str, rows: Sequence[Row]) -> bool:
    """Store scores of a job; return False where it runs no more, since it was cancelled."""
    scored = sum(row.score is not None for row in rows)
    running = (jobs.c.id == job_id, jobs.c.state == "running")
    with engine.begin() as connection:
        counted = connection.execute(
            jobs.update()
            .where(*running)
            .values(
                scored=jobs.c.scored + scored,
                failed=jobs.c.failed + len(rows) - scored,
                beat_at=datetime.now(UTC),
            )
        )
        if not counted.rowcount:
            return False
        if rows:
            values = [{"job_id": job_id, **row._asdict()} for row in rows]
            connection.execute(job_scores.insert(), values)
    return True


def end_job(engine: sa.Engine, job_id: str, state: State, problem: str | None = None) -> bool:
    """End a job that has not ended; return whether it had not."""
    now = datetime.now(UTC)
    return _update(engine, job_id, UNFINISHED, state=state, finished_at=now, problem=problem)


def cancel_job(engine: sa.Engine, job_id: str) -> None:
    """End a job if it has not ended, and delete its scores."""
    now = datetime.now(UTC)
    with deleting_connection(engine) as connection, connection.begin():
        connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id)
            .values(state="cancelled", finished_at=now, scored=0, failed=0, problem=None)
        )
        connection.execute(job_scores.delete().where(job_scores.c.job_id == job_id))


def _update(engine: sa.Engine, job_id: str, states: Sequence[str], **values: Any) -> bool:
    with engine.begin() as connection:
        statement = jobs.update().where(jobs.c.id == job_id, jobs.c.state.in_(states))
        return bool(connection.execute(statement.values(**values)).rowcount)


def rows_of(engine: sa.Engine, job_id: str, part: Literal["score", "error"]) -> Iterator[str]:
    """Yield the scores or the errors of a job in the order in which the customers were sent."""
    last = -1
    while True:
        query = (
            sa.select(job_scores.c.position, job_scores.c[part])
            .where(job_scores.c.job_id == job_id, job_scores.c.position > last)
            .order_by(job_scores.c.position)
            .limit(PAGE)
        )
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        yield from (row[1] for row in rows if row[1] is not None)
        if len(rows) < PAGE:
            return
        last = rows[-1][0]

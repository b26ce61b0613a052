"""The purge of erased customers' bytes, as a job that many erasures share.

An erasure deletes rows at once, which takes milliseconds. To rewrite the files so that they lose
the deleted bytes takes as long as to copy them; it is done once for all erasures that wait.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.serving.store.deleting import delete_rows_in, deleting_connection, purge
from stagecast.serving.store.purge_tables import purges

GATHER_SECONDS, RETRY_SECONDS, RETRY_SECONDS_MAX, LOOK_SECONDS = 0.5, 5.0, 300.0, 60.0
State = Literal["waiting", "running", "done"]


@dataclass(frozen=True)
class Erasure:
    """An erasure whose rows are deleted, and how far its purge is.

    Parameters
    ----------
    id
        Number of the erasure.
    requested_at
        When the rows were deleted, UTC.
    started_at, finished_at
        When the purge began and ended, UTC; None: not yet.
    problem
        Why the last attempt failed; None: it did not.
    """

    id: int
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    problem: str | None

    @property
    def state(self) -> State:
        """``waiting``, ``running``, or ``done``: the bytes are out of the files."""
        if self.finished_at is not None:
            return "done"
        return "waiting" if self.started_at is None else "running"


def forget(engine: sa.Engine, customer_id: str) -> int | None:
    """Delete a customer's rows in one transaction, and ask for their purge.

    Returns
    -------
    Number of the erasure; None: there is no such customer, and nothing was written.
    """
    with deleting_connection(engine) as connection, connection.begin() as transaction:
        if not delete_rows_in(connection, [customer_id]):
            transaction.rollback()
            return None
        result = connection.execute(purges.insert().values(requested_at=datetime.now(UTC)))
        key = result.inserted_primary_key
        return None if key is None else int(key[0])


def erasure(engine: sa.Engine, number: int) -> Erasure | None:
    """Return an erasure by its number; None: there is none."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(purges).where(purges.c.id == number)).mappings().first()
    return None if row is None else Erasure(**row)


def purge_waiting(engine: sa.Engine) -> bool:
    """Purge once for all erasures that wait; return whether none waits any more.

    If the database is busy, they wait on, and their ``problem`` says why.
    """
    unfinished = purges.c.finished_at.is_(None)
    with engine.connect() as connection:
        last = connection.scalar(sa.select(sa.func.max(purges.c.id)).where(unfinished))
    if last is None:
        return True
    waiting = (purges.c.id <= last, unfinished)
    with engine.begin() as connection:
        connection.execute(
            purges.update().where(*waiting).values(started_at=datetime.now(UTC), problem=None)
        )
    try:
        purge(engine)
    except UsageError as error:
        with engine.begin() as connection:
            connection.execute(
                purges.update().where(*waiting).values(started_at=None, problem=str(error))
            )
        return False
    with engine.begin() as connection:
        connection.execute(purges.update().where(*waiting).values(finished_at=datetime.now(UTC)))
    return True


class Purger:
    """A thread of the server that purges what waits, also what a stopped server left.

    Parameters
    ----------
    engine
        The store.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._asked, self._stopped = threading.Event(), threading.Event()
        self._asked.set()  # a server that was killed may have left some
        self._thread = threading.Thread(target=self._run, name="purges", daemon=True)

    def start(self) -> None:
        """Begin to purge."""
        self._thread.start()

    def wake(self) -> None:
        """Purge soon, since something was erased."""
        self._asked.set()

    def stop(self, seconds: float) -> None:
        """Stop; a purge that takes longer than so many seconds goes on until the process ends."""
        self._stopped.set()
        self._asked.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        pause = RETRY_SECONDS
        while not self._stopped.is_set():
            self._asked.wait(LOOK_SECONDS)
            # erasures that arrive together share one purge
            if self._stopped.wait(GATHER_SECONDS):
                return
            self._asked.clear()
            try:
                done = purge_waiting(self._engine)
            except sa.exc.SQLAlchemyError:
                done = False  # the store is busy or away; the rows are deleted already
            pause = RETRY_SECONDS if done else min(2 * pause, RETRY_SECONDS_MAX)
            if not done and not self._stopped.wait(pause):
                self._asked.set()

"""Retention: old runs are deleted, except those that something still needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stagecast.features.clock import iso
from stagecast.features.errors import UsageError
from stagecast.serving.store.deleting import purge
from stagecast.serving.store.evidence import evidence
from stagecast.serving.store.plan_tables import channels, plans, settled
from stagecast.serving.store.publishing import discard_run
from stagecast.serving.store.tables import runs
from stagecast.serving.store.webhook_tables import webhooks


@dataclass(frozen=True)
class Retention:
    """Which runs are stored for their age alone.

    Parameters
    ----------
    runs
        The newest so many; None: no number.
    days
        Those published within so many days; None: no span.
    unsettled
        Whether a run that is not settled yet may go, too.
    """

    runs: int | None = None
    days: int | None = None
    unsettled: bool = False

    def __post_init__(self) -> None:
        if self.runs is None and self.days is None:
            raise UsageError("say how long runs are stored: --keep-runs N or --keep-days D")
        for option, value in (("--keep-runs", self.runs), ("--keep-days", self.days)):
            if value is not None and value < 1:
                raise UsageError(f"{option} {value}: give 1 or more")


@dataclass(frozen=True)
class RunFate:
    """A published run, and why it stays; no reason: it goes."""

    run: int
    as_of: datetime
    published_at: datetime
    customers: int
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        as_texts = {"as_of": iso(self.as_of), "published_at": iso(self.published_at)}
        return {**asdict(self), **as_texts, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class Pruned:
    """What a pruning did.

    Parameters
    ----------
    dry_run
        Whether nothing was changed.
    deleted, stored
        Runs that went (in a dry run: would go), and those that stay, the newest first.
    bytes_before, bytes_after
        Size of the database; None: not known.
    problem
        Why the space was not given back; None: it was.
    """

    dry_run: bool
    deleted: tuple[RunFate, ...]
    stored: tuple[RunFate, ...]
    bytes_before: int | None
    bytes_after: int | None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            **asdict(self),
            "deleted": [fate.to_json() for fate in self.deleted],
            "stored": [fate.to_json() for fate in self.stored],
        }


def prune(
    engine: sa.Engine, retention: Retention, now: datetime, *, dry_run: bool = False
) -> Pruned:
    """Delete the runs that are older than a retention and that nothing needs.

    Never deleted are the current run, the run of a plan (whose read-out asks for it), a run that is
    not settled yet (unless the retention says so), and one of which a webhook is to be sent. A run
    disappears in one transaction, and the rows of the ledger stay.

    Parameters
    ----------
    engine
        The store.
    retention
        Which runs are stored for their age.
    now
        The present, UTC.
    dry_run
        Look, and change nothing.

    Raises
    ------
    UsageError
        The store cannot be written; each run is there whole, or gone.
    """
    with engine.connect() as connection:
        fates = run_fates(connection, retention, now)
        before = _size(connection)
    deleted = tuple(fate for fate in fates if not fate.reasons)
    stored = tuple(fate for fate in fates if fate.reasons)
    result = Pruned(dry_run, deleted, stored, before, before)
    if dry_run or not deleted:
        return result
    try:
        for fate in reversed(deleted):  # the oldest first
            _delete_run(engine, fate.run)
    except sa.exc.OperationalError as error:
        raise UsageError(
            f"the store cannot be written: {error.orig}; prune again when nobody writes it"
        ) from None
    problem = None
    try:
        purge(engine)
    except UsageError as error:
        problem = str(error)
    with engine.connect() as connection:
        return replace(result, bytes_after=_size(connection), problem=problem)


def run_fates(connection: sa.Connection, retention: Retention, now: datetime) -> list[RunFate]:
    """Return all published runs, the newest first, each with why it stays."""
    rows = connection.execute(
        sa.select(runs.c.id, runs.c.as_of, runs.c.published_at, runs.c.customers)
        .where(runs.c.published_at.is_not(None))
        .order_by(runs.c.id.desc())
    ).all()
    planned = _planned(connection)
    settled_runs = set(connection.scalars(sa.select(settled.c.run_id)))
    announced = _announced(connection)
    earliest = None if retention.days is None else now - timedelta(days=retention.days)
    fates = []
    for place, row in enumerate(rows):
        reasons = []
        if not place:
            reasons.append("it is the current run")
        if retention.runs is not None and place < retention.runs:
            reasons.append(f"it is among the newest {retention.runs}")
        if earliest is not None and row.published_at >= earliest:
            reasons.append(f"it is at most {retention.days} days old")
        if row.id in planned:
            reasons.append(f"the plan {planned[row.id]} is made of it")
        if row.id not in settled_runs and not retention.unsettled:
            reasons.append("the ledger has not settled it yet")
        if row.id in announced:
            reasons.append("a webhook about it is to be sent")
        fates.append(RunFate(row.id, row.as_of, row.published_at, row.customers, tuple(reasons)))
    return fates


def _planned(connection: sa.Connection) -> dict[int, str]:
    """Return run -> name of a plan that was made of it and not cancelled."""
    query = sa.select(plans.c.run_id, plans.c.name).where(plans.c.state != "cancelled")
    return {row.run_id: row.name for row in connection.execute(query)}


def _announced(connection: sa.Connection) -> set[int]:
    """Return the runs that messages yet to be sent compare."""
    waiting = (webhooks.c.delivered_at.is_(None), webhooks.c.failed_at.is_(None))
    subjects = connection.scalars(sa.select(webhooks.c.subject).where(*waiting))
    return {
        value
        for subject in subjects
        for name in ("run", "before")
        if isinstance(value := subject.get(name), int)
    }


def _delete_run(engine: sa.Engine, run_id: int) -> None:
    """Take a run out of the published ones in one step, then delete what is stored of it.

    If the second is interrupted, the next publication deletes the remaining rows, which nobody
    sees.
    """
    with engine.begin() as connection:
        connection.execute(runs.update().where(runs.c.id == run_id).values(published_at=None))
        for table in (evidence, channels):
            connection.execute(table.delete().where(table.c.run_id == run_id))
    discard_run(engine, run_id)


def _size(connection: sa.Connection) -> int | None:
    """Return the size of the database, in bytes; None: this kind of database does not say."""
    queries: dict[str, Sequence[str]] = {
        "sqlite": ("PRAGMA page_count", "PRAGMA page_size"),
        "postgresql": ("SELECT pg_database_size(current_database())",),
    }
    result = 1
    for query in queries.get(connection.dialect.name, ()):
        result *= int(connection.exec_driver_sql(query).scalar_one())
    return result if connection.dialect.name in queries else None


def present() -> datetime:
    """Return the present, UTC."""
    return datetime.now(UTC)

"""Building of the lists of runs, and their end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from stagecast.serving.store.lists.tables import (
    LABELS,
    RANKED,
    SUMMED,
    derived,
    flows,
    index_statements,
    list_name,
    list_table,
    run_lists,
    segments,
)
from stagecast.serving.store.space import move_log
from stagecast.serving.store.tables import runs, scores

LISTS = 2
"""Newest published runs that have a list: the current one, and the one before, whose pages may be
open."""
PORTION = 100_000
"""Customers of one transaction, so that other writers do not wait long."""
GIVEN_UP = timedelta(minutes=10)
"""After so long without a step, a build is taken for stopped, and done by whoever comes."""


class _TakenError(Exception):
    """Another process has taken over the building of a list."""


def create_tables(connection: sa.Connection) -> None:
    """Create the tables that all lists share, where they are missing."""
    for table in derived.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))


def build(engine: sa.Engine, run_id: int) -> bool:
    """Build the list of a run of which all scores are inserted.

    Each step is a transaction of its own. If one of them fails, or is interrupted, nothing remains.

    Parameters
    ----------
    engine
        The store.
    run_id
        The run.

    Returns
    -------
    Whether the list was built; False: it is built already, or another process is building it, or
    has taken over since this one stood still for :data:`GIVEN_UP`.
    """
    claimed = _claim(engine, run_id)
    if claimed is None:
        return False
    try:
        _build_claimed(engine, run_id, claimed)
    except _TakenError:
        return False
    except BaseException:
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            drop(engine, run_id)
        raise
    return True


def _build_claimed(engine: sa.Engine, run_id: int, claimed: datetime) -> None:
    """Build a list that this process has claimed, step by step."""

    @contextlib.contextmanager
    def step() -> Iterator[sa.Connection]:
        nonlocal claimed
        with engine.begin() as connection:
            claimed = _renew(connection, run_id, claimed)
            yield connection

    with step() as connection:
        connection.execute(CreateTable(list_table(run_id)))
    last, customers = "", 0
    while (upper := _upper_end(engine, run_id, last)) is not None:
        with step() as connection:
            _insert(connection, run_id, last, upper, customers)
        move_log(engine)
        last, customers = upper, customers + PORTION
    for statement in index_statements(run_id, engine.dialect.name):
        with step() as connection:
            connection.exec_driver_sql(statement)
        move_log(engine)
    with step() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ANALYZE {list_name(run_id)}")
        connection.execute(
            run_lists.update()
            .where(run_lists.c.run_id == run_id)
            .values(built_at=datetime.now(UTC))
        )


def _claim(engine: sa.Engine, run_id: int) -> datetime | None:
    """Return when this process became the one that builds the list of a run; None: it is not."""
    now, row = datetime.now(UTC), run_lists.c.run_id == run_id
    with contextlib.suppress(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(run_lists.insert().values(run_id=run_id, begun_at=now))
        return now
    stopped = (run_lists.c.built_at.is_(None), run_lists.c.begun_at < now - GIVEN_UP)
    with engine.begin() as connection:
        taken = connection.execute(run_lists.update().where(row, *stopped).values(begun_at=now))
        if not taken.rowcount:
            return None
        _remove_rows(connection, run_id)
    return now


def _renew(connection: sa.Connection, run_id: int, claimed: datetime) -> datetime:
    """Return the instant of a claim that is renewed with the step of a transaction.

    Raises
    ------
    _TakenError
        The claim is another one's.
    """
    now = datetime.now(UTC)
    own = (run_lists.c.run_id == run_id, run_lists.c.begun_at == claimed)
    if not connection.execute(run_lists.update().where(*own).values(begun_at=now)).rowcount:
        raise _TakenError
    return now


def _upper_end(engine: sa.Engine, run_id: int, last: str) -> str | None:
    """Return the last id of the portion after an id; None: there are no more customers."""
    c = scores.c
    later = sa.select(c.customer_id).where(c.run_id == run_id, c.customer_id > last)
    with engine.connect() as connection:
        end = connection.scalar(later.order_by(c.customer_id).offset(PORTION - 1).limit(1))
        if end is None:
            end = connection.scalar(later.order_by(c.customer_id.desc()).limit(1))
    return end


def _insert(connection: sa.Connection, run_id: int, last: str, upper: str, before: int) -> None:
    """Insert a portion of the customers, and count it in the segments."""
    if connection.dialect.name == "postgresql":
        # who is being erased at the moment is gone before the portion is read, or stays until it
        # is inserted; SQLite has one writer at a time
        connection.exec_driver_sql("LOCK TABLE scores IN SHARE MODE")
    c = scores.c
    portion = (c.run_id == run_id, c.customer_id > last, c.customer_id <= upper)
    labels = [sa.func.coalesce(c[name], "").label(name) for name in LABELS]
    sums = [sa.func.coalesce(sa.func.sum(c[name]), 0.0).label(f"{name}_sum") for name in SUMMED]
    counts = [sa.func.count(c[name]).label(f"{name}_count") for name in SUMMED]
    groups = (
        sa.select(*labels, sa.func.count().label("customers"), *sums, *counts)
        .where(*portion)
        .group_by(*labels)
        .subquery()
    )
    highest = (
        sa.select(sa.func.coalesce(sa.func.max(segments.c.segment), 0))
        .where(segments.c.run_id == run_id)
        .scalar_subquery()
    )
    number = highest + sa.func.row_number().over(order_by=[groups.c[name] for name in LABELS])
    added = [name for name in groups.c.keys() if name not in LABELS]  # noqa: SIM118
    names = ["run_id", "segment", *groups.c.keys()]
    # SQLite takes ON CONFLICT for a join where a SELECT has no condition
    rows = sa.select(sa.literal(run_id), number, *groups.c).where(groups.c.customers > 0)
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    upsert = insert(segments).from_select(names, rows)
    connection.execute(
        upsert.on_conflict_do_update(
            index_elements=["run_id", *LABELS],
            set_={name: segments.c[name] + upsert.excluded[name] for name in added},
        )
    )
    same = [sa.func.coalesce(c[name], "") == segments.c[name] for name in LABELS]
    position = before + sa.func.row_number().over(order_by=c.customer_id)
    listed = (
        sa.select(position, c.customer_id, segments.c.segment, *(c[name] for name in RANKED))
        .select_from(scores.join(segments, sa.and_(segments.c.run_id == run_id, *same)))
        .where(*portion)
        .order_by(c.customer_id)
    )
    table = list_table(run_id)
    connection.execute(
        table.insert().from_select(["position", "customer_id", "segment", *RANKED], listed)
    )


def drop(engine: sa.Engine, run_id: int) -> None:
    """Remove the list of a run; from then on its scores are read."""
    with engine.begin() as connection:
        drop_in(connection, run_id)


def drop_in(connection: sa.Connection, run_id: int) -> None:
    """Remove the list of a run in a transaction."""
    connection.execute(run_lists.delete().where(run_lists.c.run_id == run_id))
    _remove_rows(connection, run_id)


def _remove_rows(connection: sa.Connection, run_id: int) -> None:
    for table in (segments, flows):
        connection.execute(table.delete().where(table.c.run_id == run_id))
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {list_name(run_id)}")


def drop_outdated(engine: sa.Engine) -> None:
    """Remove the lists of all published runs but the newest :data:`LISTS`."""
    with engine.connect() as connection:
        newest = _newest(connection)
        outdated = connection.scalars(
            sa.select(run_lists.c.run_id)
            .join(runs, runs.c.id == run_lists.c.run_id)
            .where(runs.c.published_at.is_not(None), run_lists.c.run_id.not_in(newest))
        ).all()
    for run_id in outdated:
        drop(engine, run_id)


def drop_all(connection: sa.Connection) -> None:
    """Remove all lists in a transaction, of runs whose rows are about to be replaced."""
    for run_id in connection.scalars(sa.select(run_lists.c.run_id)).all():
        drop_in(connection, run_id)


def drop_with_fewer_orders(connection: sa.Connection) -> None:
    """Remove the lists that an earlier version built without an order of this one.

    They are built anew from the scores, which have the column by then.
    """
    inspector = sa.inspect(connection)
    existing = set(inspector.get_table_names())
    for run_id in connection.scalars(sa.select(run_lists.c.run_id)).all():
        name = list_name(run_id)
        if name in existing:
            columns = {column["name"] for column in inspector.get_columns(name)}
            if not columns.issuperset(RANKED):
                drop_in(connection, run_id)


def build_missing(engine: sa.Engine) -> None:
    """Build the lists that the newest published runs do not have, the current one first."""
    with engine.connect() as connection:
        built = set(
            connection.scalars(
                sa.select(run_lists.c.run_id).where(run_lists.c.built_at.is_not(None))
            )
        )
        missing = [run_id for run_id in _newest(connection) if run_id not in built]
    for run_id in missing:
        build(engine, run_id)


def _newest(connection: sa.Connection) -> list[int]:
    published = sa.select(runs.c.id).where(runs.c.published_at.is_not(None))
    return list(connection.scalars(published.order_by(runs.c.id.desc()).limit(LISTS)))

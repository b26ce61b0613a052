"""Rows of a run are deleted in portions, each in its own transaction."""

from __future__ import annotations

import sqlalchemy as sa

from stagecast.serving.store.space import move_log


def delete_in_portions(engine: sa.Engine, table: sa.Table, run_id: int, rows: int) -> None:
    """Delete all rows of a run from a table, at most so many customers in one transaction.

    A portion needs no more space than its insertion did, and other writers do not wait long.

    Parameters
    ----------
    engine
        The store.
    table
        A table with the columns ``run_id`` and ``customer_id``.
    run_id
        The run.
    rows
        Customers of a portion.
    """
    c = table.c
    portion = sa.select(c.customer_id).where(c.run_id == run_id).limit(rows)
    # MySQL selects from the table that it deletes from only within another query
    names = sa.select(portion.subquery().c.customer_id)
    remaining = table.delete().where(c.run_id == run_id, c.customer_id.in_(names))
    deleted = 1
    while deleted:
        move_log(engine)
        with engine.begin() as connection:
            deleted = connection.execute(remaining).rowcount

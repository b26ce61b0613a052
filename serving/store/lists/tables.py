"""The tables of lists. They are derived from scores, and no part of the metadata of the store."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from stagecast.serving.store.queries import SORTS
from stagecast.serving.store.tables import ID, Instant, scores

BY_PLACE = ("stage", "customer_id")
"""Orders of a list that segments and positions say; the others are columns of its table."""
RANKED = tuple(name for name in SORTS if name not in BY_PLACE)
"""Columns of a list that it can be ordered by."""
SUMMED = (
    "churn_probability",
    "value_at_risk",
    "value_gone",
    "win_back",
    "clv",
    "spend",
)
"""Columns whose sums the segments have; the first is a number of customers, the others money."""
LABELS = ("stage", "state", "churn_band", "play")
"""What customers of one segment have in common; no band or no play is an empty text."""

derived = sa.MetaData()

run_lists = sa.Table(
    "run_lists",
    derived,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    # who inserts the row builds the list, and writes here when each step begins; null built_at: it
    # is being built, or that was stopped
    sa.Column("begun_at", Instant, nullable=False),
    sa.Column("built_at", Instant),
)

segments = sa.Table(
    "segments",
    derived,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.String, primary_key=True) for name in LABELS),
    # number of the segment in the list of its run
    sa.Column("segment", sa.Integer, nullable=False),
    sa.Column("customers", sa.BigInteger, nullable=False),
    *(sa.Column(f"{name}_sum", sa.Float, nullable=False) for name in SUMMED),
    # how many customers have a value: a sum over none is no sum
    *(sa.Column(f"{name}_count", sa.BigInteger, nullable=False) for name in SUMMED),
    sqlite_with_rowid=False,
)

flows = sa.Table(
    "stage_flows",
    derived,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("earlier_run_id", sa.Integer, primary_key=True, autoincrement=False),
    # empty: no score in the earlier run
    sa.Column("from_stage", sa.String, primary_key=True),
    sa.Column("to_stage", sa.String, primary_key=True),
    sa.Column("customers", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


def list_name(run_id: int) -> str:
    """Return the name of the table that holds the list of a run."""
    return f"list_{int(run_id)}"


def is_list(table: sa.Table) -> bool:
    """Return whether a table of a database is the list of a run."""
    return table.name.startswith("list_") and {"position", "segment"} <= set(table.columns.keys())


@cache
def list_table(run_id: int) -> sa.Table:
    """Return the table of the list of a run.

    ``position`` counts the customers in the order of their ids from 1, so that a beginning of ids
    is a range of positions, and ties of an order are broken by it.
    """
    return sa.Table(
        list_name(run_id),
        sa.MetaData(),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("segment", sa.Integer, nullable=False),
        *(sa.Column(name, scores.c[name].type) for name in RANKED),
    )


def index_statements(run_id: int, dialect: str) -> list[str]:
    """Return the statements that make the indices of a list, each of which can be run again.

    In SQLite an index holds the position by itself, in ascending order.
    """
    table, make = list_name(run_id), "INDEX IF NOT EXISTS"
    position = "" if dialect == "sqlite" else ", position"
    statements = [
        f"CREATE UNIQUE {make} {table}_customer_id ON {table} (customer_id)",
        f"CREATE {make} {table}_segment ON {table} (segment{position})",
    ]
    for name in RANKED:
        columns = f"segment, {name} DESC{position}"
        if name == "value_at_risk":
            # the sums of those with a least value are read from its index alone
            columns = f"segment, {name} DESC, position, value_gone, win_back, clv, spend"
        statements.append(f"CREATE {make} {table}_{name} ON {table} ({columns})")
    return statements

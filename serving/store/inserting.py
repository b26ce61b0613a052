"""Many rows into a table at once, past what SQLAlchemy does for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

_MARKS = {"qmark": "?", "format": "%s", "pyformat": "%s"}
"""Style of a driver -> how a parameter by place stands in a statement."""


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    names: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Insert rows whose values are as the database has them, in the order of the names."""
    mark = _MARKS.get(connection.dialect.paramstyle)
    if mark is None:
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])
        return
    marks = ", ".join([mark] * len(names))
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", list(rows)
    )

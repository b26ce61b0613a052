"""DuckDB's expressions of time, and the shape of events in a database of it."""

from __future__ import annotations

import duckdb

from stagecast.features.engines import sql
from stagecast.features.shop.events import KNOWN

DIALECT = "duckdb"
HAPPENED = "epoch_us(timestamp)"
RECORDED = "epoch_us(coalesce(recorded_at, timestamp))"


def clock(anchor: int) -> sql.Clock:
    """Return DuckDB's expressions of time for an as_of, microseconds since 1970.

    Parameters
    ----------
    anchor
        The as_of, microseconds since 1970, UTC.
    """
    day, hour = "(cast(timestamp as date) - date '1970-01-01')", "hour(timestamp)"
    return sql.Clock(HAPPENED, KNOWN, day, hour, anchor)


def shape_of(connection: duckdb.DuckDBPyConnection, source: str, anchor: int) -> sql.Shape:
    """Return the shape of events.

    Parameters
    ----------
    connection
        Database that has ``source``.
    source
        Table or view of the events known before the as_of.
    anchor
        The as_of, microseconds since 1970, UTC.
    """

    def largest_sum() -> float:
        return float(connection.execute(sql.largest_sum_query(source)).fetchall()[0][0])

    shape = connection.execute(sql.shape_query(source))
    names = [name for name, *_ in shape.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in shape.fetchall()]
    return sql.shape_of(rows, largest_sum, anchor)

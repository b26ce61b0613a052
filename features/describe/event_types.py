"""The types of the events of a log, so that a model can say which it knows."""

from __future__ import annotations

from datetime import datetime

import duckdb

from stagecast.features.clock import microseconds
from stagecast.features.shop.events import KNOWN

TYPES_MAX = 500
"""Of a log with more types than these, whose types are no list of names, none are kept."""


def event_types(con: duckdb.DuckDBPyConnection, as_of: datetime) -> tuple[str, ...] | None:
    """Return the types of the events before the as_of, the most frequent first.

    Parameters
    ----------
    con
        Database with the table ``events`` of the event contract.
    as_of
        Events that happened or were recorded at or after it are left out.

    Returns
    -------
    The types; None: there are more than :data:`TYPES_MAX`.
    """
    rows = con.execute(
        f"""select event::varchar from events where {KNOWN} < {microseconds(as_of)}
        group by event order by count(*) desc, event limit {TYPES_MAX + 1}"""
    ).fetchall()
    return None if len(rows) > TYPES_MAX else tuple(str(row[0]) for row in rows)

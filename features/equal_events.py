"""Events that are equal in every column: one event in one log, and two in another.

Equal rows of a source are one event unless ``--duplicates keep`` says otherwise, but rows that
differ only in a column that is not mapped, such as the product of a line, are equal events too.
Whether a log holds any says how equal events of a request are to be counted.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from stagecast.features.clock import microseconds
from stagecast.features.shop.events import KNOWN


def holds_equal_events(con: duckdb.DuckDBPyConnection, as_of: datetime) -> bool:
    """Return whether two events before the as_of are equal in every column, without a number.

    Parameters
    ----------
    con
        Database with the table ``events`` of the event contract.
    as_of
        Events that happened or were recorded at or after it are left out.
    """
    rows = con.execute(
        f"""select 1 from events where event_id is null and {KNOWN} < {microseconds(as_of)}
        group by customer, timestamp, event, amount, channel, recorded_at, category, discount
        having count(*) > 1 limit 1"""
    ).fetchall()
    return bool(rows)

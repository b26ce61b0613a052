"""The last events of each customer of a log, as the store holds them, in portions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from stagecast.features.clock import microseconds
from stagecast.features.engines.larger_than_memory import row_ranges
from stagecast.features.events import EventLog
from stagecast.features.shop.events import KNOWN, events_of

MOST_DAYS = 30
"""Days with events that are stored of a customer, the last ones."""
MOST_ROWS = 60
"""Types of events of all these days together."""
ROWS_PER_PART = 200_000
"""Events that are read at once; the memory depends on it and not on the log."""
PORTION_ROWS = 5_000
"""Customers that are Python objects at once."""


def last_events(
    log: EventLog,
    as_of: datetime,
    *,
    most_days: int = MOST_DAYS,
    rows_per_part: int = ROWS_PER_PART,
) -> Iterator[list[tuple[str, str]]]:
    """Yield customers with their last events, in the order of the log.

    Parameters
    ----------
    log
        The log.
    as_of
        Events that happened or were recorded at or after it are left out.
    most_days
        Days with events to return of a customer, the last ones.
    rows_per_part
        About how many events are read at once.

    Yields
    ------
    Lists of ids and texts, as :mod:`stagecast.serving.store.timelines` stores them.
    """
    events = events_of(log.con)
    row = "rowid" if events == "events" else "row"
    at = microseconds(log.clock.shop(as_of))
    for low, high in row_ranges(log.con, rows_per_part):
        query = _QUERY.format(
            events=events, row=row, low=low, high=high, known=KNOWN, at=at, days=most_days
        )
        with log.con.cursor() as cursor:
            cursor.execute(query)
            while portion := cursor.fetchmany(PORTION_ROWS):
                yield [(str(customer_id), str(text)) for customer_id, text in portion]


# a number of JSON needs a cast: a DECIMAL would become a text
_QUERY = f"""
WITH daily AS (
    SELECT customer, any_value(customer_id) AS customer_id, CAST(timestamp AS DATE) AS day, event,
        count(*) AS many,
        round(CAST(CASE WHEN event IN ('purchase', 'refund') THEN sum(amount) ELSE avg(amount) END
            AS DOUBLE), 2) AS amount
    FROM {{events}}
    WHERE {{row}} >= {{low}} AND {{row}} < {{high}} AND {{known}} < {{at}}
    GROUP BY customer, day, event
), ranked AS (
    SELECT *, dense_rank() OVER (PARTITION BY customer ORDER BY day DESC) AS nth_day,
        row_number() OVER (PARTITION BY customer ORDER BY day DESC, event) AS nth
    FROM daily
), numbered AS (
    SELECT customer, max(nth_day) AS days FROM ranked GROUP BY customer
)
SELECT any_value(customer_id),
    '[' || any_value(days) - max(nth_day) || ',' || string_agg(
        '["' || strftime(day, '%Y-%m-%d') || '",' || CAST(to_json(event) AS VARCHAR) || ','
        || many || ',' || coalesce(CAST(to_json(amount) AS VARCHAR), 'null') || ']', ','
        ORDER BY nth
    ) || ']'
FROM ranked JOIN numbered USING (customer)
WHERE nth_day <= {{days}} AND nth <= {MOST_ROWS}
GROUP BY customer
ORDER BY customer
"""

"""Rows of the table of customers, of those who have a score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import microseconds
from stagecast.features.shop.events import KNOWN, events_of

if TYPE_CHECKING:
    from stagecast.features.events import EventLog

_PORTION = 5_000


def attributes_of_scored(
    log: EventLog, as_of: datetime, columns: Sequence[str], condition: str
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield portions of id and columns of the customers with an event before the as_of.

    Parameters
    ----------
    log
        A log with the table ``attributes``.
    as_of
        Of customers without an event before it there is no row, since they have no score.
    columns, condition
        SQL of what is selected, and of the rows.
    """
    at = microseconds(log.clock.shop(as_of))
    with log.con.cursor() as cursor:
        cursor.execute(
            f"SELECT CAST(customer_id AS VARCHAR), {', '.join(columns)} FROM attributes "
            f"SEMI JOIN (SELECT customer_id FROM {events_of(log.con)} WHERE {KNOWN} < {at}) "
            f"USING (customer_id) WHERE {condition}"
        )
        while portion := cursor.fetchmany(_PORTION):
            yield portion

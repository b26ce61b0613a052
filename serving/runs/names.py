"""Names of customers, from the table of customers of a log to the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.attributes import NAME, attribute_kinds
from stagecast.features.clock import microseconds
from stagecast.features.shop.events import KNOWN, events_of
from stagecast.serving.store.names import put_names

if TYPE_CHECKING:
    import sqlalchemy as sa

    from stagecast.features.events import EventLog

_PORTION = 5_000


def store_names(engine: sa.Engine, log: EventLog, as_of: datetime) -> None:
    """Store the names that the column ``name`` of the table of customers has.

    Parameters
    ----------
    engine
        The store.
    log
        The log; without such a column nothing is stored.
    as_of
        Of customers without an event before it no name is stored, since they have no score.
    """
    for portion in _names(log, as_of):
        put_names(engine, portion)


def _names(log: EventLog, as_of: datetime) -> Iterator[list[tuple[str, str]]]:
    kinds = attribute_kinds(log.con) or {}
    column = next((name for name in kinds if name.casefold() == NAME), None)
    if column is None:
        return
    quoted = '"' + column.replace('"', '""') + '"'
    at = microseconds(log.clock.shop(as_of))
    with log.con.cursor() as cursor:
        cursor.execute(
            f"SELECT customer_id, trim(CAST({quoted} AS VARCHAR)) AS shown FROM attributes "
            f"SEMI JOIN (SELECT customer_id FROM {events_of(log.con)} WHERE {KNOWN} < {at}) "
            "USING (customer_id) WHERE shown <> ''"
        )
        while portion := cursor.fetchmany(_PORTION):
            yield [(str(customer_id), str(name)) for customer_id, name in portion]

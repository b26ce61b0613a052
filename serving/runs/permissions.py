"""Whether customers may be contacted, from the table of customers of a log to the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.attributes import attribute_kinds
from stagecast.features.clock import microseconds
from stagecast.features.shop.events import KNOWN, events_of
from stagecast.serving.store.permissions import REFUSALS, Flags, put_permissions

if TYPE_CHECKING:
    import sqlalchemy as sa

    from stagecast.features.events import EventLog

_PORTION = 5_000


def store_permissions(engine: sa.Engine, log: EventLog, as_of: datetime) -> None:
    """Store the flags ``consent`` and ``do_not_contact`` of the table of customers.

    Parameters
    ----------
    engine
        The store.
    log
        The log; without such a column nothing is stored.
    as_of
        Of customers without an event before it nothing is stored, since they have no score.
    """
    for portion in _flags(log, as_of):
        put_permissions(engine, portion)


def _flags(log: EventLog, as_of: datetime) -> Iterator[list[tuple[str, Flags]]]:
    kinds = attribute_kinds(log.con) or {}
    columns = [name for name in REFUSALS if kinds.get(name) == "flag"]
    if not columns:
        return
    stated = " OR ".join(f"{name} IS NOT NULL" for name in columns)
    at = microseconds(log.clock.shop(as_of))
    with log.con.cursor() as cursor:
        cursor.execute(
            f"SELECT customer_id, {', '.join(columns)} FROM attributes "
            f"SEMI JOIN (SELECT customer_id FROM {events_of(log.con)} WHERE {KNOWN} < {at}) "
            f"USING (customer_id) WHERE {stated}"
        )
        while portion := cursor.fetchmany(_PORTION):
            yield [
                (str(customer_id), dict(zip(columns, flags, strict=True)))
                for customer_id, *flags in portion
            ]

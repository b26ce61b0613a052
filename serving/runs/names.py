"""Names of customers, from the table of customers of a log to the store."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.attributes import NAME, attribute_kinds
from stagecast.serving.runs.attribute_rows import attributes_of_scored
from stagecast.serving.store.names import put_names

if TYPE_CHECKING:
    import sqlalchemy as sa

    from stagecast.features.events import EventLog


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
    kinds = attribute_kinds(log.con) or {}
    column = next((name for name in kinds if name.casefold() == NAME), None)
    if column is None:
        return
    quoted = '"' + column.replace('"', '""') + '"'
    shown = f"trim(CAST({quoted} AS VARCHAR)) AS shown"
    for portion in attributes_of_scored(log, as_of, [shown], "shown <> ''"):
        put_names(engine, [(id_, name) for id_, name in portion])

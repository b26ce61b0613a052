"""Whether customers may be contacted, from the table of customers of a log to the store."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.attributes import attribute_kinds
from stagecast.serving.runs.attribute_rows import attributes_of_scored
from stagecast.serving.store.permissions import REFUSALS, put_permissions

if TYPE_CHECKING:
    import sqlalchemy as sa

    from stagecast.features.events import EventLog


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
    kinds = attribute_kinds(log.con) or {}
    present = [name for name in REFUSALS if kinds.get(name) == "flag"]
    if not present:
        return
    is_stated = " OR ".join(f"{name} IS NOT NULL" for name in present)
    unknown = dict.fromkeys(REFUSALS)
    for portion in attributes_of_scored(log, as_of, present, is_stated):
        stated = ((id_, dict(zip(present, flags, strict=True))) for id_, *flags in portion)
        put_permissions(engine, [(id_, {**unknown, **flags}) for id_, flags in stated])

"""Whether customers may be contacted: flags of the profiles, written at each publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.plan_tables import profiles

REFUSALS: Mapping[str, bool] = {"consent": False, "do_not_contact": True}
"""Column -> the value with which a customer refuses to be contacted."""
_ROWS = 5_000

Flags = Mapping[str, bool | None]
"""Column of :data:`REFUSALS` -> its value; None: not known."""


def put_permissions(engine: sa.Engine, flagged: Sequence[tuple[str, Flags]]) -> None:
    """Write flags into the profiles; what else is known of the customers stays.

    A flag is written where the profile has none, or where it is a refusal: what customers were
    once known to refuse is not taken back by a table that does not know of it, only by a profile
    that is loaded.

    Parameters
    ----------
    flagged
        Id and flags of each customer, each customer once.
    """
    c, now = profiles.c, datetime.now(UTC)
    update = (
        profiles.update()
        .where(c.customer_id == sa.bindparam("of"))
        .values({name: sa.bindparam(f"new_{name}") for name in REFUSALS} | {"updated_at": now})
    )
    for start in range(0, len(flagged), _ROWS):
        portion = dict(flagged[start : start + _ROWS])
        with engine.begin() as connection:
            query = sa.select(c.customer_id, *(c[name] for name in REFUSALS))
            before = {
                row.customer_id: row._mapping
                for row in connection.execute(query.where(c.customer_id.in_(list(portion))))
            }
            changed: list[dict[str, Any]] = []
            new: list[dict[str, Any]] = []
            for id_, flags in portion.items():
                if id_ not in before:
                    values = {name: flags.get(name) for name in REFUSALS}
                    new.append({"customer_id": id_, **values, "attributes": {}, "updated_at": now})
                    continue
                known = {name: before[id_][name] for name in REFUSALS}
                merged = {name: _merged(name, known[name], flags.get(name)) for name in REFUSALS}
                if merged != known:
                    named = {f"new_{name}": value for name, value in merged.items()}
                    changed.append({"of": id_, **named})
            if changed:
                connection.execute(update, changed)
            if new:
                connection.execute(profiles.insert(), new)


def _merged(name: str, known: bool | None, stated: bool | None) -> bool | None:
    return stated if known is None or stated is REFUSALS[name] else known

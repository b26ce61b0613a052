"""Columns of the profiles that a publication writes; what else is known of a customer stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.plan_tables import profiles

Values = Mapping[str, Any]
"""Column -> its value; None: not known."""
_ROWS = 5_000


def merge_profiles(
    engine: sa.Engine,
    stated: Sequence[tuple[str, Values]],
    columns: Sequence[str],
    merged: Callable[[Values, Values], Values],
) -> None:
    """Write columns into the profiles, a portion of the customers at a time.

    Parameters
    ----------
    stated
        Id and values of each customer, each customer once.
    columns
        The columns; all of them are among the values.
    merged
        From what a profile has and what is stated, the values that it has then.
    """
    c, now = profiles.c, datetime.now(UTC)
    update = (
        profiles.update()
        .where(c.customer_id == sa.bindparam("of"))
        .values({name: sa.bindparam(f"new_{name}") for name in columns} | {"updated_at": now})
    )
    query = sa.select(c.customer_id, *(c[name] for name in columns))
    for start in range(0, len(stated), _ROWS):
        portion = dict(stated[start : start + _ROWS])
        with engine.begin() as connection:
            present = connection.execute(query.where(c.customer_id.in_(list(portion))))
            before = {id_: dict(zip(columns, row, strict=True)) for id_, *row in present}
            changed = [
                {"of": id_, **{f"new_{name}": after[name] for name in columns}}
                for id_, known in before.items()
                if (after := merged(known, portion[id_])) != known
            ]
            new = [
                {"customer_id": id_, **values, "attributes": {}, "updated_at": now}
                for id_, values in portion.items()
                if id_ not in before
            ]
            if changed:
                connection.execute(update, changed)
            if new:
                connection.execute(profiles.insert(), new)

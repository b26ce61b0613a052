"""Names of customers, which are personal: they stand in the profiles alone, and go with these.

Pages show them beside the id. No score, no document, no model and no message holds one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import sqlalchemy as sa

from stagecast.serving.store.plan_tables import profiles
from stagecast.serving.store.profile_columns import merge_profiles
from stagecast.serving.store.queries import PREFIX_END
from stagecast.serving.store.tables import scores

LONGEST_NAME = 200
MOST_FOUND = 20
"""Customers that a search by name returns."""


def name_key(name: str | None) -> str | None:
    """Return what a name is searched by: without capitals and blanks around it; None: no name.

    >>> name_key(" Анна Smith ")
    'анна smith'
    """
    if name is None:
        return None
    return unicodedata.normalize("NFKC", name).casefold().strip() or None


def names_of(engine: sa.Engine, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of customers by id, of those who have one."""
    c = profiles.c
    query = sa.select(c.customer_id, c.name).where(c.customer_id.in_(ids), c.name.is_not(None))
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def customers_named(engine: sa.Engine, run_id: int, beginning: str) -> list[tuple[str, str]]:
    """Return customers of a run whose name begins so, at most :data:`MOST_FOUND`, by their names.

    Returns
    -------
    Pairs of id and name.
    """
    key, c = name_key(beginning), profiles.c
    if not key:
        return []
    scored = sa.exists().where(scores.c.run_id == run_id, scores.c.customer_id == c.customer_id)
    query = (
        sa.select(c.customer_id, c.name)
        .where(c.name_key >= key, c.name_key < key + PREFIX_END, scored)
        .order_by(c.name_key, c.customer_id)
        .limit(MOST_FOUND)
    )
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def put_names(engine: sa.Engine, named: Sequence[tuple[str, str]]) -> None:
    """Write names into the profiles; what else is known of the customers stays."""
    cut = ((id_, name[:LONGEST_NAME]) for id_, name in named)
    stated = [(id_, {"name": name, "name_key": name_key(name)}) for id_, name in cut]
    merge_profiles(engine, stated, ("name", "name_key"), lambda _, new: new)


def add_keys(connection: sa.Connection) -> None:
    """Add the keys that profiles of an earlier version lack."""
    c = profiles.c
    query = sa.select(c.customer_id, c.name).where(c.name.is_not(None), c.name_key.is_(None))
    keys = [{"of": id_, "key": name_key(name)} for id_, name in connection.execute(query)]
    if keys:
        update = profiles.update().where(c.customer_id == sa.bindparam("of"))
        connection.execute(update.values(name_key=sa.bindparam("key")), keys)

"""Views that a team saves under names: the parameters of a list, and no customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.serving.store.tables import Instant, metadata

NAME_LENGTH_MAX = 80
VIEWS_MAX = 100
"""Views of a store; a page lists all of them."""

saved_views = sa.Table(
    "saved_views",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(NAME_LENGTH_MAX), nullable=False, unique=True),
    # pairs of a parameter and its value; never the beginning of an id, which may name a customer
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True)
class SavedView:
    """A view: its number and name, the parameters of its list, and when it was saved (UTC)."""

    id: int
    name: str
    parameters: tuple[tuple[str, str], ...]
    created_at: datetime


class ViewNameTakenError(UsageError):
    """Another view has the name already."""


def list_views(engine: sa.Engine) -> list[SavedView]:
    """Return the views of a store, by name."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(saved_views)).mappings().all()
    views = [
        SavedView(
            row["id"],
            row["name"],
            tuple((name, value) for name, value in row["parameters"]),
            row["created_at"],
        )
        for row in rows
    ]
    return sorted(views, key=lambda view: (view.name.casefold(), view.name))


def save_view(engine: sa.Engine, name: str, parameters: Sequence[tuple[str, str]]) -> SavedView:
    """Save a view, and return it.

    Parameters
    ----------
    engine
        The store.
    name
        Up to :data:`NAME_LENGTH_MAX` characters.
    parameters
        Name and value of each parameter of the list, in their order.

    Raises
    ------
    ViewNameTakenError
        A view has the name.
    UsageError
        There are :data:`VIEWS_MAX` views.
    """
    created_at = datetime.now(UTC)
    pairs = [list(pair) for pair in parameters]
    try:
        with engine.begin() as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(saved_views)) or 0
            if count >= VIEWS_MAX:
                raise UsageError(f"there are {VIEWS_MAX} views; delete one that nobody uses")
            result = connection.execute(
                saved_views.insert().values(name=name, parameters=pairs, created_at=created_at)
            )
            key = result.inserted_primary_key
    except sa.exc.IntegrityError:
        raise ViewNameTakenError("a view has this name; delete it, or take another") from None
    return SavedView(int(key[0]) if key else 0, name, tuple(parameters), created_at)


def delete_view(engine: sa.Engine, number: int) -> bool:
    """Delete a view, and return whether there was one of this number."""
    with engine.begin() as connection:
        of_view = saved_views.c.id == number
        return bool(connection.execute(saved_views.delete().where(of_view)).rowcount)

"""Where the rows of a list are read, and the conditions on each row besides its segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from stagecast.serving.store.lists.segments import Segment
from stagecast.serving.store.lists.tables import list_name, list_table
from stagecast.serving.store.queries import PREFIX_END, Filters

BRANCHES = 200
"""Most parts of one statement; SQLite takes 500."""


@dataclass(frozen=True)
class Place:
    """The list of a run under filters on ids and values.

    Parameters
    ----------
    connection
        The store.
    run_id
        A run that has a list.
    conditions
        SQL conditions on each row.
    values
        The values that they name.
    length
        Length of the range of positions that the beginning of the ids leaves; None: all.
    """

    connection: sa.Connection
    run_id: int
    conditions: tuple[str, ...]
    values: dict[str, Any]
    length: int | None

    @classmethod
    def of(cls, connection: sa.Connection, run_id: int, filters: Filters) -> Self | None:
        """Return the list under filters; None: no id begins as they ask."""
        conditions, values, length = list[str](), dict[str, Any](), None
        if filters.q:
            c = list_table(run_id).c
            prefix = (c.customer_id >= filters.q, c.customer_id < filters.q + PREFIX_END)
            first, last = (
                connection.scalar(sa.select(c.position).where(*prefix).order_by(by).limit(1))
                for by in (c.customer_id, c.customer_id.desc())
            )
            if first is None or last is None:
                return None
            conditions.append("position >= :first_position AND position <= :last_position")
            values |= {"first_position": first, "last_position": last}
            length = last - first + 1
        if filters.min_value is not None:
            conditions.append("value_at_risk >= :min_value")
            values["min_value"] = filters.min_value
        return cls(connection, run_id, tuple(conditions), values, length)

    def select(self, columns: str, *conditions: str, end: str = "", index: str = "") -> str:
        """Return a query of the list.

        Parameters
        ----------
        columns
            What is selected.
        conditions
            Further conditions.
        end
            Order and limit.
        index
            Column whose index SQLite must use; empty: it chooses.
        """
        table = list_name(self.run_id)
        hinted = index and self.connection.dialect.name == "sqlite"
        hint = f"INDEXED BY {table}_{index}" if hinted else ""
        where = " AND ".join((*conditions, *self.conditions))
        return f"SELECT {columns} FROM {table} {hint} WHERE {where or '1 = 1'} {end}"

    def rows(self, queries: Sequence[str], **values: Any) -> list[Any]:
        """Return the rows of all queries, which may name values besides those of the place."""
        rows: list[Any] = []
        for start in range(0, len(queries), BRANCHES):
            parts = [
                f"SELECT * FROM ({query}) AS part" for query in queries[start : start + BRANCHES]
            ]
            text = " UNION ALL ".join(parts)
            bound = {k: v for k, v in {**self.values, **values}.items() if f":{k}" in text}
            rows += self.connection.execute(sa.text(text), bound).all()
        return rows

    def in_segments(self, parts: Sequence[Segment], *, by_position: bool = False) -> str:
        """Return the condition that a row is in one of segments.

        With ``by_position`` SQLite uses no index of segments for it, and reads a range of
        positions, whose rows are next to each other.
        """
        sign = "+" if by_position and self.connection.dialect.name == "sqlite" else ""
        return f"{sign}segment IN ({', '.join(str(int(part.number)) for part in parts)})"

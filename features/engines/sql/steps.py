"""What queries are made of: named steps, rendered to one query for an engine's dialect, and the
shape of a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlglot

from stagecast.features.catalog.feature import MILLION
from stagecast.features.clock import DAY_MICROSECONDS


@dataclass(frozen=True)
class Step:
    """One common table expression: what it is called and the query that makes it."""

    name: str
    sql: str


@dataclass(frozen=True)
class Shape:
    """What a log has, so that no step is spent on what it has not.

    Parameters
    ----------
    refunds
        Whether any money was given back.
    late
        Whether something was recorded after its day, or the anchor divides a day: what was known of
        a day then depends on when one looks.
    wide
        Whether a customer's sum of money can exceed 2^53 millionths, which doubles no longer hold
        exactly.
    types
        Event types that there are; None: any.
    values
        Which of ``channel`` and ``category`` are given.
    discounts
        Whether any discount is given.
    """

    refunds: bool = True
    late: bool = True
    wide: bool = False
    types: frozenset[str] | None = None
    values: tuple[str, ...] = ("channel", "category")
    discounts: bool = True

    @property
    def plain(self) -> bool:
        """Whether each day of the log is a purchase day, or none, whenever one looks at it."""
        return not self.refunds and not self.late

    @property
    def purchases_alone(self) -> bool:
        return self.types == frozenset({"purchase"})

    def has(self, types: Iterable[str]) -> bool:
        """Tell whether there is any event of these types."""
        return self.types is None or not self.types.isdisjoint(types)


ANY = Shape()
# Money that doubles hold exactly in millionths; half of it, with room for the rounding of a sum
# that was not exact.
_NARROW = 2**52 / MILLION


def looked_at(source: str) -> str:
    """Return the query of one row per event type, of which :func:`shape_of` makes a shape."""
    return f"""
        select event, coalesce(sum(abs(cast(amount as double))), 0) as paid, count(discount)
        as discounts,
            coalesce(sum(cast(discount as double)), 0) as discounted, count(channel) as channel,
            count(category) as category, count(case when recorded_at > timestamp then 1 end) as late
        from {source} group by event"""


def most_of_one(source: str) -> str:
    """Return the query of the largest sum of money of one customer."""
    return f"""
        select max(greatest(paid, discounted)) as most from (
            select sum(abs(cast(amount as double))) as paid,
            coalesce(sum(cast(discount as double)), 0) as discounted
            from {source} group by customer) as money"""


def shape_of(rows: Sequence[Mapping[str, Any]], most: Callable[[], float], anchor: int) -> Shape:
    """Return the shape of what :func:`looked_at` found, at an as_of in microseconds since 1970.

    ``most`` is asked for the answer of :func:`most_of_one` only where all the money together does
    not settle it.
    """
    money = max(sum(row["paid"] for row in rows), sum(row["discounted"] for row in rows))
    return Shape(
        refunds=any(row["event"] == "refund" for row in rows),
        late=anchor % DAY_MICROSECONDS != 0 or any(row["late"] for row in rows),
        wide=money >= _NARROW and most() >= _NARROW,
        types=frozenset(row["event"] for row in rows),
        values=tuple(name for name in ("channel", "category") if any(row[name] for row in rows)),
        discounts=any(row["discounts"] for row in rows),
    )


def render(steps: Sequence[Step], dialect: str) -> str:
    """Return the steps as one query in a dialect; the last step is the result."""
    return _rendered(tuple(steps), dialect)


@lru_cache(maxsize=256)
def _rendered(steps: tuple[Step, ...], dialect: str) -> str:
    # parsing takes longer than a small query does, and one part of the customers after the other
    # asks the same
    *before, last = steps
    ctes = ",\n".join(f"{step.name} as ({step.sql})" for step in before)
    text = f"with {ctes}\n{last.sql}" if before else last.sql
    return sqlglot.transpile(text, read="duckdb", write=dialect, pretty=True)[0]

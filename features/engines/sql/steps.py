"""Named steps of a query, joined to one query in an engine's dialect, and the shape of a log."""

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
    """One common table expression.

    Parameters
    ----------
    name
        Name by which later steps refer to it.
    sql
        Its query, in DuckDB's dialect.
    """

    name: str
    sql: str


@dataclass(frozen=True)
class Shape:
    """What a log contains, so that queries skip steps for what it does not contain.

    Parameters
    ----------
    refunds
        Whether there are any refunds.
    late
        Whether an event was recorded after its day, or the anchor is not at midnight UTC. What is
        known of a day then depends on the date of the query.
    wide
        Whether a customer's sum of money can exceed 2^53 millionths, beyond which doubles are not
        exact.
    types
        Event types of the log; None: not known.
    values
        Which of ``channel`` and ``category`` have any value.
    discounts
        Whether there are any discounts.
    """

    refunds: bool = True
    late: bool = True
    wide: bool = False
    types: frozenset[str] | None = None
    values: tuple[str, ...] = ("channel", "category")
    discounts: bool = True

    @property
    def plain(self) -> bool:
        """Whether the purchase days of the past are the same at every later date."""
        return not self.refunds and not self.late

    @property
    def purchases_alone(self) -> bool:
        """Whether every event is a purchase."""
        return self.types == frozenset({"purchase"})

    def has(self, types: Iterable[str]) -> bool:
        """Return whether there may be any event of these types."""
        return self.types is None or not self.types.isdisjoint(types)


ANY = Shape()
"""Shape of a log that may contain anything."""

# Half of the money that doubles hold exactly in millionths, since the sum that is compared with it
# is a sum of doubles and has a rounding error.
_NARROW = 2**52 / MILLION


def shape_query(source: str) -> str:
    """Return the query whose result :func:`shape_of` reads; one row per event type.

    Parameters
    ----------
    source
        Table or view of events.
    """
    return f"""
        select event,
            coalesce(sum(abs(cast(amount as double))), 0) as paid,
            count(discount) as discounts,
            coalesce(sum(cast(discount as double)), 0) as discounted,
            count(channel) as channel,
            count(category) as category,
            count(case when recorded_at > timestamp then 1 end) as late
        from {source} group by event"""


def largest_sum_query(source: str) -> str:
    """Return the query of the largest sum of money of a single customer; one row.

    Parameters
    ----------
    source
        Table or view of events.
    """
    return f"""
        select max(greatest(paid, discounted)) as largest from (
            select sum(abs(cast(amount as double))) as paid,
                coalesce(sum(cast(discount as double)), 0) as discounted
            from {source} group by customer) as money"""


def shape_of(
    rows: Sequence[Mapping[str, Any]], largest_sum: Callable[[], float], anchor: int
) -> Shape:
    """Return the shape of a log.

    Parameters
    ----------
    rows
        Result of :func:`shape_query`.
    largest_sum
        Returns the result of :func:`largest_sum_query`. Called only if the sum over all customers
        is too large to rule out a wide log.
    anchor
        The as_of, microseconds since 1970, UTC.
    """
    money = max(sum(row["paid"] for row in rows), sum(row["discounted"] for row in rows))
    return Shape(
        refunds=any(row["event"] == "refund" for row in rows),
        late=anchor % DAY_MICROSECONDS != 0 or any(row["late"] for row in rows),
        wide=money >= _NARROW and largest_sum() >= _NARROW,
        types=frozenset(row["event"] for row in rows),
        values=tuple(name for name in ("channel", "category") if any(row[name] for row in rows)),
        discounts=any(row["discounts"] for row in rows),
    )


def joined(steps: Sequence[Step]) -> str:
    """Return the steps as one query in DuckDB's dialect, as they are written.

    DuckDB runs this text: to parse it here too would take longer than most queries.

    Parameters
    ----------
    steps
        Each may read the steps before it; the last step is the result.
    """
    *earlier, last = steps
    ctes = ",\n".join(f"{step.name} as ({step.sql})" for step in earlier)
    return f"with {ctes}\n{last.sql}" if earlier else last.sql


def render(steps: Sequence[Step], dialect: str) -> str:
    """Return the steps as one query in a dialect, set out in lines; the last step is the result.

    Parameters
    ----------
    steps
        Each may read the steps before it.
    dialect
        ``duckdb`` or ``spark``.
    """
    return _rendered(joined(steps), dialect)


@lru_cache(maxsize=256)
def _rendered(text: str, dialect: str) -> str:
    # cached, since the same query runs for each part of the customers
    return sqlglot.transpile(text, read="duckdb", write=dialect, pretty=True)[0]

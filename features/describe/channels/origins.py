"""Which group each customer was first seen in: a channel, or a value of an attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.features.attributes import CHANNEL, MISSING, NAME, Texts
from stagecast.features.clock import microseconds
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.shop.events import KNOWN, events_of

if TYPE_CHECKING:
    import duckdb

    from stagecast.features.engines.duckdb import DailyTable

MOST_GROUPS = 50
"""With more groups, the smaller ones are one group, :data:`OTHERS`."""
NONE, OTHERS = "(none)", "(others)"
_SINGLE_SHARE = 0.5


@dataclass(frozen=True)
class Origins:
    """The group of each customer.

    Parameters
    ----------
    by
        ``channel``, or the name of an attribute.
    names
        The groups, the largest first; :data:`NONE` and :data:`OTHERS` last.
    group
        Position in ``names``, shape (n_customers,).
    counted
        Whether the customer is one: of some ids a log has nothing but costs, shape (n_customers,).
    folded
        The groups that are part of :data:`OTHERS`.
    """

    by: str
    names: tuple[str, ...]
    group: Integers
    counted: NDArray[np.bool_]
    folded: tuple[str, ...] = ()


def origins(
    table: DailyTable, con: duckdb.DuckDBPyConnection, by: str, cost_types: Sequence[str] = ()
) -> Origins:
    """Return the group of each customer of a table.

    Parameters
    ----------
    table
        The log up to the as_of.
    con
        Database of the log.
    by
        ``channel``: that of the customer's first event; or a column of the table of customers.
    cost_types
        Event types that are costs of acquisition: whoever has no other event is no customer.

    Raises
    ------
    UsageError
        No event has a channel; there is no such attribute, or it is a number; or most of its values
        stand for one customer only.
    """
    counted = _has_more_than(table, con, cost_types)
    return group_by(_texts(table, by), by, counted)


def group_by(texts: Texts, by: str, counted: NDArray[np.bool_]) -> Origins:
    """Return customers grouped by a text.

    Parameters
    ----------
    texts
        One per customer, shape (n_customers,); blank is a group of its own.
    by
        What the text is, for errors.
    counted
        Whether the customer is one, shape (n_customers,).

    Raises
    ------
    UsageError
        There are many groups, and most of them hold one customer.
    """
    values, position = np.unique(texts.astype(str), return_inverse=True)
    sizes = np.bincount(position[counted], minlength=len(values))
    single = int((sizes == 1).sum())
    if single > MOST_GROUPS and single > _SINGLE_SHARE * len(values):
        raise UsageError(
            f"--by {by}: {single:,} of its {len(values):,} values stand for one customer each, so "
            "it names customers and no groups; choose a column with fewer values"
        )
    largest = sorted(
        (k for k in range(len(values)) if values[k] != MISSING and sizes[k]),
        key=lambda k: (-int(sizes[k]), str(values[k])),
    )
    names = [str(values[k]) for k in largest[:MOST_GROUPS]]
    new = np.full(len(values), -1, dtype=np.int64)
    new[largest[:MOST_GROUPS]] = np.arange(len(names))
    for label, rows in ((NONE, [k for k in range(len(values)) if values[k] == MISSING]),
                        (OTHERS, largest[MOST_GROUPS:])):  # fmt: skip
        if rows and sizes[rows].sum():
            new[rows] = len(names)
            names.append(label)
    folded = tuple(str(values[k]) for k in largest[MOST_GROUPS:])
    return Origins(by, tuple(names), new[position], counted, folded)


def _texts(table: DailyTable, by: str) -> Texts:
    if by == CHANNEL:
        channels = table.categories()[CHANNEL]
        if not (channels != MISSING).any():
            raise UsageError(
                "no customer's first event has a channel; say with --channel which column holds "
                "it, or group by an attribute: --by COLUMN of the table of --customers"
            )
        return channels
    kinds = table.attribute_kinds()
    if kinds is None:
        raise UsageError(
            f"--by {by}: the log has no table of customers; name it with --customers, or group by "
            "channel"
        )
    if by not in kinds:
        raise UsageError(
            f"--by {by}: there is no such column; choose channel or one of "
            f"{', '.join(kinds) or 'none'}.{did_you_mean(by, [CHANNEL, *kinds])}"
        )
    if by.casefold() == NAME:
        raise UsageError(
            f"--by {by}: it is the name of a customer, which is kept nowhere but beside their "
            "scores; choose channel or another column"
        )
    if kinds[by] == "number":
        raise UsageError(
            f"--by {by}: it is a number, which makes no groups; make a column of ranges of it"
        )
    return table.categories((by,))[by]


def _has_more_than(
    table: DailyTable, con: duckdb.DuckDBPyConnection, types: Sequence[str]
) -> NDArray[np.bool_]:
    if not types:
        return np.ones(len(table.customers), dtype=np.bool_)
    ids = con.execute(
        f"""select customer_id from {events_of(con)}
        where {KNOWN} < {microseconds(table.anchor)} group by customer_id
        having bool_and(event in ({", ".join("?" * len(types))}))""",
        list(types),
    ).fetchall()
    without = {str(row[0]) for row in ids}
    return np.array([customer not in without for customer in table.customers], dtype=np.bool_)

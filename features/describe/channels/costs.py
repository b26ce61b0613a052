"""Costs of acquisition by group: what was paid, for which days.

A cost of several days is spread evenly over them. A cohort bears what was paid on its days, and the
cost per customer is asked of those alone who were first seen on days for which a cost is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.errors import DataRefusedError
from stagecast.features.shop.events import KNOWN, clock_of, events_of

if TYPE_CHECKING:
    import duckdb

COST_EVENTS = ("ad_cost",)
"""Types of events whose amount is what was paid for acquisition."""
_EPOCH_DAY = date(1970, 1, 1)


@dataclass(frozen=True)
class Cost:
    """What was paid for a group over the days ``[start, end)``.

    Parameters
    ----------
    group
        Channel, campaign or value of the attribute.
    start, end
        Days since 1970.
    amount
        Money in all.
    """

    group: str
    start: int
    end: int
    amount: float


@dataclass(frozen=True)
class Costs:
    """Everything that was paid for acquisition.

    Parameters
    ----------
    rows
        The payments, in any order; those of one group on the same days add up.
    """

    rows: tuple[Cost, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups for which something was paid, in the order of their names."""
        return tuple(sorted({row.group for row in self.rows}))

    def renamed(self, names: Mapping[str, str]) -> Costs:
        """Return the costs with some groups under another name."""
        rows = [replace(row, group=names.get(row.group, row.group)) for row in self.rows]
        return Costs(tuple(rows))

    def within(self, group: str, start: int, end: int) -> float | None:
        """Return what was paid for a group over the span ``[start, end)``; None: it is not known.

        Parameters
        ----------
        group
            The group.
        start, end
            Microseconds since 1970; parts of a day count as parts of its cost.
        """
        total, known = 0.0, False
        for row in self.rows:
            if row.group != group:
                continue
            first, last = row.start * DAY_MICROSECONDS, row.end * DAY_MICROSECONDS
            shared = min(last, end) - max(first, start)
            if shared > 0:
                total += row.amount * shared / (last - first)
                known = True
        return total if known else None

    def covered(self, group: str, instants: Integers) -> NDArray[np.bool_]:
        """Return which instants (microseconds since 1970) lie on days whose cost is known."""
        days = instants // DAY_MICROSECONDS
        mask = np.zeros(len(instants), dtype=np.bool_)
        for row in self.rows:
            if row.group == group:
                mask |= (days >= row.start) & (days < row.end)
        return mask


def costs_of_rows(rows: Sequence[Mapping[str, Any]], group_column: str, label: str) -> Costs:
    """Return the costs of a table with the columns of a group, ``from``, ``to`` and ``cost``.

    Parameters
    ----------
    rows
        Rows of the table, values as texts, dates or numbers. ``to`` is the last day that was paid
        for; where it is blank, it is the day ``from``.
    group_column
        Column with the group.
    label
        Name of the table, for errors.

    Raises
    ------
    DataRefusedError
        A date cannot be read or ``to`` is before ``from``, or a cost is not a number from 0 on. The
        message names the row.

    >>> costs_of_rows(
    ...     [{"channel": "ads", "from": "1970-01-02", "to": "1970-01-03", "cost": "10"}],
    ...     "channel", "spend.csv",
    ... ).rows
    (Cost(group='ads', start=1, end=3, amount=10.0),)
    """
    costs = []
    for number, row in enumerate(rows, start=2):
        place = f"'{label}', row {number}"
        start = _day(row.get("from"), "from", place)
        end = start if row.get("to") in (None, "") else _day(row["to"], "to", place)
        if end < start:
            raise DataRefusedError(
                f"{place}: to {row['to']} is before from {row['from']}; `to` is the last day that "
                "was paid for"
            )
        group = row.get(group_column)
        costs.append(
            Cost("" if group is None else str(group).strip(), start, end + 1, _cost(row, place))
        )
    return Costs(tuple(costs))


def logged_costs(
    con: duckdb.DuckDBPyConnection, as_of: datetime, types: Sequence[str] = COST_EVENTS
) -> Costs:
    """Return the costs that stand in the log as events of some types, by their channel.

    Parameters
    ----------
    con
        Database of the log.
    as_of
        Events that happened or were recorded at or after it are left out.
    types
        Event types in small letters; each event is what was paid on its day.
    """
    rows = con.execute(
        f"""select coalesce(channel, ''), epoch_us(timestamp) // {DAY_MICROSECONDS} as day,
            cast(sum(amount) as double)
        from {events_of(con)}
        where event in ({", ".join("?" * len(types))}) and amount is not null
            and {KNOWN} < {microseconds(clock_of(con).shop(as_of))}
        group by 1, 2 order by 1, 2""",
        list(types),
    ).fetchall()
    return Costs(tuple(Cost(str(g), int(day), int(day) + 1, float(a)) for g, day, a in rows))


def _day(value: object, name: str, place: str) -> int:
    if isinstance(value, datetime):
        value = (value if value.tzinfo is None else value.astimezone(UTC)).date()
    if not isinstance(value, date):
        try:
            value = date.fromisoformat(str(value or "").strip())
        except ValueError:
            raise DataRefusedError(
                f"{place}: {name} is '{value}', no date; write it like 2024-01-31"
            ) from None
    return (value - _EPOCH_DAY) // timedelta(days=1)


def _cost(row: Mapping[str, Any], place: str) -> float:
    try:
        cost = float(row.get("cost", ""))
    except (TypeError, ValueError):
        cost = math.nan
    if not (math.isfinite(cost) and cost >= 0):
        raise DataRefusedError(
            f"{place}: cost is '{row.get('cost')}', no number from 0 on; write it like 1250.50"
        )
    return cost

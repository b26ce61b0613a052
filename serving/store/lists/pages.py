"""Pages of a list, read from indices whatever the filters and the order.

A filter on stage, band, state or play is a choice of segments, and a beginning of ids is a range of
positions. Of each chosen segment the first rows in the order are read from its index, and merged:
how much is read depends on the length of the page and the number of segments, not on the customers
of the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from math import ceil, isqrt
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.lists.places import Place
from stagecast.serving.store.lists.segments import Segment, customers_of
from stagecast.serving.store.lists.tables import list_table
from stagecast.serving.store.queries import Cursor, Filters, Order

FEW = 5_000
"""So many rows are read and sorted rather than looked for in an order."""
LEAST_PORTION = 16
"""Fewest rows that are read of a segment at first."""
POSITION = "position"

Row = tuple[int, Any, int]
"""Segment, value in the order, position."""
After = tuple[Any, int] | None
"""Value and position of the last row of the page before."""


def page_keys(
    connection: sa.Connection,
    run_id: int,
    segments: Sequence[Segment],
    filters: Filters,
    order: Order,
    limit: int,
    last_row: Cursor | None,
) -> list[tuple[str, Any]]:
    """Return the customers of a page with their values in the order.

    Parameters
    ----------
    connection
        The store.
    run_id
        A run that has a list.
    segments
        All segments of the run.
    filters, order
        Which customers, and how they are ordered.
    limit
        Number of rows.
    last_row
        The last row of the page before; None: the first page.
    """
    chosen = [part for part in segments if part.customers and part.passes(filters)]
    place = Place.of(connection, run_id, filters)
    if not chosen or place is None:
        return []
    after = None
    if last_row is not None:
        value = last_row.value
        if isinstance(value, float) and isinstance(
            list_table(run_id).c[order.column].type, sa.Integer
        ):
            value = int(value)  # PostgreSQL uses no index of whole numbers for others
        after = (value, _position(connection, run_id, last_row.customer_id))
    if order.column == "stage":
        rows = _by_stage(place, chosen, order, limit, after)
    elif order.column == "customer_id":
        by_position = Order(POSITION, order.descending)
        rows = _ranked(place, chosen, by_position, limit, after and (after[1], after[1]))
    else:
        rows = _ranked(place, chosen, order, limit, after)
    c = list_table(run_id).c
    positions = [position for _, _, position in rows]
    query = sa.select(c.position, c.customer_id).where(c.position.in_(positions))
    names = {row[0]: row[1] for row in connection.execute(query)}
    # who was erased since the query before is left out
    return [
        (names[position], names[position] if order.column == "customer_id" else value)
        for _, value, position in rows
        if position in names
    ]


def _position(connection: sa.Connection, run_id: int, customer_id: str) -> int:
    """Return the position of a customer; of one who is erased, that of the customer before."""
    c = list_table(run_id).c
    query = sa.select(c.position).where(c.customer_id <= customer_id)
    return int(connection.scalar(query.order_by(c.customer_id.desc()).limit(1)) or 0)


def _by_stage(
    place: Place, chosen: Sequence[Segment], order: Order, limit: int, after: After
) -> list[Row]:
    """Return rows in the order of the stages, and of the ids in each."""
    by_name = sorted(chosen, key=lambda part: part.stage, reverse=order.descending)
    rows: list[Row] = []
    for stage, parts in groupby(by_name, lambda part: part.stage):
        within = None
        if after is not None:
            if stage < after[0] if not order.descending else stage > after[0]:
                continue
            within = (after[1], after[1]) if stage == after[0] else None
        of_stage = _ranked(place, list(parts), Order(POSITION, False), limit - len(rows), within)
        rows += [(number, stage, position) for number, _, position in of_stage]
        if len(rows) >= limit:
            break
    return rows


def _ranked(
    place: Place, chosen: Sequence[Segment], order: Order, limit: int, after: After
) -> list[Row]:
    """Return rows in the order of a column, those without a value last."""
    few, many = _divided(place, chosen, order, limit)
    sort = _sorter(order)
    rows = [row for row in few if after is None or _is_beyond(row, after, order)]
    if not many:
        return sort(rows)[:limit]
    reading = _Reading(place, many, order.column)
    if after is None or after[0] is not None:
        rows += reading.with_value(order, limit, after)
        after = None
    enough = sum(row[1] is not None for row in rows) >= limit
    if not enough and order.column != POSITION:
        rows += reading.without_value(limit, after)
    return sort(rows)[:limit]


def _divided(
    place: Place, chosen: Sequence[Segment], order: Order, limit: int
) -> tuple[list[Row], Sequence[Segment]]:
    """Return the rows of segments of which few pass the filters, and the other segments.

    Those rows are read whole and sorted. Where many pass, the order finds a page of them soon.
    """
    columns = f"segment, {order.column} AS value, position AS place"
    if place.length is not None and place.length <= FEW:
        of_segments = place.in_segments(chosen, by_position=True)
        return _plain(place.rows([place.select(columns, of_segments)])), []
    if "min_value" not in place.values or order.column == "value_at_risk":
        return [], chosen
    # as many lookups as the order would need, if it had nothing to do with the value at risk
    most = {part.number: min(FEW, isqrt(limit * part.customers) + 1) for part in chosen}
    index = "value_at_risk"
    probes = place.rows(
        [
            place.select(
                "segment",
                f"segment = {number}",
                end=f"LIMIT {length + 1}",
                index=index,
            )
            for number, length in most.items()
        ]
    )
    passing = Counter(row[0] for row in probes)
    many = [part for part in chosen if passing[part.number] > most[part.number]]
    few = [part for part in chosen if 0 < passing[part.number] <= most[part.number]]
    if not few:
        return [], many
    return _plain(place.rows([place.select(columns, place.in_segments(few), index=index)])), many


def _plain(rows: Sequence[Any]) -> list[Row]:
    return [(row[0], row[1], row[2]) for row in rows]


def _sorter(order: Order) -> Callable[[list[Row]], list[Row]]:
    """Return how rows are sorted: by value, those without one last, and then by position."""

    def sort(rows: list[Row]) -> list[Row]:
        by_position = sorted(rows, key=lambda row: row[2])
        valued = [row for row in by_position if row[1] is not None]
        valued.sort(key=lambda row: row[1], reverse=order.descending)
        return valued + [row for row in by_position if row[1] is None]

    return sort


def _is_beyond(row: Row, after: tuple[Any, int], order: Order) -> bool:
    """Return whether a row stands after the last row of the page before."""
    _, value, position = row
    last_value, last_position = after
    if value == last_value:
        return position > last_position
    if value is None or last_value is None:
        return value is None
    return bool(value < last_value if order.descending else value > last_value)


class _Reading:
    """The first rows of segments in the order of a column, from the indices of that column."""

    def __init__(self, place: Place, segments: Sequence[Segment], column: str) -> None:
        self.place, self.segments, self.column = place, segments, column
        self.customers = customers_of(segments)

    def with_value(self, order: Order, limit: int, after: After) -> list[Row]:
        """Return the rows that have a value, after the last row of the page before."""
        sort = _sorter(order)
        rows: list[Row] = []
        beyond = f"{self.column} IS NOT NULL"
        if after is not None:
            if self.column != POSITION:  # which no two customers share
                rows = self._equal(after[0], after[1], limit)
            if len(rows) >= limit:
                return rows
            beyond = f"{self.column} {'<' if order.descending else '>'} :value"
        wanted, value = limit - len(rows), None if after is None else after[0]
        if order.descending or self.column == POSITION:
            ends = f"{self.column} DESC, position" if order.descending else self.column
            return rows + self._first(beyond, ends, sort, wanted, value=value)
        # an index read from its end has the ties in the other order; so it says the values only,
        # and those who have the last of them are read anew
        later = self._first(beyond, self.column, sort, wanted, value=value)
        if len(later) < wanted:
            return rows + later
        cut = later[-1][1]
        rows += [row for row in later if row[1] != cut]
        return rows + self._equal(cut, 0, limit - len(rows))

    def without_value(self, limit: int, after: After) -> list[Row]:
        """Return the rows that have no value, by position."""
        last = 0 if after is None else after[1]
        condition = f"{self.column} IS NULL AND position > :position"
        sort = _sorter(Order(self.column, False))
        return self._first(condition, POSITION, sort, limit, position=last)

    def _equal(self, value: Any, last: int, limit: int) -> list[Row]:
        """Return the rows of one value beyond a position, by position."""
        condition = f"{self.column} = :value AND position > :position"
        sort = _sorter(Order(self.column, False))
        return self._first(condition, POSITION, sort, limit, value=value, position=last)

    def _first(
        self,
        condition: str,
        ends: str,
        sort: Callable[[list[Row]], list[Row]],
        limit: int,
        **values: Any,
    ) -> list[Row]:
        """Return the first rows that meet a condition.

        Of each segment as many are read as its size lets expect; where that was not enough, the
        whole length of the page.
        """
        lengths = {
            part.number: min(
                limit, max(LEAST_PORTION, ceil(2 * limit * part.customers / self.customers))
            )
            for part in self.segments
        }
        rows = self._read(condition, ends, lengths, values)
        first = sort(rows)[:limit]
        of_part = Counter(row[0] for row in rows)
        listed = Counter(row[0] for row in first)
        short = {
            number
            for number, length in lengths.items()
            if of_part[number] == length < limit and listed[number] == length
        }
        if not short:
            return first
        rows = [row for row in rows if row[0] not in short]
        rows += self._read(condition, ends, dict.fromkeys(short, limit), values)
        return sort(rows)[:limit]

    def _read(
        self, condition: str, ends: str, lengths: dict[int, int], values: dict[str, Any]
    ) -> list[Row]:
        columns = f"segment, {self.column} AS value, position AS place"
        index = "segment" if self.column == POSITION else self.column
        queries = [
            self.place.select(
                columns,
                f"segment = {number}",
                condition,
                end=f"ORDER BY {ends} LIMIT {length}",
                index=index,
            )
            for number, length in lengths.items()
        ]
        return _plain(self.place.rows(queries, **values))

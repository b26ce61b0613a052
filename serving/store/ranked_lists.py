"""Ranked lists of the customers of a run, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store import stored_scores
from stagecast.serving.store.lists.pages import page_keys
from stagecast.serving.store.lists.segments import list_ended, segments_for
from stagecast.serving.store.queries import LIMIT_MAX, Cursor, Filters, Order
from stagecast.serving.store.tables import scores


@dataclass(frozen=True)
class Page:
    """One page of a ranked list.

    Parameters
    ----------
    documents
        Scores in order, each the text of one JSON object.
    next_cursor
        Cursor of the next page; None: this is the last page.
    seen
        Number of customers on the previous pages.
    """

    documents: list[str]
    next_cursor: str | None
    seen: int


def read_page(
    engine: sa.Engine, run_id: int, filters: Filters, order: Order, limit: int, cursor: str | None
) -> Page:
    """Return one page of the customers that pass the filters.

    See :meth:`stagecast.serving.store.store.Store.customers`.

    Raises
    ------
    UsageError
        The cursor is damaged, or of another run, order or set of filters.
    """
    limit = max(1, min(limit, LIMIT_MAX))
    last_row = None if cursor is None else Cursor.decode(cursor, run_id, filters, order)
    offset = 0 if last_row is None else last_row.offset
    with engine.connect() as connection:
        segments = segments_for(connection, run_id, filters)
        try:
            if segments is None:
                keys = _ordered_keys(connection, run_id, filters, order, limit + 1, last_row)
            else:
                keys = page_keys(connection, run_id, segments, filters, order, limit + 1, last_row)
        except sa.exc.DBAPIError:
            if segments is None or not list_ended(connection, run_id):
                raise
            keys = _ordered_keys(connection, run_id, filters, order, limit + 1, last_row)
        score_documents = stored_scores.scores_of(
            connection, run_id, [customer_id for customer_id, _ in keys[:limit]]
        )
    next_cursor = None
    if len(keys) > limit:
        customer_id, value = keys[limit - 1]
        next_cursor = Cursor(offset + limit, value, customer_id).encode(run_id, filters, order)
    # a customer who was erased between the two queries is left out
    listed = [score_documents[name] for name, _ in keys[:limit] if name in score_documents]
    return Page(listed, next_cursor, offset)


def _ordered_keys(
    connection: sa.Connection,
    run_id: int,
    filters: Filters,
    order: Order,
    limit: int,
    last_row: Cursor | None,
) -> list[tuple[str, Any]]:
    # Two queries instead of NULLS LAST, which not every database has and which may not use the
    # index: first the customers with a value, ordered by it; then those without one, by id.
    column, customer = scores.c[order.column], scores.c.customer_id
    base = (
        sa.select(customer, column)
        .where(scores.c.run_id == run_id, *filters.conditions(run_id))
        .limit(limit)
    )
    rows: list[tuple[str, Any]] = []
    if last_row is None or last_row.value is not None:
        query = base.where(column.is_not(None)).order_by(
            column.desc() if order.descending else column, customer
        )
        if last_row is not None:
            in_range = column <= last_row.value if order.descending else column >= last_row.value
            query = query.where(
                in_range, sa.or_(column != last_row.value, customer > last_row.customer_id)
            )
        rows = [(row[0], row[1]) for row in connection.execute(query)]
    if column.nullable and len(rows) < limit:
        query = base.where(column.is_(None)).order_by(customer).limit(limit - len(rows))
        if last_row is not None and last_row.value is None:
            query = query.where(customer > last_row.customer_id)
        rows += [(row[0], row[1]) for row in connection.execute(query)]
    return rows

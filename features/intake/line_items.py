"""Exports with a row for each item of an order, whose totals stand on the first row only."""

from __future__ import annotations

import re

import duckdb

SHARE = 0.9
"""Share of the rows without an amount that stand beside a row of their order with one."""
_ROWS = 10_000


def line_items_hint(con: duckdb.DuckDBPyConnection, column: str) -> str | None:
    """Return what to try for rows without an amount that are items of an order; else None.

    An order is told by the same customer at the same time.

    Parameters
    ----------
    con
        Holds the table ``typed_rows``.
    column
        Name of the column of amounts.
    """
    ((rows, beside),) = con.execute(
        f"""WITH items AS (SELECT customer_id, "timestamp" FROM typed_rows
            WHERE faults[1].reason = 'missing_amount' LIMIT {_ROWS})
        SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM items SEMI JOIN
            (SELECT customer_id, "timestamp" FROM typed_rows WHERE faults IS NULL
            AND amount IS NOT NULL) USING (customer_id, "timestamp"))"""
    ).fetchall()
    if not rows or beside < SHARE * rows:
        return None
    name = column if re.fullmatch(r"[A-Za-z_]\w*", column) else f'\\"{column}\\"'
    return (
        "they stand beside a row of the same customer and time that has an amount, as in exports "
        "with a row for each item and totals on the first: "
        f'--where "{name} IS NOT NULL" leaves them out'
    )

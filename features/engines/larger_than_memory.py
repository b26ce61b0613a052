"""The features of a log that is larger than the memory: worked out for some customers after the
others.

A feature looks at one customer's events alone, so a part of the customers is as good as all of
them; only the shop's usual gap is of all, and is found in a first pass. The table ``events`` is
sorted by customer, so a part is a range of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from stagecast.features.attributes import attribute_kinds
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import check_declared
from stagecast.features.clock import iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.shop_gap import MeanGaps, mean_gaps, shop_gap_days
from stagecast.features.errors import NotEnoughDataError
from stagecast.features.events import EventLog
from stagecast.features.in_order import Range, map_in_order
from stagecast.features.part_files import check_ending, write_parts

ROWS_PER_PART = 600_000
# Of a part a good half is done by one thread; the other core has the next part meanwhile.
PARTS_AHEAD = 2
INSTANT = pa.timestamp("us", "UTC")


def write_features(
    log: EventLog, as_of: datetime, catalog: Catalog, path: Path, rows_per_part: int = ROWS_PER_PART
) -> int:
    """Write the feature table of every customer at one as_of.

    Parameters
    ----------
    catalog
        Its parameters are set here, from the log.
    path
        ``.parquet`` or ``.csv``: one file, whole or not at all. Without an ending: a folder with a
        Parquet file for each part, with which an interrupted run goes on. One row per customer with
        an event before the as_of, ordered by customer_id: ``customer_id``, ``as_of`` and every
        feature of the catalogue, null where there is nothing to tell.
    rows_per_part
        Events that are looked at together; memory grows with it, and with nothing else.

    Returns
    -------
    The number of customers.

    Raises
    ------
    NotEnoughDataError
        No event stands before the as_of.
    UsageError
        The name ends in something else, the file cannot be written, or a feature asks for
        attributes that were not declared as known from the start.
    """
    check_ending(path)
    check_declared(catalog, attribute_kinds(log.con), log.known_at_start)
    ranges = list(parts(log.con, rows_per_part))
    catalog = catalog.with_parameters(shop_gap_days=shop_gap_of(log, as_of, ranges))
    schema = feature_schema(catalog)

    def make(part: tuple[int, int]) -> pa.Table | None:
        return next(
            (feature_rows(table, catalog, schema) for table in tables(log, as_of, [part])), None
        )

    run = of_run(log, as_of) | {"catalog": catalog.to_json()}
    return write_parts(path, ranges, make, schema, run, ahead=PARTS_AHEAD)


def of_run(log: EventLog, as_of: datetime) -> dict[str, Any]:
    """Return what tells one log at one date from another, and so one folder of parts."""
    told = log.report
    attributes = None
    if attribute_kinds(log.con) is not None:
        found = log.con.execute("select bit_xor(hash(attributes)) from attributes").fetchall()
        attributes = str(found[0][0])
    return {
        "as_of": iso(as_of),
        "rows": told.rows_loaded,
        "customers": told.customers,
        "first": told.first_event,
        "last": told.last_event,
        "types": told.event_types,
        "attributes": attributes,
    }


def shop_gap_of(log: EventLog, as_of: datetime, ranges: list[tuple[int, int]]) -> float:
    """Return the shop's usual gap between purchase days, from all parts of its customers.

    Raises
    ------
    NotEnoughDataError
        No event stands before the as_of.
    """

    def gaps_of(part: Range) -> list[MeanGaps]:
        return [mean_gaps(table.purchase_days()) for table in tables(log, as_of, [part])]

    gaps = [one for some in map_in_order(gaps_of, ranges, PARTS_AHEAD) for one in some]
    if not gaps:
        raise NotEnoughDataError(
            f"no event stands before the as_of {as_of.isoformat()}; choose a later --as-of"
        )
    return shop_gap_days(gaps)


def parts(con: duckdb.DuckDBPyConnection, rows: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of ``rowid`` of the table ``events``, about so many rows each, that cut no
    customer in two.
    """

    def one(sql: str, value: object) -> int:
        return int(con.execute(sql, [value]).fetchall()[0][0])

    total = int(con.execute("SELECT count(*) FROM events").fetchall()[0][0])
    low = 0
    while low < total:
        high = total
        if low + rows < total:
            customer = one("SELECT customer FROM events WHERE rowid = ?", low + rows)
            high = one("SELECT min(rowid) FROM events WHERE customer = ?", customer)
            if high <= low:  # one customer fills more than a part
                high = one("SELECT max(rowid) + 1 FROM events WHERE customer = ?", customer)
        yield low, high
        low = high


def tables(log: EventLog, as_of: datetime, ranges: list[tuple[int, int]]) -> Iterator[DailyTable]:
    """Yield the daily table of each range that has a customer known before the as_of; each is
    closed after use.
    """
    for low, high in ranges:
        try:
            table = DailyTable(log.con, as_of, rows=(low, high))
        except NotEnoughDataError:  # none of these was known before the as_of
            continue
        try:
            yield table
        finally:
            table.close()


def feature_schema(catalog: Catalog) -> pa.Schema:
    """Return the schema of a table of features."""
    known = [pa.field("customer_id", pa.string(), False), pa.field("as_of", INSTANT, False)]
    return pa.schema([*known, *(pa.field(name, pa.float64()) for name in catalog.names)])


def feature_rows(table: DailyTable, catalog: Catalog, schema: pa.Schema) -> pa.Table:
    """Return the features of every customer of a table at its anchor."""
    columns = table.features(catalog, [0])
    customers = pa.array(table.customers, pa.string()).take(pa.array(columns["customer"]))
    as_of = pa.array(
        np.full(len(customers), np.datetime64(table.anchor.replace(tzinfo=None), "us")), INSTANT
    )
    features = [pa.array(columns[name], pa.float64(), from_pandas=True) for name in catalog.names]
    return pa.Table.from_arrays([customers, as_of, *features], schema=schema)

"""Writes the features of a log that is larger than memory, one part of the customers at a time.

Features of a customer depend on that customer's events alone, so customers can be split into parts.
Only the shop's usual gap depends on all customers; it is computed in a first pass. The table
``events`` is sorted by customer, so a part is a range of its rows.
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
from stagecast.features.files.in_order import Range, map_in_order
from stagecast.features.files.part_files import check_ending, write_parts

ROWS_PER_PART = 600_000
# One thread does more than half of the work on a part, so other cores start the next part.
PARTS_AHEAD = 2
INSTANT = pa.timestamp("us", "UTC")


def write_features(
    log: EventLog, as_of: datetime, catalog: Catalog, path: Path, rows_per_part: int = ROWS_PER_PART
) -> int:
    """Write the features of every customer at one as_of.

    Parameters
    ----------
    log
        Events to read.
    as_of
        Events that happened or were recorded at or after it are ignored.
    catalog
        Features to write. Its parameters are set here, from the log.
    path
        ``.parquet`` or ``.csv``: one file, written completely or not at all. Without an extension:
        a folder with a Parquet file for each part; an interrupted run continues in it. One row per
        customer with an event before the as_of, ordered by customer_id: ``customer_id``, ``as_of``
        and every feature of the catalogue, null if it has no value.
    rows_per_part
        Number of events to process together. Memory grows with it, not with the log.

    Returns
    -------
    int
        The number of customers.

    Raises
    ------
    NotEnoughDataError
        No event was known before the as_of.
    UsageError
        The path has another extension or cannot be written, or a feature uses attributes that were
        not declared as known at the start.
    """
    check_ending(path)
    catalog, ranges = _prepared(log, as_of, catalog, rows_per_part)
    schema = feature_schema(catalog)

    def make(part: tuple[int, int]) -> pa.Table | None:
        return next(
            (feature_rows(table, catalog, schema) for table in daily_tables(log, as_of, [part])),
            None,
        )

    fingerprint = run_fingerprint(log, as_of) | {"catalog": catalog.to_json()}
    return write_parts(path, ranges, make, schema, fingerprint, ahead=PARTS_AHEAD)


def feature_table(
    log: EventLog, as_of: datetime, catalog: Catalog, rows_per_part: int = ROWS_PER_PART
) -> pa.Table:
    """Return what :func:`write_features` writes, in memory.

    Raises
    ------
    NotEnoughDataError
        No event was known before the as_of.
    UsageError
        A feature uses attributes that were not declared as known at the start.
    """
    catalog, ranges = _prepared(log, as_of, catalog, rows_per_part)
    schema = feature_schema(catalog)
    tables = daily_tables(log, as_of, ranges)
    return pa.concat_tables([feature_rows(table, catalog, schema) for table in tables])


def _prepared(
    log: EventLog, as_of: datetime, catalog: Catalog, rows_per_part: int
) -> tuple[Catalog, list[Range]]:
    """Return the catalogue with the parameters of a log, and the parts that it is read in."""
    check_declared(catalog, attribute_kinds(log.con), log.known_at_start)
    ranges = list(row_ranges(log.con, rows_per_part))
    return catalog.with_parameters(shop_gap_days=shop_gap_of(log, as_of, ranges)), ranges


def run_fingerprint(log: EventLog, as_of: datetime) -> dict[str, Any]:
    """Return JSON data that identifies a log and an as_of, and so a folder of parts.

    Parameters
    ----------
    log
        Events to read.
    as_of
        Date of the features.
    """
    report = log.report
    attributes = None
    if attribute_kinds(log.con) is not None:
        rows = log.con.execute("select bit_xor(hash(attributes)) from attributes").fetchall()
        attributes = str(rows[0][0])
    return {
        "as_of": iso(as_of),
        "rows": report.rows_loaded,
        "customers": report.customers,
        "first": report.first_event,
        "last": report.last_event,
        "types": report.event_types,
        "attributes": attributes,
        **({} if log.clock.is_utc else {"zone": log.clock.zone}),
    }


def shop_gap_of(log: EventLog, as_of: datetime, ranges: list[tuple[int, int]]) -> float:
    """Return the shop's usual gap between purchase days, in days.

    Parameters
    ----------
    log
        Events to read.
    as_of
        Events that happened or were recorded at or after it are ignored.
    ranges
        Ranges of rows that together have all customers, from :func:`row_ranges`.

    Raises
    ------
    NotEnoughDataError
        No event was known before the as_of.
    """

    def gaps_of(part: Range) -> list[MeanGaps]:
        return [mean_gaps(table.purchase_days()) for table in daily_tables(log, as_of, [part])]

    gaps = [
        part_gaps
        for gaps_of_part in map_in_order(gaps_of, ranges, PARTS_AHEAD)
        for part_gaps in gaps_of_part
    ]
    if not gaps:
        raise NotEnoughDataError(
            f"no event stands before the as_of {as_of.isoformat()}; choose a later --as-of"
        )
    return shop_gap_days(gaps)


def row_ranges(con: duckdb.DuckDBPyConnection, rows_per_part: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows of the table ``events``, none of which splits a customer.

    Parameters
    ----------
    con
        Database of the log.
    rows_per_part
        Approximate number of rows of each range.

    Yields
    ------
    tuple of int
        First ``rowid``, and the one after the last.
    """

    def number(sql: str, value: object) -> int:
        return int(con.execute(sql, [value]).fetchall()[0][0])

    total = int(con.execute("SELECT count(*) FROM events").fetchall()[0][0])
    low = 0
    while low < total:
        high = total
        if low + rows_per_part < total:
            customer = number("SELECT customer FROM events WHERE rowid = ?", low + rows_per_part)
            high = number("SELECT min(rowid) FROM events WHERE customer = ?", customer)
            if high <= low:  # one customer has more rows than a part
                high = number("SELECT max(rowid) + 1 FROM events WHERE customer = ?", customer)
        yield low, high
        low = high


def daily_tables(
    log: EventLog, as_of: datetime, ranges: list[tuple[int, int]]
) -> Iterator[DailyTable]:
    """Yield the daily table of each range of rows, and close it after use.

    A range without a customer known before the as_of is skipped.

    Parameters
    ----------
    log
        Events to read.
    as_of
        Anchor of the tables.
    ranges
        Ranges of rows, from :func:`row_ranges`.
    """
    for low, high in ranges:
        try:
            table = DailyTable(log.con, as_of, rows=(low, high))
        except NotEnoughDataError:
            continue
        try:
            yield table
        finally:
            table.close()


def feature_schema(catalog: Catalog) -> pa.Schema:
    """Return the schema of a feature table."""
    keys = [pa.field("customer_id", pa.string(), False), pa.field("as_of", INSTANT, False)]
    return pa.schema([*keys, *(pa.field(name, pa.float64()) for name in catalog.names)])


def feature_rows(table: DailyTable, catalog: Catalog, schema: pa.Schema) -> pa.Table:
    """Return the features of every customer of a daily table at its anchor.

    Parameters
    ----------
    table
        Table of the customers.
    catalog
        With its parameters set.
    schema
        Schema of the result, from :func:`feature_schema`.
    """
    columns = table.features(catalog, [0])
    customers = pa.array(table.customers, pa.string()).take(pa.array(columns["customer"]))
    instant = np.datetime64(table.clock.instant(table.anchor).replace(tzinfo=None), "us")
    as_of = pa.array(np.full(len(customers), instant), INSTANT)
    features = [pa.array(columns[name], pa.float64(), from_pandas=True) for name in catalog.names]
    return pa.Table.from_arrays([customers, as_of, *features], schema=schema)

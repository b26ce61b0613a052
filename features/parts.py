"""The features of a log that is larger than the memory: worked out for some customers after the others.

A feature looks at one customer's events alone, so a part of the customers is as good as all of them; only the shop's
usual gap is of all, and is found in a first pass. The table ``events`` is sorted by customer, so a part is a range of
its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from features.catalog import Catalog, standard
from features.engines.duckdb import DailyTable
from features.errors import NotEnoughDataError, UsageError
from features.events import EventLog
from features.files import replaced
from features.thresholds import mean_gaps, shop_gap_days

ROWS_PER_PART = 1_000_000
INSTANT = pa.timestamp("us", "UTC")


def write_features(
    log: EventLog, as_of: datetime, horizon_days: int, path: Path, rows_per_part: int = ROWS_PER_PART
) -> int:
    """Write the feature table of every customer at one as_of: whole, or not at all.

    Parameters
    ----------
    path
        ``.parquet`` or ``.csv``; one row per customer with an event before the as_of, ordered by customer_id:
        ``customer_id``, ``as_of`` and every feature of the catalogue, null where there is nothing to tell.
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
        The name says neither Parquet nor CSV, or the file cannot be written.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(f"--out {path}: the name must end in .parquet or .csv")
    ranges = list(parts(log.con, rows_per_part))
    gaps = [mean_gaps(table.purchase_days()) for table in _tables(log, as_of, ranges)]
    if not gaps:
        raise NotEnoughDataError(f"no event stands before the as_of {as_of.isoformat()}; choose a later --as-of")
    catalog = standard(horizon_days).with_parameters(shop_gap_days=shop_gap_days(gaps))
    schema = _schema(catalog)
    written = 0
    with replaced(path) as draft, _writer(draft, path.suffix, schema) as writer:
        for table in _tables(log, as_of, ranges):
            found = _rows(table, catalog, schema)
            writer.write_table(found)
            written += len(found)
    return written


def parts(con: duckdb.DuckDBPyConnection, rows: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of ``rowid`` of the table ``events``, about so many rows each, that cut no customer in two."""

    def one(sql: str, value: object) -> int:
        return int(con.execute(sql, [value]).fetchall()[0][0])

    total = int(con.execute("SELECT count(*) FROM events").fetchall()[0][0])
    low = 0
    while low < total:
        high = total
        if low + rows < total:
            ((customer,),) = con.execute("SELECT customer_id FROM events WHERE rowid = ?", [low + rows]).fetchall()
            high = one("SELECT min(rowid) FROM events WHERE customer_id = ?", customer)
            if high <= low:  # one customer fills more than a part
                high = one("SELECT max(rowid) + 1 FROM events WHERE customer_id = ?", customer)
        yield low, high
        low = high


def _tables(log: EventLog, as_of: datetime, ranges: list[tuple[int, int]]) -> Iterator[DailyTable]:
    for low, high in ranges:
        try:
            table = DailyTable(log.con, as_of, rows=(low, high))
        except NotEnoughDataError:  # none of these was known before the as_of
            continue
        try:
            yield table
        finally:
            table.close()


def _schema(catalog: Catalog) -> pa.Schema:
    known = [pa.field("customer_id", pa.string(), False), pa.field("as_of", INSTANT, False)]
    return pa.schema([*known, *(pa.field(name, pa.float64()) for name in catalog.names)])


def _rows(table: DailyTable, catalog: Catalog, schema: pa.Schema) -> pa.Table:
    columns = table.features(catalog, [0])
    customers = table.customers[columns["customer"].astype(np.int64)]
    arrays = [pa.array(customers.tolist(), pa.string())]
    arrays.append(pa.array([table.anchor] * len(customers), INSTANT))
    arrays += [pa.array(columns[name], pa.float64(), from_pandas=True) for name in catalog.names]
    return pa.Table.from_arrays(arrays, schema=schema)


def _writer(path: Path, ending: str, schema: pa.Schema) -> pq.ParquetWriter | pacsv.CSVWriter:
    return pq.ParquetWriter(path, schema) if ending == ".parquet" else pacsv.CSVWriter(path, schema)

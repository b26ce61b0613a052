"""Features of customers as they were before a plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import iso
from stagecast.features.errors import DataRefusedError
from stagecast.features.events import EventLog
from stagecast.serving.quoting import quote


def features_before(
    log: EventLog, as_of: datetime, catalog: Catalog, ids: Sequence[str]
) -> tuple[tuple[str, ...], Array]:
    """Return the names of the predictors of a catalogue, and their values, shape (n, k).

    Nothing that happened or was recorded at or after the as_of has an influence. Who is not in the
    log before it has NaN everywhere, as has a value that is not known.

    Parameters
    ----------
    log
        The log, which may go on after the as_of.
    as_of
        Of the scores that the plan was made from, UTC.
    catalog
        Of the model that made them, its parameters set.
    ids
        The customers, n of them, each once.

    Raises
    ------
    UsageError
        The as_of does not lie after the first event, or the log has not the attributes that the
        catalogue needs.
    DataRefusedError
        None of the customers is in the log.
    """
    from stagecast.features.engines.duckdb import DailyTable  # DuckDB is slow to import

    table = DailyTable(log.con, log.choose_as_of(as_of))
    try:
        columns = table.features(catalog, [0])
        customers = table.customers
    finally:
        table.close()
    row_of = {id_: row for row, id_ in enumerate(customers[columns["customer"].astype(np.int64)])}
    rows = np.array([row_of.get(id_, -1) for id_ in ids], dtype=np.int64)
    if not (rows >= 0).any():
        raise DataRefusedError(
            f"none of the {len(ids):,} customers is in the log before {iso(as_of)}, such as "
            f"'{quote(ids[0])}'; is it the log of the same shop, and the same --customer column?"
        )
    X = np.column_stack([columns[name].astype(np.float64)[rows] for name in catalog.predictors])
    X[rows < 0] = np.nan
    return catalog.predictors, np.where(np.isfinite(X), X, np.nan)

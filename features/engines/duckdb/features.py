"""Features of a catalogue at one or more dates: by SQL, or for a plain log by SQL and NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features.attributes import attribute_kinds
from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.of_customer import attribute_features, check_table
from stagecast.features.engines import sql
from stagecast.features.engines.duckdb.expressions import clock
from stagecast.features.engines.duckdb.known_events import KnownEvents
from stagecast.features.engines.plain import DailyRows, Dates, plain_features


def features_of(
    known: KnownEvents, catalog: Catalog, backs: Sequence[int]
) -> dict[str, NDArray[Any]]:
    """Return every feature of a catalogue, one row per customer and date.

    Parameters, result and errors are those of
    :meth:`stagecast.features.engines.duckdb.DailyTable.features`.
    """
    if known.shape.plain and not known.shape.wide:
        return _features_of_plain_log(known, catalog, backs)
    return _features_by_sql(known, catalog, backs)


def _features_of_plain_log(
    known: KnownEvents, catalog: Catalog, backs: Sequence[int]
) -> dict[str, NDArray[Any]]:
    """Return the features of a plain log: its days are computed in SQL, the rest in NumPy."""
    catalog.check_filled()
    computed, absent = sql.partition_aggregates(catalog, known.shape)
    log_columns = {
        str(feature.column).replace("active_day", "activity")
        for feature in computed
        if feature.relation == "log"
    }
    names = sorted({"purchases", "gross_spend", *log_columns} - {"day", "age"})
    columns = ", ".join(f"cast({name} as bigint) as {name}" for name in names)
    daily = known.query([sql.Step("rows", f"select customer, day, {columns} from daily")])
    rows = DailyRows.of(len(known.customers), daily.pop("customer"), daily.pop("day"), daily)
    # the other relations have several rows per day, texts or attributes, so SQL computes them
    sql_features = (
        *(feature for feature in computed if feature.relation in ("types", "values")),
        *attribute_features(catalog),
    )
    by_sql = _features_by_sql(known, Catalog(sql_features, {}), backs) if sql_features else {}
    precomputed = {feature.name: by_sql[feature.name] for feature in sql_features}
    threads = int(known.connection.execute("select current_setting('threads')").fetchall()[0][0])
    return plain_features(
        catalog, rows, Dates.of(rows, known.at, backs), absent, precomputed, threads
    )


def _features_by_sql(
    known: KnownEvents, catalog: Catalog, backs: Sequence[int]
) -> dict[str, NDArray[Any]]:
    _create_attributes_view(known, catalog)
    for step in sql.side_table_steps(catalog, clock(known.at), "known_events", known.shape):
        if known.tables.get(step.name) != step:
            known.create(step)
    steps = sql.snapshot_steps(catalog, known.at, backs, known.shape)
    # DuckDB replaces null by NaN faster than Arrow does
    filled = ", ".join(
        f"""coalesce("{name}", cast('nan' as double)) as "{name}\"""" for name in catalog.names
    )
    columns = known.query(
        [*steps, sql.Step("filled", f"select customer, back, {filled} from snapshot")]
    )
    order = np.argsort(
        columns["back"].astype(np.int64) * len(known.customers) + columns["customer"]
    )
    return {name: values[order] for name, values in columns.items()}


def _create_attributes_view(known: KnownEvents, catalog: Catalog) -> None:
    """Create the view ``known_at_start`` that ``sql.tables.attributes_step`` reads.

    It has the attributes of the known customers.
    """
    if not attribute_features(catalog):
        return
    check_table(catalog, attribute_kinds(known.connection))
    known.connection.execute(
        "create or replace temp view known_at_start as "
        "select attributes.* replace (ids.rowid as customer_id) "
        "from attributes join ids using (customer_id) "
        "where ids.rowid in (select customer from daily)"
    )

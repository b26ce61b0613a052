"""Features and events of a log as DataFrames."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from stagecast.features.clock import microseconds
from stagecast.features.engines.larger_than_memory import feature_table
from stagecast.features.errors import UsageError
from stagecast.features.shop.customer_ids import bare_id, customer_id_text, hint_of_id

if TYPE_CHECKING:
    import pyarrow as pa

    from stagecast.features.catalog.catalog import Catalog
    from stagecast.features.events import EventLog

_OF_THE_ENGINE = ("customer",)
"""Columns of the table ``events`` that say nothing to a reader."""


def feature_frame(log: EventLog, as_of: datetime, catalog: Catalog) -> pd.DataFrame:
    """Return the features of every customer known before an as_of.

    They are those that ``stagecast features`` writes.

    Parameters
    ----------
    as_of
        Later events, and events recorded later, are ignored.
    catalog
        Its parameters are set here, from the log.

    Returns
    -------
    pandas.DataFrame
        Index ``customer_id``; one column for each feature, of which
        :attr:`~stagecast.features.catalog.catalog.Catalog.features` says the unit. Null is NaN.

    Raises
    ------
    NotEnoughDataError
        No event was known before the as_of.
    """
    table = feature_table(log, as_of, catalog)
    return by_customer(table.drop_columns(["as_of"]))


def by_customer(table: pa.Table) -> pd.DataFrame:
    """Return a table with the column ``customer_id`` as a DataFrame with that index."""
    frame: pd.DataFrame = table.to_pandas()
    return frame.set_index("customer_id")


def history_frame(log: EventLog, customer_id: object) -> pd.DataFrame:
    """Return the events of one customer, in the order of time.

    Returns
    -------
    pandas.DataFrame
        ``timestamp`` (UTC), ``event``, and of the other columns of the log those that any event of
        the customer has a value in; amounts in the currency of the log.

    Raises
    ------
    UsageError
        The log has no such customer, or it is no id.
    """
    wanted = customer_id_text(customer_id, "customer_id")
    rows = log.con.sql(
        "select * from events where customer_id = ? order by timestamp", params=[wanted]
    ).to_arrow_table()
    if not len(rows):
        known = log.con.execute(
            "select distinct customer_id from events "
            "order by ltrim(regexp_replace(customer_id, '\\.0$', ''), '0') = ? desc, "
            "jaro_winkler_similarity(customer_id, ?) desc, customer_id limit 20",
            [bare_id(wanted), wanted],
        ).fetchall()
        ids = [str(row[0]) for row in known]
        hint = hint_of_id(wanted, ids)
        raise UsageError(f"customer_id {wanted!r} is no customer of the log.{hint}")
    frame: pd.DataFrame = rows.drop_columns([*_OF_THE_ENGINE, "customer_id"]).to_pandas()
    for name in ("timestamp", "recorded_at"):
        if name in frame:
            frame[name] = pd.to_datetime(frame[name], utc=True)
    for name in ("amount", "discount"):
        if name in frame:
            frame[name] = frame[name].astype("float64")
    return frame.dropna(axis="columns", how="all")


def instant_of(log: EventLog, as_of: datetime) -> pd.Timestamp:
    """Return the instant of an as_of of a log, in UTC."""
    return pd.Timestamp(microseconds(log.clock.instant(as_of)), unit="us", tz="UTC")

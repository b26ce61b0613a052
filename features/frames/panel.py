"""``Panel``: the buyers of a log at several past dates, with what came after each.

features known at each date -> X            [date, date + horizon) -> y, orders, spend
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stagecast.features.clock import DAY, iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.frames.tables import feature_frame, instant_of
from stagecast.features.intake.counted import counted

if TYPE_CHECKING:
    from stagecast.features.catalog.catalog import Catalog
    from stagecast.features.events import EventLog

INDEX = ("customer_id", "as_of")


@dataclass(frozen=True, repr=False)
class Panel:
    """Buyers at several past dates: one row for each customer and date.

    All parts share one index of ``customer_id`` and ``as_of`` (UTC), ordered by date and then by
    customer.

    Parameters
    ----------
    X
        Features known at the date, shape (n_rows, n_features); null is NaN. Those that are null in
        every row are left out.
    y
        1: no purchase in ``[as_of, as_of + horizon)``, which is churn by inactivity; else 0. Shape
        (n_rows,).
    orders
        Purchase days in the horizon, shape (n_rows,).
    spend
        Money spent in the horizon, in the currency of the log, net of refunds within it, shape
        (n_rows,).
    horizon_days
        Length of the horizon.
    """

    X: pd.DataFrame
    y: pd.Series
    orders: pd.Series
    spend: pd.Series
    horizon_days: int

    def __len__(self) -> int:
        return len(self.X)

    @property
    def customer_id(self) -> pd.Series:
        """Customer of each row: the groups of ``GroupKFold``."""
        return self.X.index.to_frame()["customer_id"]

    @property
    def as_of(self) -> pd.Series:
        """Date of each row, UTC: the groups of ``LeaveOneGroupOut``."""
        return self.X.index.to_frame()["as_of"]

    @property
    def groups(self) -> pd.DataFrame:
        """Columns ``customer_id`` and ``as_of``, for a splitter that looks at both."""
        return self.X.index.to_frame()

    @property
    def summary(self) -> pd.DataFrame:
        """For each date: customers, the share that bought nothing, mean orders and mean spend."""
        by_date = self.X.index.get_level_values("as_of")
        return pd.DataFrame(
            {
                "customers": self.y.groupby(by_date).size(),
                "inactive": self.y.groupby(by_date).mean(),
                "orders": self.orders.groupby(by_date).mean(),
                "spend": self.spend.groupby(by_date).mean(),
            }
        )

    def __repr__(self) -> str:
        dates = self.X.index.get_level_values("as_of").unique()
        span = f"{dates.min():%Y-%m-%d}"
        if len(dates) > 1:
            span = f"{counted(len(dates), 'date')} {span} to {dates.max():%Y-%m-%d}"
        return (
            f"Panel({counted(len(self), 'row')}, {self.X.shape[1]} features, {span}, "
            f"horizon {self.horizon_days}d, {self.y.mean():.1%} inactive)"
        )

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{self.summary.to_html(float_format='{:,.3f}'.format)}"


def take_panel(
    log: EventLog, dates: Sequence[datetime], horizon_days: int, catalog: Catalog
) -> Panel:
    """Return the buyers of each date with their features and outcomes.

    Parameters
    ----------
    dates
        As :meth:`~stagecast.features.events.EventLog.choose_as_of` returns them.
    horizon_days
        Length of the horizon, which must be over for each date when the log ends.
    catalog
        Those of its features that models may learn from are the columns of ``X``, but for those
        that are null in every row, which some learners refuse.

    Raises
    ------
    UsageError
        No date, a date twice, or the horizon of one is not over when the log ends.
    NotEnoughDataError
        Nobody had bought before one of the dates.
    """
    if not dates:
        raise UsageError("as_ofs is empty: name one date or more, like ['2011-03-01']")
    if len(set(dates)) < len(dates):
        raise UsageError("as_ofs names a date twice; name each once")
    end = log.choose_as_of(None)
    for date in dates:
        if date + timedelta(days=horizon_days) > end:
            latest = end - timedelta(days=horizon_days)
            raise UsageError(
                f"as_of {iso(date)}: {horizon_days} days after it are not over when the log ends "
                f"({iso(log.last_event)}); the latest date that can be judged is {iso(latest)}"
            )
    parts = [_of_date(log, date, end, horizon_days, catalog) for date in sorted(dates)]
    rows = pd.concat(parts)
    outcomes = ["inactive", "orders_ahead", "spend_ahead"]
    y, orders, spend = (rows[name] for name in outcomes)
    return Panel(
        rows.drop(columns=outcomes).dropna(axis="columns", how="all"),
        y,
        orders.rename("orders"),
        spend.rename("spend"),
        horizon_days,
    )


def _of_date(
    log: EventLog, date: datetime, end: datetime, horizon_days: int, catalog: Catalog
) -> pd.DataFrame:
    features = feature_frame(log, date, catalog)
    features = features.loc[features["orders"] > 0, list(catalog.predictors)]
    if features.empty:
        raise NotEnoughDataError(
            f"nobody had bought before {iso(date)}; the first event is of {iso(log.first_event)}"
        )
    # the outcome as known when the log ends: whole days from the date to the anchor
    back = (end - date) // DAY
    table = DailyTable(log.con, date + timedelta(days=back))
    try:
        outcomes = table.outcomes(horizon_days, [back])
        ids = table.customers[outcomes["customer"].astype(np.int64)]
    finally:
        table.close()
    orders = pd.Series(outcomes["orders"], ids, dtype="float64").reindex(features.index)
    spend = pd.Series(outcomes["spend"], ids, dtype="float64").reindex(features.index)
    features = features.assign(
        inactive=(orders.fillna(0.0) == 0).astype("int64"),
        orders_ahead=orders.fillna(0.0),
        spend_ahead=spend.fillna(0.0),
    )
    instants = [instant_of(log, date)] * len(features)
    features.index = pd.MultiIndex.from_arrays([features.index, instants], names=list(INDEX))
    return features

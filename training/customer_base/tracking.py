"""Repeat purchases over calendar time: what a model expects, and what came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from stagecast.features.arguments.values import refuse
from stagecast.features.errors import UsageError
from stagecast.training.customer_base.inputs import span_days
from stagecast.training.customer_base.purchase_log import as_day, purchase_days
from stagecast.training.customer_base.purchase_model import PurchaseModel

_MOST_PERIODS = 5_000


def tracking_table(
    model: PurchaseModel,
    purchases: object,
    fitted_until: Any,
    *,
    period: str = "1w",
    customer: str = "customer_id",
    time: str = "timestamp",
) -> pd.DataFrame:
    """Return expected and actual repeat purchases by period, before and after a model was fitted.

    Customers count whose first purchase is before ``fitted_until``. What is expected of a customer
    depends on the day of the first purchase alone: before ``fitted_until`` it shows the fit, after
    it a forecast.

    Parameters
    ----------
    model
        A fitted model of purchases.
    purchases : table or EventLog
        Of pandas, polars or Arrow, one row per purchase, or a log, also after ``fitted_until``.
    fitted_until : str, date or Timestamp
        The as_of of the fit.
    period : str
        Length of a period, such as ``1w``. The last one is left out where it is not complete.
    customer, time : str
        Names of columns.

    Returns
    -------
    pandas.DataFrame
        ``date`` (end of the period), ``actual`` and ``expected`` repeat purchase days in it,
        ``cumulative_actual``, ``cumulative_expected``, ``held_out`` (whether it ends after
        ``fitted_until``).

    Raises
    ------
    UsageError
        A column is missing, or there is no purchase before ``fitted_until``.
    """
    if not isinstance(model, PurchaseModel):
        refuse(model, "model", "a fitted model of purchases, such as sc.BetaGeo().fit(X)")
    model._check_fitted()
    days = purchase_days(purchases, customer=customer, time=time)
    split, lengths = as_day(fitted_until, "fitted_until"), span_days(period, 1.0, "period")
    if lengths.shape or not float(lengths) > 0:
        refuse(period, "period", "the length of a period, like '1w'")
    length = float(lengths)
    first = days.groupby("customer")["day"].min()
    first = first[first < split]
    if first.empty:
        raise UsageError(
            f"fitted_until {fitted_until}: no purchase before it; give a later fitted_until"
        )
    start, end = float(first.min()), float(days["day"].max()) + 1.0
    edges = np.arange(start, end + 1e-9, length)
    if len(edges) < 2:
        raise UsageError(
            f"the log covers {end - start:g} days, less than a period of {length:g}; give a "
            "shorter period"
        )
    if len(edges) > _MOST_PERIODS:
        raise UsageError(f"{len(edges)} periods are more than {_MOST_PERIODS}; give a longer one")
    of_known = days[days["customer"].isin(first.index)]
    repeat = of_known["day"].to_numpy() > of_known["customer"].map(first).to_numpy()
    actual = np.histogram(of_known["day"].to_numpy()[repeat], edges)[0].astype(np.float64)
    births, customers = np.unique(first.to_numpy(), return_counts=True)
    age = np.maximum(edges[:, None] - births[None, :], 0.0)  # T_days at each edge
    ages, position = np.unique(age, return_inverse=True)
    expected = model.model_.expected_orders_new(ages)[position.reshape(age.shape)] @ customers
    dates = pd.to_datetime(np.round(edges[1:] * 86_400.0), unit="s")
    return pd.DataFrame(
        {
            "date": dates,
            "actual": actual,
            "expected": np.diff(expected),
            "cumulative_actual": actual.cumsum(),
            "cumulative_expected": expected[1:] - expected[0],
            "held_out": edges[1:] > split,
        }
    )

"""Chart of one customer: purchases, and P(still a customer) over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from stagecast.features.arguments.values import refuse, shown
from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.features.frames.given import as_frame, is_table
from stagecast.features.frames.instants import warn_if_late
from stagecast.features.shop.customer_ids import customer_id_text
from stagecast.training.customer_base.purchase_log import as_day, date_of, is_log, purchase_days
from stagecast.training.customer_base.purchase_model import PurchaseModel
from stagecast.training.plot.customer_base import model_of_purchases
from stagecast.training.plot.style import ACTUAL, INK, WIDTH, inline, styled, titled

_POINTS = 400
_MILLISECONDS = 86_400_000.0


def customer(
    model: PurchaseModel,
    purchases: Any,
    as_of: Any = None,
    *,
    customer_id: Any = None,
    customer: str = "customer_id",
    time: str = "timestamp",
) -> alt.LayerChart:
    """Draw one customer's purchases and P(still a customer) from the first purchase on.

    At each instant the model reads the purchases before it, no later one.

    Parameters
    ----------
    model
        A fitted model of purchases, or a fitted ``Lifecycle``, whose Pareto/NBD (or MBG/NBD) is
        drawn.
    purchases
        Times of the customer's purchases; or a log, as a table of pandas, polars or Arrow or from
        ``read_events``, with ``customer_id``.
    as_of : str, date or Timestamp, optional
        Where the line ends; the day after the last purchase of ``purchases`` by default.
    customer_id
        The customer to draw, where ``purchases`` is a log.
    customer, time : str
        Names of columns of the log.

    Raises
    ------
    UsageError
        The customer has no purchase before ``as_of``, or this stands more than the horizon of the
        ``Lifecycle`` after the last purchase of a log.

    Warns
    -----
    UserWarning
        It stands more than a year after the last purchase of a log, and the model has no horizon.
    """
    horizon_days = _horizon_of(model)
    model = model_of_purchases(model)
    model._check_fitted()
    given = _log_of(purchases, customer, time)
    log = purchase_days(given, customer=customer, time=time)
    last_day = float(log["day"].max())
    end = last_day + 1.0 if as_of is None else as_day(as_of)
    if given is purchases and log["customer"].nunique() > 1:  # times alone are not a whole log
        _check_end(end, last_day, horizon_days)
    wanted = None if customer_id is None else customer_id_text(customer_id, "customer_id")
    if wanted is not None:
        ids = [customer_id_text(value, "purchases") for value in log["customer"]]
        log = log[np.array(ids, dtype=object) == wanted]
    elif log["customer"].nunique() > 1:
        raise UsageError("purchases are of several customers; say which by customer_id=")
    days = log["day"].to_numpy(dtype=np.float64)
    days = days[days < end]
    if not len(days):
        raise UsageError(
            f"customer_id {shown(customer_id)} has no purchase before {_date(end)}; check the id, "
            "or give a later as_of"
        )
    line = _alive_line(model, days, end)
    alive = float(line["p_alive"].iloc[-1])
    x = alt.X("date:T", title=None, axis=alt.Axis(grid=False, tickCount=8))
    y = alt.Y(
        "p_alive:Q",
        stack=None,
        title="P(still a customer)",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    base = alt.Chart(inline(line)).encode(x=x, y=y)
    area = base.mark_area(color=ACTUAL, opacity=0.12)
    stroke = base.mark_line(color=ACTUAL, strokeWidth=2).encode(
        tooltip=[
            alt.Tooltip("date:T", title="day", format="%Y-%m-%d"),
            alt.Tooltip("p_alive:Q", title="P(still a customer)", format=".1%"),
        ]
    )
    marks = pd.DataFrame({"date": days * _MILLISECONDS, "at": 0.0})
    bought = (
        alt.Chart(inline(marks))
        .mark_tick(orient="vertical", color=INK, thickness=1.6, size=18, yOffset=-9)
        .encode(
            x="date:T",
            y="at:Q",
            tooltip=[alt.Tooltip("date:T", title="purchase", format="%Y-%m-%d")],
        )
    )
    last = pd.DataFrame({"date": [end * _MILLISECONDS], "p": [alive], "text": [f"{alive:.0%}"]})
    label = (
        alt.Chart(inline(last))
        .mark_text(align="left", dx=6, color=ACTUAL, fontSize=13, fontWeight=600)
        .encode(x="date:T", y="p:Q", text="text:N")
    )
    name = "Customer" if wanted is None else f"Customer {wanted}"
    note = f"{len(days)} purchase days (ticks) until {_date(end)}, {type(model).__name__}"
    chart = alt.layer(area, stroke, bought, label).properties(
        width=WIDTH + 120, height=240, title=titled(name, note)
    )
    result: alt.LayerChart = styled(chart)
    return result


def _horizon_of(model: Any) -> int | None:
    """Return the horizon of a ``Lifecycle`` in days; None of other models, which have none."""
    bundle = getattr(model, "bundle_", None)
    return None if bundle is None else int(bundle.models.config.horizon_days)


def _check_end(end: float, last: float, horizon_days: int | None) -> None:
    if horizon_days is None:
        # of this one, customer, and its caller
        warn_if_late(date_of(end), date_of(last), "purchase", stacklevel=3)
        return
    if end - last > horizon_days + 1.0:  # the last purchase was somewhen on its day
        raise UsageError(
            f"as_of {_date(end)} stands {end - last:.0f} days after the last purchase "
            f"({_date(last)}), longer than the horizon of {horizon_days} days: newer events are "
            f"missing, or as_of should be near {_date(last)}"
        )


def _log_of(purchases: Any, customer: str, time: str) -> Any:
    """Return a log or a table as it is, and times of purchases as a table of one customer."""
    if is_log(purchases) or is_table(purchases):
        return purchases
    if isinstance(purchases, str) or not isinstance(purchases, Iterable):
        refuse(purchases, "purchases", "times of purchases, like ['2024-01-31'], a table, or a log")
    if isinstance(purchases, Mapping):
        return as_frame(purchases, "purchases")
    return pd.DataFrame({time: list(purchases), customer: ""})


def _alive_line(model: PurchaseModel, days: Array, end: float) -> pd.DataFrame:
    """Return P(alive) on a grid of instants, and just before and after each purchase day."""
    first = days[0]
    grid = np.linspace(first, end, _POINTS)
    # the purchase of day d is known from d + 1 on
    at = np.r_[grid, days[days + 1.0 <= end] + 1.0, days[1:]]
    known = np.r_[
        np.searchsorted(days + 1.0, grid, side="right"),
        np.arange(1, len(at) - len(grid) - len(days) + 2),
        np.arange(1, len(days)),
    ]
    order = np.lexsort((known, at))
    at, known = at[order], np.maximum(known[order], 1)
    last = days[known - 1]
    # who bought on a day is as likely a customer at its end as after it
    T = np.maximum(at, last) - first
    p_alive = model.model_.p_alive(known - 1.0, last - first, T)
    return pd.DataFrame({"date": at * _MILLISECONDS, "p_alive": p_alive})


def _date(day: float) -> str:
    return pd.Timestamp(round(day * _MILLISECONDS), unit="ms").date().isoformat()

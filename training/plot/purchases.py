"""Purchases of a model against those that came: over time, and by frequency in a hold-out."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from stagecast.features.arguments.values import refuse, whole_number
from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.training.customer_base.purchase_log import as_day
from stagecast.training.customer_base.purchase_model import PurchaseModel
from stagecast.training.customer_base.tracking import tracking_table
from stagecast.training.plot.customer_base import model_of_purchases
from stagecast.training.plot.style import (
    ACTUAL,
    EXPECTED,
    HEIGHT,
    INK,
    QUIET,
    WIDTH,
    inline,
    named_columns,
    styled,
    titled,
)

_Z = float(ndtri(0.975))
_SERIES = ("actual", "expected")


def tracking(
    data: Any,
    purchases: object = None,
    fitted_until: Any = None,
    *,
    period: str = "1w",
    customer: str = "customer_id",
    time: str = "timestamp",
) -> alt.VConcatChart:
    """Draw repeat purchases by period, and their sum so far: expected and actual.

    Parameters
    ----------
    data
        A fitted model of purchases, or a fitted ``Lifecycle``; or a table with ``date``,
        ``actual`` and ``expected`` (per period), such as that of
        :func:`stagecast.training.customer_base.tracking.tracking_table`.
    purchases : table or EventLog, optional
        With a model: of pandas, polars or Arrow, one row per purchase, or a log, also
        after ``fitted_until``.
    fitted_until : str, date or Timestamp, optional
        The as_of of the fit, drawn as a line; required with a model of purchases.
    period, customer, time
        As in ``tracking_table``.
    """
    if hasattr(data, "btyd"):
        fitted_until = data.bundle_.as_of if fitted_until is None else fitted_until
        data = model_of_purchases(data)
    if isinstance(data, PurchaseModel):
        if purchases is None or fitted_until is None:
            raise UsageError(
                "with a model, tracking needs the log and the as_of of the fit: tracking(model, "
                "purchases, fitted_until='2011-09-01')"
            )
        table = tracking_table(
            data, purchases, fitted_until, period=period, customer=customer, time=time
        )
    else:
        table = named_columns(data, ("date", *_SERIES), "table")
    dates = pd.to_datetime(table["date"], utc=True)
    actual, expected = (table[name].to_numpy(dtype=np.float64) for name in _SERIES)
    split = None if fitted_until is None else as_day(fitted_until, "fitted_until") * 86_400_000.0
    if split is None and "held_out" in table.columns and table["held_out"].any():
        fitted = dates[~table["held_out"].to_numpy(dtype=np.bool_)]
        split = None if fitted.empty else fitted.max().timestamp() * 1000.0
    panels = [
        _two_lines(dates, actual.cumsum(), expected.cumsum(), "purchases so far", split, True),
        _two_lines(dates, actual, expected, "purchases per period", split, False),
    ]
    title = titled("Repeat purchases: expected and actual", _sentence(actual, expected, table))
    result: alt.VConcatChart = styled(alt.vconcat(*panels, spacing=18).properties(title=title))
    return result


def holdout(
    frequency: ArrayLike, actual: ArrayLike, expected: ArrayLike, *, max_frequency: int = 7
) -> alt.LayerChart:
    """Draw the mean purchases of a hold-out by frequency before it: expected and actual.

    Parameters
    ----------
    frequency : array-like of shape (n,)
        Repeat purchase days before the hold-out.
    actual, expected : array-like of shape (n,)
        Purchase days within it.
    max_frequency : int
        Customers with more are one group with those.
    """
    given = {"frequency": frequency, "actual": actual, "expected": expected}
    columns = [_numbers(values, name) for name, values in given.items()]
    if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1:
        raise UsageError(
            f"frequency, actual and expected have shapes {[column.shape for column in columns]}; "
            "give one number per customer in each"
        )
    max_frequency = whole_number(max_frequency, "max_frequency", "a whole number, like 7", least=1)
    group = np.minimum(columns[0], max_frequency).astype(np.int64)
    table = pd.DataFrame({"group": group, "actual": columns[1], "expected": columns[2]})
    by_group = table.groupby("group")
    mean = by_group.mean()
    size = by_group["actual"].count()
    error = by_group["actual"].std(ddof=1).fillna(0.0) / size**0.5
    label = [f"{k}+" if k == max_frequency else str(k) for k in mean.index]
    rows = pd.DataFrame(
        {
            "frequency": label,
            "actual": mean["actual"].to_numpy(),
            "expected": mean["expected"].to_numpy(),
            "low": (mean["actual"] - _Z * error).clip(lower=0.0).to_numpy(),
            "high": (mean["actual"] + _Z * error).to_numpy(),
            "customers": size.to_numpy(),
        }
    )
    base = alt.Chart(inline(rows)).encode(
        x=alt.X(
            "frequency:O",
            sort=None,
            title="frequency: repeat purchase days before the hold-out",
            axis=alt.Axis(labelAngle=0, grid=False),
        )
    )
    y_title = "mean purchase days in the hold-out"
    tooltip = [
        alt.Tooltip("customers:Q", format=",d"),
        alt.Tooltip("actual:Q", format=".2f"),
        alt.Tooltip("expected:Q", format=".2f"),
    ]
    colour = _series_colour()
    bars = (
        base.transform_calculate(series="'actual'")
        .mark_bar(cornerRadiusEnd=3, opacity=0.85, size=34)
        .encode(y=alt.Y("actual:Q", title=y_title), color=colour, tooltip=tooltip)
    )
    whiskers = base.mark_rule(color=INK, strokeWidth=1.4).encode(y="low:Q", y2="high:Q")
    dots = (
        base.transform_calculate(series="'expected'")
        .mark_point(filled=True, shape="diamond", size=120, opacity=1, stroke="white")
        .encode(y="expected:Q", color=colour, tooltip=tooltip)
    )
    total = (
        f"{columns[2].sum():,.0f} expected, {columns[1].sum():,.0f} actual; whiskers are 95 % "
        "intervals of the actual mean"
    )
    chart = alt.layer(bars, whiskers, dots).properties(
        width=WIDTH, height=HEIGHT, title=titled("Purchases in the hold-out by frequency", total)
    )
    result: alt.LayerChart = styled(chart)
    return result


def _numbers(values: ArrayLike, name: str) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        refuse(values, name, "one number per customer")


def _sentence(actual: Array, expected: Array, table: pd.DataFrame) -> str:
    if "held_out" not in table.columns:
        return f"{expected.sum():,.0f} expected, {actual.sum():,.0f} actual"
    later = table["held_out"].to_numpy(dtype=np.bool_)
    parts = [
        f"{name}: {expected[rows].sum():,.0f} expected, {actual[rows].sum():,.0f} actual"
        for name, rows in (("fitted", ~later), ("held out", later))
        if rows.any()
    ]
    return "; ".join(parts)


def _series_colour() -> alt.Color:
    return alt.Color(
        "series:N",
        title=None,
        scale=alt.Scale(domain=list(_SERIES), range=[ACTUAL, EXPECTED]),
        legend=alt.Legend(orient="top", offset=4),
    )


def _two_lines(
    dates: pd.Series[Any],
    actual: Array,
    expected: Array,
    title: str,
    split: float | None,
    words: bool,
) -> alt.LayerChart:
    rows = pd.concat(
        [
            pd.DataFrame({"date": dates.to_numpy(), "value": values, "series": name})
            for name, values in zip(_SERIES, (actual, expected), strict=True)
        ]
    )
    lines = (
        alt.Chart(inline(rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("date:T", title=None, axis=alt.Axis(grid=False, tickCount=8)),
            y=alt.Y("value:Q", title=title, axis=alt.Axis(format=",d", tickCount=5)),
            color=_series_colour(),
            strokeDash=alt.StrokeDash(
                "series:N",
                scale=alt.Scale(domain=list(_SERIES), range=[[1, 0], [6, 3]]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("date:T", title="until", format="%Y-%m-%d"),
                alt.Tooltip("series:N", title=" "),
                alt.Tooltip("value:Q", title=title, format=",.1f"),
            ],
        )
    )
    layers: list[Any] = [lines]
    if split is not None:
        at = alt.Chart(inline([{"date": split, "text": "held out from here on"}]))
        layers.append(at.mark_rule(color=QUIET, strokeDash=[4, 4]).encode(x="date:T"))
        if words:
            layers.append(
                at.mark_text(align="left", baseline="top", dx=6, color=QUIET, fontSize=12).encode(
                    x="date:T", y=alt.value(0), text="text:N"
                )
            )
    panel: alt.LayerChart = alt.layer(*layers).properties(  # type: ignore[assignment]
        width=WIDTH + 100, height=210
    )
    return panel

"""Heat maps of a fitted customer-base model, by frequency and recency."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from stagecast.features.arguments.values import refuse, shown, whole_number
from stagecast.features.errors import UsageError
from stagecast.training.customer_base.inputs import span_days
from stagecast.training.customer_base.purchase_model import PurchaseModel
from stagecast.training.plot.style import (
    HEIGHT,
    WIDTH,
    inline,
    styled,
    titled,
)

# Most columns, and the rows, of a heat map.
_MOST_FREQUENCIES, _RECENCIES = 40, 40
_OVERLAP = 0.05  # of a cell


def alive_matrix(
    model: PurchaseModel, *, T: Any = None, max_frequency: int | None = None
) -> alt.Chart:
    """Draw P(still a customer) by frequency and recency of a customer first seen T ago.

    Parameters
    ----------
    model
        A fitted model of purchases.
    T : str, timedelta or number, optional
        Time since the first purchase, in ``time_unit`` where it is a number; the longest of the
        fit by default.
    max_frequency : int, optional
        Repeat purchase days up to which it is drawn; those of the fit, and at most 40, by default.

    Returns
    -------
    altair.Chart
        Cells that no customer can have (more purchase days than days) are left out.
    """
    model = model_of_purchases(model)
    grid, age = _grid(model, T, max_frequency)
    grid["value"] = model.model_.p_alive(grid["x"], grid["t_x"], grid["T"])
    name = type(model).__name__
    return _heat_map(
        grid,
        titled(
            "Probability of still being a customer",
            f"{name}, by frequency and recency, {_amount(age, model)} after the first purchase",
        ),
        "P(alive)",
        alt.Scale(scheme="viridis", domain=[0, 1]),
        alt.Legend(type="gradient", format=".0%", gradientLength=HEIGHT - 40, tickCount=6),
        model,
        ".1%",
    )


def frequency_recency(
    model: PurchaseModel,
    horizon: Any = "30d",
    *,
    T: Any = None,
    max_frequency: int | None = None,
) -> alt.Chart:
    """Draw the expected purchases within a horizon by frequency and recency.

    Parameters
    ----------
    model
        A fitted model of purchases.
    horizon : str, timedelta or number
        Time ahead, such as ``"30d"``; a number is in ``time_unit``.
    T, max_frequency
        As in :func:`alive_matrix`.
    """
    model = model_of_purchases(model)
    grid, age = _grid(model, T, max_frequency)
    days = float(span_days(horizon, model.time_unit_days_))
    grid["value"] = model.model_.expected_orders(days, grid["x"], grid["t_x"], grid["T"])
    return _heat_map(
        grid,
        titled(
            f"Expected purchases in the next {days:g} days",
            f"{type(model).__name__}, by frequency and recency, {_amount(age, model)} after the "
            "first purchase",
        ),
        "purchases",
        alt.Scale(scheme="viridis", domainMin=0),
        alt.Legend(type="gradient", format=".3~g", gradientLength=HEIGHT - 40, tickCount=6),
        model,
        ".3~g",
    )


def model_of_purchases(model: Any) -> PurchaseModel:
    """Return a model of purchases as it is; of a ``Lifecycle``, Pareto/NBD, or else MBG/NBD.

    Raises
    ------
    UsageError
        It is none.
    """
    if isinstance(model, PurchaseModel):
        return model
    of_lifecycle = getattr(model, "btyd", None)
    for name in ("pareto_nbd", "mbg_nbd"):
        if of_lifecycle is not None and name in of_lifecycle:
            return model_of_purchases(of_lifecycle[name])
    if of_lifecycle is not None:
        raise UsageError(
            f"model = {shown(model)} has no customer-base model (its method is "
            f"{model.card['method']!r}): the log that it was fitted on has too few customers for "
            "one. Fit one on its own, such as sc.BetaGeo().fit(log.features(as_of))"
        )
    raise UsageError(
        f"model = {shown(model)}: {type(model).__name__} is no model of purchases; fit one, such "
        "as sc.BetaGeo().fit(log.features(as_of))"
    )


def _grid(model: PurchaseModel, T: Any, max_frequency: int | None) -> tuple[pd.DataFrame, float]:
    """Return frequencies and recencies in days with the edges of their cells, and T in days."""
    model._check_fitted()
    unit = model.time_unit_days_
    ages = np.asarray(model.longest_days_) if T is None else span_days(T, unit, "T")
    if ages.shape:
        refuse(T, "T", "one length of time, like '365d'")
    age = float(ages)
    if age <= 0:
        raise UsageError("T is 0; give the time since the first purchase, such as T='365d'")
    if max_frequency is None:
        most = min(model.max_frequency_, _MOST_FREQUENCIES)
    else:
        give = "a whole number of 1 or more"
        most = whole_number(max_frequency, "max_frequency", give, least=1)
    step = age / _RECENCIES
    middle = (np.arange(_RECENCIES) + 0.5) * step
    x, t_x = (v.ravel() for v in np.meshgrid(np.arange(1.0, most + 1.0), middle))
    x, t_x = np.r_[0.0, x], np.r_[0.0, t_x]
    possible = (x <= np.maximum(np.ceil(t_x + step / 2), 0)) | (x == 0)
    x, t_x = x[possible], t_x[possible]
    low = np.where(x == 0, 0.0, t_x - step / 2)
    return (
        pd.DataFrame(
            {
                "x": x,
                "t_x": t_x,
                "T": age,
                "left": x - 0.5,
                "right": x + 0.5,
                "low": low / unit,
                "high": (low + step) / unit,
                "recency": t_x / unit,
            }
        ),
        age,
    )


def _heat_map(
    grid: pd.DataFrame,
    title: alt.TitleParams,
    name: str,
    scale: alt.Scale,
    legend: alt.Legend,
    model: PurchaseModel,
    number: str,
) -> alt.Chart:
    unit = _unit(model)
    right, top = float(grid["right"].max()), float(grid["high"].max())
    # cells reach a little below the next ones, or white seams show between them
    step = float(grid["high"].iloc[-1] - grid["low"].iloc[-1])
    grid = grid.assign(right=grid["right"] + _OVERLAP, high=grid["high"] + _OVERLAP * step)
    chart = (
        alt.Chart(inline(grid.drop(columns=["t_x", "T"])))
        .mark_rect(clip=True)
        .encode(
            x=alt.X(
                "left:Q",
                title="frequency: repeat purchase days",
                scale=alt.Scale(domain=[-0.5, right], nice=False),
                axis=alt.Axis(grid=False, format="d", tickMinStep=1, tickCount=10),
            ),
            x2="right:Q",
            y=alt.Y(
                "low:Q",
                title=f"recency: first to last purchase, {unit}",
                scale=alt.Scale(domain=[0, top], nice=False),
                axis=alt.Axis(grid=False, tickCount=8),
            ),
            y2="high:Q",
            color=alt.Color("value:Q", title=name, scale=scale, legend=legend),
            tooltip=[
                alt.Tooltip("x:Q", title="frequency"),
                alt.Tooltip("recency:Q", title=f"recency, {unit}", format=".1f"),
                alt.Tooltip("value:Q", title=name, format=number),
            ],
        )
        .properties(width=WIDTH, height=HEIGHT, title=title)
    )
    result: alt.Chart = styled(chart)
    return result


def _unit(model: PurchaseModel) -> str:
    names = {1.0: "days", 7.0: "weeks", 1.0 / 24.0: "hours"}
    return names.get(model.time_unit_days_, f"units of {model.time_unit_days_:g} days")


def _amount(days: float, model: PurchaseModel) -> str:
    return f"{days / model.time_unit_days_:.4g} {_unit(model)}"

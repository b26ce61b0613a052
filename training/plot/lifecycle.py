"""Charts of stages: how many customers are on each over time, and where they went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from stagecast.features.arguments.values import shown, texts
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.training.plot.style import (
    HEIGHT,
    INK,
    OKABE_ITO,
    WIDTH,
    frame_of,
    inline,
    named_columns,
    styled,
    titled,
)


def stages(table: Any, *, order: Sequence[str] | None = None, share: bool = False) -> alt.Chart:
    """Draw customers by stage over time.

    Parameters
    ----------
    table
        Columns ``as_of``, ``stage`` and ``customers`` (their number), one row per date and stage;
        without ``customers``, one row per date and customer. Or the table ``stock`` of
        ``log.flows()``, of which the last date is left out where its period is not over.
    order : sequence of str, optional
        All stages of the table from bottom to top; in order of appearance by default.
    share : bool
        Whether shares are drawn instead of numbers.

    Raises
    ------
    UsageError
        The table lacks a column, or the order a stage of the table.
    """
    table = frame_of(table, "table")
    if {"period_end", "complete"} <= set(table.columns):
        table = table[table["complete"]].rename(columns={"period_end": "as_of"})
    counted = _counted(named_columns(table, ("as_of", "stage"), "table"), ["as_of", "stage"])
    names = _ordered(counted["stage"], order)
    counted = counted.assign(
        as_of=pd.to_datetime(counted["as_of"], utc=True, format="ISO8601"),
        place=counted["stage"].map({name: k for k, name in enumerate(names)}),
    )
    chart = (
        alt.Chart(inline(counted))
        .mark_area(line={"strokeWidth": 0.6, "color": "white"}, opacity=0.92)
        .encode(
            x=alt.X("as_of:T", title=None, axis=alt.Axis(grid=False, tickCount=8)),
            y=alt.Y(
                "customers:Q",
                title="share of customers" if share else "customers",
                stack="normalize" if share else "zero",
                axis=alt.Axis(format=".0%" if share else ",d", tickCount=6),
            ),
            order=alt.Order("place:Q"),
            color=alt.Color(
                "stage:N",
                title="stage",
                scale=alt.Scale(
                    domain=names, range=[OKABE_ITO[k % len(OKABE_ITO)] for k in range(len(names))]
                ),
                sort=names[::-1],
                legend=alt.Legend(values=names[::-1], symbolType="square", symbolStrokeWidth=0),
            ),
            tooltip=[
                alt.Tooltip("as_of:T", title="as of", format="%Y-%m-%d"),
                alt.Tooltip("stage:N"),
                alt.Tooltip("customers:Q", format=",d"),
            ],
        )
        .properties(width=WIDTH, height=HEIGHT, title=titled("Customers by stage"))
    )
    result: alt.Chart = styled(chart)
    return result


def flows(table: Any, *, order: Sequence[str] | None = None) -> alt.LayerChart:
    """Draw where the customers of each stage went, as shares of the stage that they came from.

    Parameters
    ----------
    table
        Columns ``from``, ``to`` and ``customers`` (their number), one row per pair; without
        ``customers``, one row per customer. Or a square frame of counts: from in the index, to in
        the columns. Or the table ``moved`` of ``log.flows()``.
    order : sequence of str, optional
        All stages of the table from top to bottom; in order of appearance by default.

    Raises
    ------
    UsageError
        The table lacks a column, or the order a stage of the table.
    """
    table = frame_of(table, "table")
    if "from_stage" in table.columns:
        # those who were not known at the start came from nowhere
        table = table.rename(columns={"from_stage": "from", "to_stage": "to"}).dropna(subset="from")
    # a table of pairs or of another kind has the column, a frame of counts has stages alone
    is_square = "from" not in table.columns and "customers" not in table.columns
    if is_square and len(table.columns) > 1:
        table = (
            table.rename_axis("from")
            .reset_index()
            .melt(id_vars="from", var_name="to", value_name="customers")
        )
    counted = _counted(named_columns(table, ("from", "to"), "table"), ["from", "to"])
    names = _ordered([*counted["from"], *counted["to"]], order)
    total = counted.groupby("from")["customers"].transform("sum")
    counted = counted[total > 0].assign(
        share=lambda t: t["customers"] / t.groupby("from")["customers"].transform("sum")
    )
    counted["text"] = [f"{share:.0%}" if share >= 0.005 else "" for share in counted["share"]]
    base = alt.Chart(inline(counted)).encode(
        x=alt.X(
            "to:N",
            sort=names,
            title="stage at the end",
            axis=alt.Axis(orient="top", labelAngle=0, grid=False),
        ),
        y=alt.Y("from:N", sort=names, title="stage at the start", axis=alt.Axis(grid=False)),
    )
    cells = base.mark_rect(stroke="white", strokeWidth=1.5).encode(
        color=alt.Color(
            "share:Q",
            title=["share of", "the start"],
            scale=alt.Scale(scheme="blues", domain=[0, 1]),
            legend=alt.Legend(format=".0%", tickCount=5),
        ),
        tooltip=[
            alt.Tooltip("from:N"),
            alt.Tooltip("to:N"),
            alt.Tooltip("customers:Q", format=",d"),
            alt.Tooltip("share:Q", format=".1%"),
        ],
    )
    texts = base.mark_text(fontSize=12).encode(
        text="text:N",
        color=alt.condition("datum.share > 0.5", alt.value("white"), alt.value(INK)),
    )
    chart = alt.layer(cells, texts).properties(
        width=alt.Step(78),
        height=alt.Step(44),
        title=titled("Where the customers of each stage went", "rows sum to 100 %"),
    )
    result: alt.LayerChart = styled(chart)
    return result


def cohorts(table: Any) -> alt.LayerChart:
    """Draw the share of each cohort that bought, by periods since its first purchase.

    Parameters
    ----------
    table
        The table ``cohorts`` of ``log.flows()``: columns ``cohort`` (start of the period of the
        first purchase), ``age`` (periods since) and ``retention`` (0 to 1); periods that are not
        ``complete``, and the first, in which everybody bought, are left out.
    """
    rows = named_columns(table, ("cohort", "age", "retention"), "table")
    if "complete" in rows.columns:
        rows = rows[rows["complete"]]
    rows = rows[rows["age"] > 0][["cohort", "age", "retention"]]
    rows = rows.assign(
        cohort=pd.to_datetime(rows["cohort"], utc=True).dt.strftime("%Y-%m-%d"),
        text=[f"{share:.0%}" for share in rows["retention"]],
    )
    largest = float(rows["retention"].max()) if len(rows) else 1.0
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("age:O", title="periods since the first purchase", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("cohort:O", title="first purchase in"),
    )
    cells = base.mark_rect(stroke="white", strokeWidth=1.5).encode(
        color=alt.Color(
            "retention:Q",
            title=["share", "who bought"],
            scale=alt.Scale(scheme="blues", domain=[0, largest]),
            legend=alt.Legend(format=".0%", tickCount=4),
        ),
        tooltip=["cohort:O", "age:O", alt.Tooltip("retention:Q", format=".1%")],
    )
    texts = base.mark_text(fontSize=10).encode(
        text="text:N",
        color=alt.condition(f"datum.retention > {largest / 2}", alt.value("white"), alt.value(INK)),
    )
    chart = alt.layer(cells, texts).properties(
        width=alt.Step(34), height=alt.Step(30), title=titled("Share of each cohort that bought")
    )
    result: alt.LayerChart = styled(chart)
    return result


def _counted(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    if "customers" not in table.columns:
        table = table.assign(customers=1)
    counted = table.groupby(keys, sort=False)["customers"].sum().reset_index()
    return counted.assign(customers=counted["customers"].astype(np.float64))


def _ordered(found: Iterable[Any], order: Any) -> list[Any]:
    """Return the stages of a table in the order that was asked for.

    Raises
    ------
    UsageError
        The order is no collection of texts, holds one twice, or lacks a stage of the table.
    """
    present = list(dict.fromkeys(found))
    if order is None:
        return present
    give = f"all stages of the table in their order, like {present}"
    names = list(texts(order, "order", give))
    lacks = [str(name) for name in present if name not in names]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if lacks or twice:
        fault = f"lacks {', '.join(lacks)}" if lacks else f"holds {', '.join(twice)} twice"
        near = did_you_mean(lacks[0], set(names) - set(present)) if lacks else ""
        raise UsageError(f"order = {shown(order)} {fault}.{near} Give {give}")
    return names

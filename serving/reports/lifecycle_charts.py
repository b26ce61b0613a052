"""Charts of the lifecycle: stages over time, retention, concentration of value, time on stages.

    rows of stagecast.features.describe.flows (plain dicts) -> altair -> inline SVG

The flow between two dates is drawn in :mod:`stagecast.serving.reports.flow_diagram`, the colours of
stages come from :mod:`stagecast.serving.reports.stage_colours`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.reports.charts import (
    HALF_WIDTH,
    HEIGHT,
    INK,
    LEGEND_HEIGHT,
    WIDE_WIDTH,
    Rows,
    curve_with_spot,
    inline,
    shares,
    to_svg,
)
from stagecast.serving.reports.columns import STATES
from stagecast.serving.reports.flow_diagram import flow_diagram
from stagecast.serving.reports.stage_colours import STAGE_INK, stage_colours, stage_titles

__all__ = [
    "STAGE_INK",
    "cohort_grid",
    "flow_diagram",
    "pareto_curve",
    "repeat_bars",
    "spell_bars",
    "stage_history",
]

MOST_COHORTS = 13
MOST_LABELS = 10
# with more opacity the words in a cell can no longer be read
DARKEST = 0.55
STEP = 30


def stage_history(
    rows: Sequence[Mapping[str, Any]],
    stages: Sequence[Mapping[str, Any]],
    display: Display = ENGLISH,
) -> Markup:
    """Return a bar per period, split by the stage that customers stood on at its end.

    Parameters
    ----------
    rows
        ``period_start`` (a date), ``stage`` (id) and ``customers``.
    stages
        ``id``, ``title`` and ``state`` of each, in the order of the scheme.
    display
        Language and digits.
    """
    t = texts_of(display.language)["charts"]
    titles, colours = stage_titles(stages), stage_colours(stages)
    # lapsed stages are stacked above the active ones
    stacked = sorted(
        stages, key=lambda stage: STATES.index(stage["state"]) if stage["state"] in STATES else 1
    )
    rank = {stage["id"]: position for position, stage in enumerate(stacked)}
    names = _period_names([row["period_start"] for row in rows], display)
    shown: Rows = [
        {
            "period": names[str(row["period_start"])],
            "stage": titles[row["stage"]],
            "rank": rank[row["stage"]],
            "customers": row["customers"],
        }
        for row in rows
    ]
    periods = list(dict.fromkeys(names[start] for start in sorted(names)))
    labels = periods[:: -(-len(periods) // MOST_LABELS)] if periods else []
    x = alt.X(
        "period:O",
        title=t["period"],
        axis=alt.Axis(values=labels, labelAngle=0, labelOverlap=False, grid=False),
        scale=alt.Scale(domain=periods, paddingInner=0.15, paddingOuter=0.1),
    )
    occupied = [
        stage
        for stage in rank
        if any(row["stage"] == titles[stage] and row["customers"] for row in shown)
    ]
    palette = alt.Scale(domain=list(titles.values()), range=[colours[stage] for stage in titles])
    legend = alt.Legend(
        values=[titles[stage] for stage in occupied], labelLimit=160, columns=len(occupied) or 1
    )
    chart = (
        alt.Chart(inline([row for row in shown if row["customers"]]))
        .mark_bar()
        .encode(
            x=x,
            y=alt.Y(
                "customers:Q",
                title=t["customers"],
                stack="zero",
                axis=alt.Axis(format=",d", tickMinStep=1, tickCount=5),
            ),
            color=alt.Color("stage:N", scale=palette, legend=legend),
            order=alt.Order("rank:O", sort="ascending"),
        )
        .properties(width=WIDE_WIDTH, height=HEIGHT - LEGEND_HEIGHT + 40)
    )
    last = [row for row in shown if periods and row["period"] == periods[-1] and row["customers"]]
    words = _comma(display).join(
        f"{row['stage']} {display.number(row['customers'])}" for row in last
    )
    summary = t["said_history"].format(values=words or t["nobody"])
    return to_svg(chart, "history", summary, display)


def pareto_curve(
    points: Sequence[tuple[float, float]],
    spot: tuple[float, float],
    caption: str,
    display: Display = ENGLISH,
) -> Markup:
    """Return the share of the value by the share of buyers, with one point marked.

    Parameters
    ----------
    points
        Share of the buyers (the best first) and share of the value, both between 0 and 1,
        ascending.
    spot, caption
        The point to mark and the words beside it.
    display
        Language and digits.
    """
    t = texts_of(display.language)["charts"]
    chart = curve_with_spot(points, spot, caption, (t["best_first"], t["share_of_all"]))
    return to_svg(chart, "pareto", t["said_pareto"].format(values=caption), display)


def cohort_grid(rows: Sequence[Mapping[str, Any]], display: Display = ENGLISH) -> Markup:
    """Return the share of each cohort that bought in each later period, in shaded cells.

    The last 13 cohorts and their first 13 later periods. A period that is not over yet is not
    shaded.

    Parameters
    ----------
    rows
        ``cohort`` (start of the period of the first purchase), ``customers`` in it, ``age`` in
        periods, ``retention`` (a share) and ``complete`` (whether the period was over).
    display
        Language and digits.
    """
    t = texts_of(display.language)["charts"]
    # the retention in the period of the first purchase is 1
    later = [
        row for row in rows if 1 <= row["age"] <= MOST_COHORTS and row["retention"] is not None
    ]
    latest = sorted({str(row["cohort"]) for row in later})[-MOST_COHORTS:]
    size = {str(row["cohort"]): row["customers"] for row in later}
    starts = _period_names(latest, display)
    names = {cohort: f"{starts[cohort]} ({display.number(size[cohort])})" for cohort in latest}
    cells = [row for row in later if str(row["cohort"]) in names]
    highest = max((row["retention"] for row in cells), default=0.0) or 1.0
    shown: Rows = [
        {
            "cohort": names[str(row["cohort"])],
            "age": row["age"],
            "text": display.percent(row["retention"]),
            "shade": DARKEST * row["retention"] / highest if row["complete"] else 0.0,
            "complete": bool(row["complete"]),
        }
        for row in cells
    ]
    ages = list(range(1, max((row["age"] for row in shown), default=1) + 1))
    x = alt.X(
        "age:O",
        title=t["since_first"],
        scale=alt.Scale(domain=ages, padding=0.04),
        axis=alt.Axis(labelAngle=0, orient="top", grid=False),
    )
    y = alt.Y(
        "cohort:O",
        title=t["first_purchase"],
        scale=alt.Scale(domain=list(names.values()), padding=0.06),
        axis=alt.Axis(grid=False, labelLimit=260, labelColor=INK["ink"]),
    )
    opacity = alt.Opacity("shade:Q", scale=None, legend=None)
    base = alt.Chart(inline(shown)).encode(x=x, y=y)
    boxes = base.mark_rect(color=INK["accent"], cornerRadius=3).encode(opacity=opacity)
    words = (
        base.mark_text(fontSize=12, color=INK["ink"])
        .transform_filter("datum.complete")
        .encode(text="text:N")
    )
    early = base.mark_text(fontSize=12, color=INK["quiet"], fontStyle="italic").transform_filter(
        "!datum.complete"
    )
    chart = alt.layer(boxes, words, early.encode(text="text:N"))
    chart = chart.properties(width=min(WIDE_WIDTH - 160, 56 * len(ages)), height=alt.Step(STEP))
    extent = t["cohorts_extent"].format(
        n=display.number(len(names)), share=display.percent(highest)
    )
    summary = t["said_cohorts"].format(values=extent if shown else t["no_cohort"])
    return to_svg(chart, "cohorts", summary, display)


def repeat_bars(rows: Sequence[Mapping[str, Any]], display: Display = ENGLISH) -> Markup:
    """Return the share of customers with a next order within a year, with 95 % intervals.

    Parameters
    ----------
    rows
        ``order`` (1, 2, ...), ``customers`` who made it, ``share_within_365d`` and its
        ``share_within_365d_low`` and ``share_within_365d_high``; an order whose share is None is
        left out, an interval with a None end not drawn.
    display
        Language and digits.
    """
    t = texts_of(display.language)["charts"]
    shown: Rows = [
        {
            "next": display.number(row["order"] + 1),
            "share": row["share_within_365d"],
            "text": display.percent(row["share_within_365d"]),
            "low": row["share_within_365d_low"],
            "high": row["share_within_365d_high"],
            "top": row["share_within_365d_high"] or row["share_within_365d"],
        }
        for row in rows
        if row["share_within_365d"] is not None
    ]
    x = alt.X(
        "next:O",
        title=t["next_order"],
        sort=None,
        scale=alt.Scale(paddingInner=0.35, paddingOuter=0.2),
        axis=alt.Axis(labelAngle=0, grid=False),
    )
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(inline(shown)).encode(x=x)
    bars = base.mark_bar(color=INK["chart-active"], cornerRadiusEnd=3).encode(
        y=alt.Y("share:Q", title=t["share_in_year"], scale=scale, axis=shares())
    )
    bounded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    whiskers = bounded.mark_rule(color=INK["ink"], strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    ends = [
        bounded.mark_tick(
            color=INK["ink"], opacity=1, thickness=1.5, width=9, orient="horizontal"
        ).encode(y=f"{end}:Q")
        for end in ("low", "high")
    ]
    words = base.mark_text(dy=-9, fontSize=12, color=INK["ink"]).encode(y="top:Q", text="text:N")
    chart = alt.layer(bars, whiskers, *ends, words).properties(width=HALF_WIDTH, height=HEIGHT)
    values = _comma(display).join(f"{row['next']}: {row['text']}" for row in shown)
    summary = t["said_repeat"].format(values=values or t["few_orders"])
    return to_svg(chart, "repeat", summary, display)


def spell_bars(
    rows: Sequence[Mapping[str, Any]],
    stages: Sequence[Mapping[str, Any]],
    display: Display = ENGLISH,
) -> Markup:
    """Return a bar per stage from the first to the third quartile of stays, the median marked.

    Parameters
    ----------
    rows
        ``stage`` (id), ``spells`` (how many), ``low_quartile_days``, ``median_days`` and
        ``high_quartile_days``; None where so many stays are not over that the number is not known.
        A bar without a known end fades out.
    stages
        ``id``, ``title`` and ``state`` of each, in the order of the scheme.
    display
        Language and digits.
    """
    t = texts_of(display.language)["charts"]
    titles, colours = stage_titles(stages), stage_colours(stages)
    reached = [row for row in rows if row["spells"]]
    known = [
        row[name]
        for row in reached
        for name in ("median_days", "high_quartile_days")
        if row[name] is not None
    ]
    lows = [row["low_quartile_days"] for row in reached if row["low_quartile_days"] is not None]
    longest = max([*known, *(1.5 * low for low in lows)], default=1.0) * 1.08
    shown: Rows = [
        {
            "stage": titles[row["stage"]],
            "colour": colours[row["stage"]],
            "low": row["low_quartile_days"],
            "median": row["median_days"],
            "high": longest if row["high_quartile_days"] is None else row["high_quartile_days"],
            "open": row["high_quartile_days"] is None,
            "text": _stay(row, display),
            "at": longest if row["high_quartile_days"] is None else row["high_quartile_days"],
        }
        for row in reached
    ]
    scale = alt.Scale(domain=[0, longest], nice=False)
    y = alt.Y(
        "stage:N",
        sort=[row["stage"] for row in shown],
        title=None,
        axis=alt.Axis(labelColor=INK["ink"], labelFontSize=13, grid=False),
    )
    x = alt.X("low:Q", title=t["days"], scale=scale, axis=alt.Axis(format=",d", tickCount=6))
    base = alt.Chart(inline(shown)).encode(y=y)
    colour = alt.Color("colour:N", scale=None, legend=None)
    bounded = base.transform_filter("isValid(datum.low)")
    bars = bounded.transform_filter("!datum.open").mark_bar(height=14, cornerRadius=3, opacity=0.75)
    fading = bounded.transform_filter("datum.open").mark_bar(
        height=14, cornerRadius=3, opacity=0.35
    )
    drawn = [layer.encode(x=x, x2="high:Q", color=colour) for layer in (bars, fading)]
    middle = base.transform_filter("isValid(datum.median)").mark_tick(
        color=INK["ink"], opacity=1, thickness=3, height=22, orient="vertical"
    )
    words = base.mark_text(align="left", dx=8, fontSize=12, color=INK["ink"])
    chart = alt.layer(
        *drawn,
        middle.encode(x=alt.X("median:Q", scale=scale)),
        words.encode(x=alt.X("at:Q", scale=scale), text="text:N"),
    ).properties(width=WIDE_WIDTH - 160, height=alt.Step(STEP))
    values = _comma(display).join(f"{row['stage']} {row['text']}" for row in shown)
    summary = t["said_spells"].format(values=values or t["no_stay"])
    return to_svg(chart, "spells", summary, display)


def _comma(display: Display) -> str:
    """Return what parts a list in the language."""
    return str(texts_of(display.language)["changes"]["comma"])


def _stay(row: Mapping[str, Any], display: Display) -> str:
    if row["median_days"] is None:
        return str(texts_of(display.language)["charts"]["most_still"])
    days = round(row["median_days"], 0 if row["median_days"] >= 10 else 1)
    return display.counted(days, display.wording.days)


def _period_names(starts: Sequence[Any], display: Display) -> dict[str, str]:
    """Return each start of a period as text, without the day where all are first of a month."""
    days = {str(start): str(start)[:10] for start in starts}
    by_month = display.calendar == "gregorian" or display.language != "fa"
    if by_month and all(day.endswith("-01") for day in days.values()):
        return {start: display.month(day) for start, day in days.items()}
    return {start: display.day(day) for start, day in days.items()}

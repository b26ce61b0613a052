"""Figures of a lifecycle, for the section "How customers move" and for `stagecast report`.

Lifecycle -> stagecast.features.describe.flows (tables), stagecast.features.describe.effectiveness
-> figures (a few hundred numbers, charts) -> page
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.describe.effectiveness import BeforeAfter
from stagecast.features.describe.flows import Flows, Summary, flows, transitions_between
from stagecast.features.files import atomic_write, write_text
from stagecast.features.shop.clock import clock_named
from stagecast.features.stages.lifecycle import Lifecycle, merged_sentences
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import scheme_to_json, thresholds_to_json
from stagecast.features.stages.unreached import unreached_sentences
from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.scheme_words import translation
from stagecast.serving.languages.texts import FOLDER, texts_of
from stagecast.serving.reports import lifecycle_charts
from stagecast.serving.reports.charts import INK
from stagecast.serving.reports.flow_diagram import flow_diagram
from stagecast.serving.reports.rendering import environment
from stagecast.serving.reports.stage_colours import STAGE_INK

FLOW_DAYS = 90

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Movement:
    """How customers move through the stages, up to an as_of.

    Parameters
    ----------
    flows
        The tables of the whole log.
    moved
        Customers by their stages at ``start`` and at ``end``.
    start, end
        The two instants of the flow diagram.
    has_amounts
        Whether the log has amounts.
    """

    flows: Flows
    moved: pa.Table
    start: datetime
    end: datetime
    has_amounts: bool


@dataclass(frozen=True)
class MovementFigures:
    """What a page shows of a :class:`Movement`; charts are SVG.

    Parameters
    ----------
    unit
        Of the periods: ``week``, ``month`` or ``quarter``.
    titles
        Id of a stage -> its title.
    dates
        The two instants of the flow diagram.
    summary
        Counts and concentration over the whole log.
    merged
        A sentence for each stage that no event of the log can show.
    unreached
        Why nobody is called sleeping or lost, and which thresholds are assumed, if so.
    thresholds
        Name -> threshold; None where it is infinite.
    flow, moved
        The flow diagram, and its rows: ``from_stage``, ``to_stage``, ``customers``, ``share``,
        ``value``.
    history
        Customers on each stage by period; None without a period.
    period, period_start
        Rows of the table of stocks for the last period that is over (or the newest), and its start;
        None without a period.
    spells, spell_chart
        Rows of the table of spells, in days, and their chart.
    ways
        Rows of the table of times to a stage, in days, in the order of ``spells``.
    repeat, repeat_chart
        Rows of the table of repeat orders, and their chart.
    second
        The row of ``repeat`` on the first order; None where nobody has ordered.
    of
        What the concentration is of: ``spend`` or ``orders``.
    pareto
        Share of the value by share of buyers; None without buyers.
    cohorts
        Retention by cohort; None without cohorts.
    """

    unit: str
    titles: Mapping[str, str]
    has_amounts: bool
    dates: tuple[datetime, datetime]
    summary: Summary
    merged: Sequence[str]
    unreached: Sequence[str]
    thresholds: Mapping[str, float | None]
    flow: Markup
    moved: Rows
    history: Markup | None
    period: Rows | None
    period_start: date | None
    spells: Rows
    spell_chart: Markup
    ways: Rows
    repeat: Rows
    repeat_chart: Markup | None
    second: dict[str, Any] | None
    of: str
    pareto: Markup | None
    cohorts: Markup | None


def movement(
    life: Lifecycle,
    as_of: datetime,
    *,
    has_amounts: bool,
    unit: str | None = None,
    dates: tuple[datetime | None, datetime | None] = (None, None),
) -> Movement:
    """Return the tables of a lifecycle.

    Parameters
    ----------
    unit
        Of the periods: ``week``, ``month``, ``quarter``; None chooses by the length of the log.
    dates
        The two dates of the flow diagram. None for the second is the as_of; for the first, 90 days
        before the second, or the middle of a shorter log.

    Raises
    ------
    stagecast.features.errors.UsageError
        The unit is unknown, or the dates do not stand in order before the as_of.
    """
    record, at = life.record, microseconds(as_of)
    customers = len(record)
    tables = flows(
        life.journeys, record.days, customers, record.first_events, at, unit, has_amounts
    )
    end = dates[1] or as_of
    middle = from_microseconds((int(record.first_events.min()) + microseconds(end)) // 2)
    start = dates[0] or max(end - timedelta(days=FLOW_DAYS), middle)
    moved = transitions_between(
        life.journeys,
        record.days,
        customers,
        microseconds(start),
        microseconds(end),
        at,
        has_amounts,
    )
    return Movement(tables, moved, start, end, has_amounts)


def movement_figures(
    moves: Movement,
    scheme: Scheme,
    merged: Mapping[str, tuple[str, ...]],
    display: Display = ENGLISH,
) -> MovementFigures:
    """Return what a page shows of a movement.

    Parameters
    ----------
    merged
        See :attr:`stagecast.features.stages.lifecycle.Lifecycle.merged`.
    display
        Language and digits of the charts.
    """
    stages = [
        {"id": s.id, "title": translation(s.title, display.language, s.id), "state": s.state}
        for s in scheme.stages
    ]
    tables = {name: table.to_pylist() for name, table in moves.flows.tables().items()}
    stock, spells, repeat = tables["stock"], tables["spells"], tables["repeat"]
    moved = moves.moved.to_pylist()
    period = _last_period([row for row in stock if row["complete"]]) or _last_period(stock)
    concentration = moves.flows.summary.concentration
    of = "spend" if concentration.of == "spend" else "orders"
    return MovementFigures(
        unit=moves.flows.unit,
        titles={stage["id"]: stage["title"] for stage in stages},
        has_amounts=moves.has_amounts,
        dates=(moves.start, moves.end),
        summary=moves.flows.summary,
        merged=merged_sentences(scheme, merged),
        unreached=unreached_sentences(scheme),
        thresholds=thresholds_to_json(scheme.thresholds),
        flow=flow_diagram(
            moved, stages, (_day(moves.start, display), _day(moves.end, display)), display
        ),
        moved=[row for row in moved if row["customers"]],
        history=lifecycle_charts.stage_history(stock, stages, display) if stock else None,
        period=period or None,
        period_start=period[0]["period_start"] if period else None,
        spells=spells,
        spell_chart=lifecycle_charts.spell_bars(spells, stages, display),
        ways=tables["time_to_stage"],
        repeat=repeat,
        # a chart of no bar says nothing
        repeat_chart=lifecycle_charts.repeat_bars(repeat, display)
        if any(row["share_within_365d"] is not None for row in repeat)
        else None,
        second=repeat[0] if repeat else None,
        of=of,
        pareto=_pareto_chart(tables["pareto"], concentration.share_for_80, of, display),
        cohorts=lifecycle_charts.cohort_grid(tables["cohorts"], display)
        if tables["cohorts"]
        else None,
    )


def _last_period(stock: Rows) -> Rows:
    """Return the rows of the last period; none where there is no period."""
    return [row for row in stock if row["period_start"] == stock[-1]["period_start"]]


def _pareto_chart(
    rows: Rows, share_for_80: float | None, of: str, display: Display
) -> Markup | None:
    """Return the curve of the value by buyers; None where nobody has bought."""
    curve = [(row["share_of_customers"], row["share_of_value"]) for row in rows]
    known = [point for point in curve if None not in point]
    if share_for_80 is None or not known:
        return None
    words = texts_of(display.language)["charts"]["bring_most"][of]
    caption = words.format(share=display.percent(share_for_80))
    return lifecycle_charts.pareto_curve(known, (share_for_80, 0.8), caption, display)


def inks() -> dict[str, str]:
    """Return the colours of all charts, by the name of the css variable."""
    return {**INK, **STAGE_INK}


def render_lifecycle(
    moves: Movement,
    life: Lifecycle,
    as_of: datetime,
    log: Mapping[str, Any],
    compared: BeforeAfter | None,
    display: Display = ENGLISH,
) -> str:
    """Return the lifecycle report as one self-contained HTML page.

    It has no script, fetches nothing, and the same input gives the same bytes.

    Parameters
    ----------
    log
        The data report as plain JSON.
    compared
        Comparison before and after a date, or None.
    display
        Language and digits.
    """
    scheme, language = scheme_to_json(life.scheme), display.language
    texts = ("title", "meaning", "action")
    stages = [
        {name: translation(stage_json[name], language, "") for name in texts}
        | {"rule_text": stage.rule_text}
        for stage_json, stage in zip(scheme["stage"], life.scheme.stages, strict=True)
    ]
    return (
        environment(display)
        .get_template("lifecycle.html")
        .render(
            clock=clock_named(str(log.get("zone", "UTC"))),
            currency=log.get("currency"),
            run={"title": "Lifecycle report", "as_of": iso(as_of), "log": log, "scheme": scheme},
            css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
            icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
            inks=inks(),
            scheme_title=translation(life.scheme.title, language, life.scheme.id),
            stages=stages,
            move=movement_figures(moves, life.scheme, life.merged, display),
            compared=None if compared is None else {"result": compared.to_json(), "id": "compared"},
        )
    )


def write_tables(moves: Movement, folder: Path, compared: BeforeAfter | None = None) -> None:
    """Write the tables as Parquet and JSON, and those of a comparison."""
    moves.flows.write(folder)
    with atomic_write(folder / "moved.parquet") as draft:
        pq.write_table(moves.moved, draft)
    if compared is not None:
        with atomic_write(folder / "before_after.parquet") as draft:
            pq.write_table(compared.to_table(), draft)
        write_text(
            folder / "before_after.json", json.dumps(compared.to_json(), ensure_ascii=False) + "\n"
        )


def _day(instant: datetime, display: Display) -> str:
    return display.day(iso(instant))

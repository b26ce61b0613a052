"""The lifecycle of a log as figures: what the section "How customers move" of the report and
`stagecast report` show.

Lifecycle -> stagecast.features.describe.flows (tables), stagecast.features.describe.effectiveness
-> figures (a few hundred numbers, pictures) -> page
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from stagecast.features.clock import from_microseconds, iso, microseconds
from stagecast.features.describe.effectiveness import BeforeAfter
from stagecast.features.describe.flows import Flows, flows, transitions_between
from stagecast.features.files import atomic_write, write_text
from stagecast.features.stages.lifecycle import Lifecycle, merged_sentences
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import scheme_to_json, thresholds_to_json
from stagecast.serving.reports import lifecycle_charts
from stagecast.serving.reports.charts import INK
from stagecast.serving.reports.flow_diagram import flow_diagram
from stagecast.serving.reports.rendering import FOLDER, environment
from stagecast.serving.reports.stage_colours import STAGE_INK

FLOW_DAYS = 90


@dataclass(frozen=True)
class Movement:
    """How customers move through the stages, up to an as_of; ``moved`` is from ``start`` to
    ``end``, both instants.
    """

    flows: Flows
    moved: pa.Table
    start: datetime
    end: datetime
    has_amounts: bool


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
        Of the periods: ``week``, ``month``, ``quarter``; None: what suits the length of the log.
    dates
        The two dates of the flow diagram; None: the as_of, and 90 days before it, or half of a
        shorter log.

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
    half = from_microseconds((int(record.first_events.min()) + microseconds(end)) // 2)
    start = dates[0] or max(end - timedelta(days=FLOW_DAYS), half)
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


def figures(
    found: Movement, scheme: Scheme, merged: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Return what the page shows of a movement."""
    stages = [{"id": s.id, "title": s.title["en"], "state": s.state} for s in scheme.stages]
    titles = {stage["id"]: stage["title"] for stage in stages}
    tables = {name: table.to_pylist() for name, table in found.flows.tables().items()}
    summary = found.flows.summary
    stock = tables["stock"]
    newest = (
        [row for row in stock if row["period_start"] == stock[-1]["period_start"]] if stock else []
    )
    complete = [row for row in stock if row["complete"]]
    last = (
        [row for row in complete if row["period_start"] == complete[-1]["period_start"]]
        if complete
        else newest
    )
    concentration = summary.concentration
    spot = concentration.share_for_80
    curve = [(row["share_of_customers"], row["share_of_value"]) for row in tables["pareto"]]
    known = [point for point in curve if None not in point]
    of = "spend" if concentration.of == "spend" else "orders"
    second = tables["repeat"][0] if tables["repeat"] else None
    return {
        "unit": found.flows.unit,
        "titles": titles,
        "has_amounts": found.has_amounts,
        "dates": (found.start, found.end),
        "summary": summary,
        "merged": merged_sentences(scheme, merged),
        "thresholds": thresholds_to_json(scheme.thresholds),
        "flow": flow_diagram(found.moved.to_pylist(), stages, (_day(found.start), _day(found.end))),
        "moved": [row for row in found.moved.to_pylist() if row["customers"]],
        "history": lifecycle_charts.stage_history(stock, stages) if stock else None,
        "period": last,
        "period_start": last[0]["period_start"] if last else None,
        "spells": tables["spells"],
        "spell_chart": lifecycle_charts.spell_bars(tables["spells"], stages),
        "ways": tables["time_to_stage"],
        "repeat": tables["repeat"],
        "repeat_chart": lifecycle_charts.repeat_bars(tables["repeat"])
        if tables["repeat"]
        else None,
        "second": second,
        "of": of,
        "pareto": None
        if spot is None or not known
        else lifecycle_charts.pareto_curve(
            known, (spot, 0.8), f"{spot:.0%} of buyers bring 80% of {of}"
        ),
        "cohorts": lifecycle_charts.cohort_grid(tables["cohorts"]) if tables["cohorts"] else None,
    }


def inks() -> dict[str, str]:
    """Return every colour that the report's pictures are drawn in, by the name of its css
    variable.
    """
    return {**INK, **STAGE_INK}


def render_lifecycle(
    found: Movement,
    life: Lifecycle,
    as_of: datetime,
    log: Mapping[str, Any],
    compared: BeforeAfter | None,
) -> str:
    """Return the lifecycle report as one self-contained HTML page: no script, nothing fetched, same
    input same bytes.

    Parameters
    ----------
    log
        The data report, ready for JSON.
    compared
        Before and after a date, or None.
    """
    scheme = scheme_to_json(life.scheme)
    return (
        environment()
        .get_template("lifecycle.html")
        .render(
            run={"title": "Lifecycle report", "as_of": iso(as_of), "log": log, "scheme": scheme},
            css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
            icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
            inks=inks(),
            scheme_title=life.scheme.title["en"],
            stages=[
                kept | {"rule_text": s.rule_text}
                for kept, s in zip(scheme["stage"], life.scheme.stages, strict=True)
            ],
            move=figures(found, life.scheme, life.merged),
            compared=None if compared is None else _compared(compared, life.scheme),
        )
    )


def _compared(compared: BeforeAfter, scheme: Scheme) -> dict[str, Any]:
    return {
        "told": compared.to_json(),
        "titles": {stage.id: stage.title["en"] for stage in scheme.stages},
    }


def write_tables(found: Movement, folder: Path, compared: BeforeAfter | None = None) -> None:
    """Write every table as Parquet and all of them as ``flows.json``; with a comparison,
    ``before_after.json`` too.
    """
    found.flows.write(folder)
    with atomic_write(folder / "moved.parquet") as draft:
        pq.write_table(found.moved, draft)
    if compared is not None:
        with atomic_write(folder / "before_after.parquet") as draft:
            pq.write_table(compared.to_table(), draft)
        write_text(
            folder / "before_after.json", json.dumps(compared.to_json(), ensure_ascii=False) + "\n"
        )


def _day(instant: datetime) -> str:
    return iso(instant)[:10]

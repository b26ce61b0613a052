"""``stagecast leads``: who is likely to buy for the first time, by points, grade and fitted
probability.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from stagecast.features.clock import iso, parse_span_days
from stagecast.serving.commands.console import show, table
from stagecast.serving.commands.options import as_of_option, common, dated
from stagecast.serving.commands.reading_options import open_log, own_features, reading

SHOWN = 10


@click.command()
@reading
@dated
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write: .parquet or .csv."
)
@click.option("--horizon", default="90d", show_default=True, help="Span that p_convert speaks of.")
@click.option(
    "--points",
    type=click.Path(path_type=Path),
    help="TOML file of points; default: those of the package.",
)
@click.option(
    "--learn",
    type=click.Path(path_type=Path),
    help="Suggest points from the log, write them to this file.",
)
@click.option(
    "--mql",
    metavar="WANTED",
    help=(
        "What makes an MQL: 20 (points), best:200 (leads), share:20% or conversion:10%; "
        "default: as the points say."
    ),
)
@click.option("--sql", metavar="WANTED", help="What makes an SQL, likewise.")
@common
def leads(as_json: bool, out: Path, **options: Any) -> None:
    """Leads, best first: customer_id, lead_points, lead_grade, p_convert, age_days, channel,
    lead_reasons.
    """
    from stagecast.features.attributes import attribute_kinds, known_at_start
    from stagecast.features.catalog.of_customer import check_numbers
    from stagecast.features.engines.duckdb import DailyTable
    from stagecast.features.files import write_text
    from stagecast.features.leads import lead_events
    from stagecast.features.stages.lifecycle import fit_lifecycle
    from stagecast.features.stages.scheme_files import load_scheme
    from stagecast.serving.runs.table_files import check_targets, write_scores
    from stagecast.training.lead_points.grades import wanted_of
    from stagecast.training.lead_points.learning import learn_points
    from stagecast.training.lead_points.points import DEFAULT, load_points
    from stagecast.training.lead_points.ranking import fit_on_log, rank_leads

    check_targets(out=out, learn=options["learn"])
    horizon_days = parse_span_days(options["horizon"])
    points = load_points(options["points"] or DEFAULT)
    if options["mql"] is not None:
        points = replace(points, mql=wanted_of(options["mql"], "--mql"))
    if options["sql"] is not None:
        points = replace(points, sql=wanted_of(options["sql"], "--sql"))
    with open_log(options, out, options["learn"]) as log:
        check_numbers(
            own_features().catalog(horizon_days), attribute_kinds(log.con), log.known_at_start
        )
        as_of = log.choose_as_of(as_of_option(options))
        events = lead_events(log.con, as_of, until_purchase=True)
        told = known_at_start(log.con, events.customers, log.known_at_start)
        suggested = None
        if options["learn"] is not None:
            suggested = learn_points(points, events, as_of, horizon_days, told)
            write_text(options["learn"], suggested.toml())
        day_table = DailyTable(log.con, as_of)
        life = fit_lifecycle(day_table, load_scheme("retail"), horizon_days)
        model, chance = fit_on_log(day_table, life, log.known_at_start)
        ranked = rank_leads(points, events, as_of, horizon_days, told, chance)
    write_scores(ranked.table, out)
    grades = ranked.table["lead_grade"].to_numpy(zero_copy_only=False)
    counts = {
        str(name): int(count)
        for name, count in zip(*np.unique(grades, return_counts=True), strict=True)
    }
    limits = {"mql": _finite(ranked.grades.mql), "sql": _finite(ranked.grades.sql)}
    method = "rule" if model.hazard is None else "blend"
    if as_json:
        learned = None if suggested is None else str(options["learn"])
        answer = {
            "out": str(out),
            "as_of": iso(as_of),
            "leads": len(grades),
            "grades": counts,
            "thresholds": limits,
        }
        click.echo(
            json.dumps(
                {**answer, "method": method, "low_data": model.low_data, "learned": learned},
                ensure_ascii=False,
            )
        )
        return
    rows = [["lead", "points", "grade", "p_convert", "reasons"]]
    for row in ranked.table.slice(0, SHOWN).to_pylist():
        p = "-" if row["p_convert"] is None else f"{row['p_convert']:.1%}"
        rows.append(
            [
                row["customer_id"],
                f"{row['lead_points']:.1f}",
                row["lead_grade"],
                p,
                row["lead_reasons"],
            ]
        )
    of = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    show([f"{len(grades):,} leads at {iso(as_of)}: {of}", *table(rows, {1, 3}), f"written: {out}"])
    if suggested is not None:
        of = f"{suggested.leads:,} leads, {suggested.conversions:,} of whom bought"
        show([f"points suggested from {of}: {options['learn']}"])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None

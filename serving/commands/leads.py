"""``stagecast leads``: who is likely to buy for the first time, by points, grade and fitted
probability.
"""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import as_request, common, event_types, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.reading import Reading
from stagecast.serving.requests import LeadsRequest


@click.command()
@reading
@as_request(LeadsRequest, horizon_days="horizon")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write: .parquet or .csv."
)
@click.option(
    "--horizon",
    default="90d",
    show_default=True,
    callback=span_days,
    help="Span that p_convert speaks of.",
)
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
@click.option(
    "--ends-lead",
    multiple=True,
    metavar="TYPE[,TYPE]",
    callback=event_types,
    help="Types of events that end a lead, such as lost,disqualified; may be repeated.",
)
@common
def leads(reading: Reading, request: LeadsRequest, as_json: bool) -> None:
    """Leads, best first: customer_id, lead_points, lead_grade, p_convert, age_days, channel,
    lead_reasons.
    """
    from stagecast.serving.commands import terminal
    from stagecast.serving.jobs.leads import write_leads

    ranking = write_leads(reading, request)
    if as_json:
        show_json(ranking.to_json())
    else:
        show(terminal.lead_lines(ranking))

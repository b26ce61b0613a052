"""``stagecast report``: how customers move through the stages, and what changed since a date, as
a page and tables.
"""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json, steps
from stagecast.serving.commands.options import as_request, common, instant, report_language
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.store_option import store_option
from stagecast.serving.commands.training_options import SchemeChoice, scheme_choice
from stagecast.serving.reading import Reading
from stagecast.serving.requests import MovementRequest


@click.command()
@reading
@scheme_choice
@as_request(MovementRequest)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; it must be new or empty.",
)
@click.option(
    "--period",
    metavar="UNIT",
    help="week, month or quarter; default: what suits the length of the log.",
)
@click.option(
    "--from",
    "flow_from",
    metavar="DATE",
    callback=instant,
    help="First date of the flow diagram; default: 90 days before.",
)
@click.option(
    "--to",
    "flow_to",
    metavar="DATE",
    callback=instant,
    help="Second date of the flow diagram; default: the as_of.",
)
@click.option(
    "--before-after",
    metavar="DATE",
    callback=instant,
    help="Compare sales, repeat orders, cost and stages before and after.",
)
@click.option(
    "--cost-event",
    "cost_events",
    multiple=True,
    metavar="TYPE",
    help=(
        "Type of event whose amount is what serving the customer cost; default: cost. "
        "May be repeated."
    ),
)
@click.option(
    "--publish",
    is_flag=True,
    help="Write the comparison of --before-after to the store, for the page Results.",
)
@store_option
@report_language
@click.option("--force", is_flag=True, help="Replace the report that --out holds.")
@common
def report(reading: Reading, scheme: SchemeChoice, request: MovementRequest, as_json: bool) -> None:
    """How customers move through the stages: flows, time on each stage, repeat orders, cohorts,
    before and after.
    """
    from stagecast.serving.commands import terminal
    from stagecast.serving.jobs.movement import write_movement

    written = write_movement(reading, scheme.load(), request, steps=steps)
    if as_json:
        show_json(written.to_json())
    else:
        show(terminal.movement_lines(written))

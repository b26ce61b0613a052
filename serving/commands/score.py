"""``stagecast score``: every customer of a log by a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json, steps
from stagecast.serving.commands.options import as_request, common
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.reading import Reading
from stagecast.serving.requests import ScoringRequest


@click.command()
@reading
@as_request(ScoringRequest)
@click.option(
    "--model", required=True, metavar="MODEL", help="A bundle folder, or models:/NAME@champion."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help=(
        "File to write, .parquet or .csv; without an ending, a folder of parts with "
        "which a stopped run goes on."
    ),
)
@click.option(
    "--reasons/--no-reasons", default=True, show_default=True, help="Reasons take most of the time."
)
@click.option("--publish", is_flag=True, help="Write the scores to the store that `serve` reads.")
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow store for models:/...; default sqlite:///mlflow.db.",
)
@common
def score(reading: Reading, request: ScoringRequest, as_json: bool) -> None:
    """Score every customer of a log with a trained model."""
    from stagecast.serving.commands import terminal
    from stagecast.serving.jobs.scores import score_customers

    written = score_customers(reading, request, steps=steps)
    if as_json:
        show_json(written.to_json(), ascii_only=reading.spark is not None)
    else:
        show(terminal.score_lines(written))

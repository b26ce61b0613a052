"""``stagecast monitor``: a model watched on a newer log."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stagecast.serving.commands.console import show, show_json, steps
from stagecast.serving.commands.options import as_request, common, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.store_option import store_option
from stagecast.serving.reading import Reading
from stagecast.serving.requests import MonitorRequest

if TYPE_CHECKING:
    from stagecast.serving.jobs.monitor import FailOn


@click.command()
@reading
@as_request(MonitorRequest, max_age_days="max_age")
@click.option(
    "--model", required=True, metavar="MODEL", help="A bundle folder, or models:/NAME@champion."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for monitor.json, monitor.html and monitor.prom; it must be new or empty.",
)
@click.option("--force", is_flag=True, help="Replace what --out holds.")
@click.option(
    "--max-age",
    metavar="SPAN",
    callback=span_days,
    help="Age at which the model is to be retrained; default: two horizons.",
)
@store_option
@click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow store for models:/...; default sqlite:///mlflow.db.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["never", "repair", "retrain"]),
    default="retrain",
    show_default=True,
    help="From which advice the exit code is not 0: 5 to retrain, 6 to repair the log first.",
)
@common
def monitor(
    reading: Reading,
    request: MonitorRequest,
    fail_on: FailOn,
    as_json: bool,
) -> None:
    """A model watched on a newer log: what it said against what came, what has moved, whether to
    retrain.
    """
    from stagecast.serving.commands.monitor_lines import monitor_lines
    from stagecast.serving.jobs.monitor import exit_code, watch_model

    watched = watch_model(reading, request, steps=steps)
    if as_json:
        show_json(watched.to_json())
    else:
        show(monitor_lines(watched.result, watched.out))
    sys.exit(exit_code(watched.result.advice.action, fail_on))

"""``stagecast backtest``: past dates replayed against baselines, as JSON, Parquet and a page."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from stagecast.serving.commands.console import show, show_json, steps, warn
from stagecast.serving.commands.options import as_request, common, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import learning
from stagecast.serving.reading import Reading
from stagecast.serving.requests import BacktestRequest, TrainingRequest


@click.command()
@reading
@learning
@as_request(BacktestRequest, step_days="step")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write; it must be new or empty.",
)
@click.option(
    "--dates", type=int, default=4, show_default=True, help="Past dates to replay, at most."
)
@click.option(
    "--step",
    metavar="SPAN",
    callback=span_days,
    help="From one date to the next; default: the horizon.",
)
@click.option("--force", is_flag=True, help="Replace the backtest that --out holds.")
@common
def backtest(
    reading: Reading, training: TrainingRequest, request: BacktestRequest, as_json: bool
) -> None:
    """Past dates replayed against baselines: how good this model would have been, and how
    surely.
    """
    from stagecast.serving.commands.backtest_lines import backtest_lines
    from stagecast.serving.jobs.backtest import write_backtest
    from stagecast.serving.runs.tracking import tracker

    # a backtest is tried often: it is logged where that is asked for, and not by default
    source = click.get_current_context().get_parameter_source("track")
    asked = training.track and source is ParameterSource.COMMANDLINE
    track = tracker(training, warn) if asked else None
    written = write_backtest(reading, training.config, request, steps=steps, track=track)
    if as_json:
        show_json(written.to_json())
    else:
        show(backtest_lines(written.backtest.verdict, written.backtest.value, written.out))

"""``stagecast backtest``: past dates replayed against baselines, as JSON, Parquet and a page."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json, steps, warn
from stagecast.serving.commands.options import as_request, common, span_days
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.training_options import learning_untracked
from stagecast.serving.reading import Reading
from stagecast.serving.requests import BacktestRequest, TrainingRequest


@click.command()
@reading
@learning_untracked
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
@click.option(
    "--clv",
    type=float,
    help=(
        "Worth of a customer who is kept, for the expected maximum profit; "
        "default: what those who stayed spent in the horizon."
    ),
)
@click.option(
    "--incentive-cost", type=float, help="Cost of an accepted offer; default: 5 % of --clv."
)
@click.option(
    "--contact-cost",
    type=float,
    help="Cost of a contact; default: the one at which contacting everybody earns nothing.",
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

    track = tracker(training, warn)
    written = write_backtest(reading, training.config, request, steps=steps, track=track)
    if as_json:
        show_json(written.to_json())
    else:
        done = written.backtest
        show(backtest_lines(done.verdict, done.value, written.out, done.notes))
